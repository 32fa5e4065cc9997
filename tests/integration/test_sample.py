"""The sample project: built, unpacked, and asked."""

from __future__ import annotations

import json

import pytest

from tests.support.shell import REPOSITORY, locked_copy, run_handler, unpack

pytestmark = pytest.mark.registry

EVENT = json.loads((REPOSITORY / "sample_project" / "events" / "create_thumbnail.json").read_text())


@pytest.fixture(scope="module")
def ask(shell, python313, tmp_path_factory):
    """Give a function that lets the handler answer the event with some of its body replaced."""
    folder = tmp_path_factory.mktemp("sample")
    sample = locked_copy(shell, REPOSITORY / "sample_project", folder / "sample")
    package = folder / "sample.zip"
    shell.hatch_lambda("build", "-q", "-o", package, cwd=sample)
    task = unpack(package, folder / "task")

    def ask(body=None, **changes):
        event = {**EVENT, "body": json.dumps({**json.loads(EVENT["body"]), **changes}) if body is None else body}
        answer = json.loads(run_handler(python313, task, "sample_project.app.handler", json.dumps(event)))
        return answer["statusCode"], json.loads(answer["body"])

    return ask


def test_the_event_is_answered_with_a_thumbnail_and_a_signed_address(ask):
    """Pillow's codecs, pydantic's EmailStr and botocore's data are all in the package."""
    status, answer = ask()

    assert status == 201
    assert (answer["owner"], answer["width"], answer["height"]) == ("ada@example.com", 48, 32)
    assert answer["thumbnail"].startswith("data:image/webp;base64,UklGR")
    assert "X-Amz-Signature=" in answer["upload"]


@pytest.mark.parametrize(
    ("change", "place"),
    [({"owner": "nobody"}, ["owner"]), ({"size": 5000}, ["size"]), ({"other": 1}, ["other"]), ({"body": "{"}, [])],
    ids=str,
)
def test_bad_input_is_told_where_it_is_bad(change, place, ask):
    """Each is the client's mistake."""
    status, answer = ask(**change)

    assert status == 400
    assert [error["loc"] for error in answer["errors"]] == [place]


def test_what_is_no_image_is_an_unsupported_media_type(ask):
    """Base64 of text."""
    status, answer = ask(image="aGVsbG8=")

    assert status == 415
    assert "image" in answer["error"]
