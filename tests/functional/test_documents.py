"""What commands print with ``--json``: one object, with a version and a schema, that says all it has to."""

from __future__ import annotations

import json
import os
import sys
import zipfile

import click
import pytest
from click.testing import CliRunner

from hatch_lambda.cli.commands import COMMANDS, hatch_lambda
from hatch_lambda.cli.schema import DOCUMENTS
from hatch_lambda.core.codec import to_json
from hatch_lambda.inspect.run.function import FunctionError, Invocation
from hatch_lambda.inspect.run.invoke import Invoked
from tests.functional.coldstart import cold_start
from tests.functional.documents import digested, fits
from tests.support.wheels import make_project, make_wheel


@pytest.fixture
def project(tmp_path):
    """Make a project with a dependency, of which something is removed."""
    files = {"pure/__init__.py": "X = 1\n" * 99, "pure/tests/test_x.py": "X = 2\n" * 99, "pure/types.pyi": "X: int\n"}
    wheel = make_wheel(tmp_path / "wheels", "pure", files)
    return make_project(tmp_path / "service", wheel)


@pytest.fixture
def functions(tmp_path):
    """Make a project with two functions, of which one cannot be built."""
    settings = 'functions = { good = {}, bad = { handler = "nowhere.handler" } }\n'
    return make_project(tmp_path / "functions", settings=settings)


@pytest.fixture
def printed(tmp_path, monkeypatch):
    """Run a command in a folder, and give what it prints with ``--json``."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")

    def run(folder, *arguments, code=0):
        monkeypatch.chdir(folder)
        done = CliRunner().invoke(hatch_lambda, [*map(str, arguments), "--json"], catch_exceptions=False)
        assert done.exit_code == code, done.stderr
        return json.loads(done.stdout_bytes.decode("utf-8"))

    return run


def printers():
    """Return the names of the commands that have ``--json``, themselves or one of theirs."""
    found = set()
    for name in COMMANDS:
        command = hatch_lambda.get_command(None, name)
        every = command.commands.values() if isinstance(command, click.Group) else [command]
        if any("--json" in option.opts for one in every for option in one.params):
            found.add(name)
    return found


def test_every_command_that_prints_json_has_a_schema():
    """And nothing else has one, but the settings."""
    assert printers() == set(DOCUMENTS)
    for name in (*DOCUMENTS, "settings"):
        schema = json.loads(CliRunner().invoke(hatch_lambda, ["schema", name]).output)
        assert schema["$id"].startswith("urn:hatch-lambda:")
    settings = CliRunner().invoke(hatch_lambda, ["schema", "settings"]).output
    assert CliRunner().invoke(hatch_lambda, ["schema"]).output == settings


@pytest.mark.parametrize("shape", ["function", "layer", "directory", "wheel", "nested"])
def test_a_build_prints_one_object_in_every_shape(shape, project, printed):
    """A layer has the digest that AWS compares, as the function has."""
    document = printed(project, "build", "--as", shape)
    fits("build", document)
    assert (document["shape"], document["project"]) == (shape, ".")
    assert (
        len([one for one in digested(document) if one["code_sha256"]])
        == ({"function": 1, "layer": 3, "directory": 0, "wheel": 1, "nested": 1}[shape])
    )


def test_a_build_of_several_prints_one_object(project, functions, printed):
    """Also of a project with functions, and of what cannot be built."""
    document = printed(functions, "build", code=7)
    fits("build", document)
    assert [one["project"] for one in document["packages"]] == [".:good"]
    assert [(one["project"], one["exit_code"]) for one in document["errors"]] == [(".:bad", 7)]
    fits("build", printed(project, "build", ".", functions, code=7))
    alone = printed(functions, "build", "--function", "good")
    fits("build", alone)
    assert alone["zip"] == document["packages"][0]["zip"]


def test_the_other_commands_print_one_object_each(project, printed, tmp_path):
    """Out of real runs."""
    built = printed(project, "build")
    with zipfile.ZipFile(built["zip"]) as archive:
        archive.extractall(tmp_path / "lib")
    for command in (
        ("slim", tmp_path / "lib", "--dry-run"),
        ("slim", tmp_path / "lib"),
        ("explain", "."),
        ("rules",),
        ("verify", built["zip"]),
        ("verify", tmp_path / "lib"),
        ("report", built["zip"]),
        ("cache", "info"),
        ("clean", "--dry-run"),
        ("clean",),
    ):
        fits(command[0], printed(project, *command))
    assert not list((project / "dist").iterdir())


def test_the_command_that_writes_a_report_prints_it(project, printed):
    """So it has one schema, wherever it is read."""
    built = printed(project, "build")
    document = printed(project, "report", built["zip"], "-o", "made")
    assert document == json.loads((project / "made" / "report.json").read_bytes())


def test_why_a_file_is_there_is_told_of_each(project, printed):
    """What a rule took, and what none did."""
    files = {one["path"]: one for one in printed(project, "explain", "pure")["files"]}
    assert (files["pure/tests/test_x.py"]["kept"], files["pure/tests/test_x.py"]["rule"]) == (False, "tests")
    assert (files["pure/__init__.py"]["kept"], files["pure/__init__.py"]["distribution"]) == (True, "pure")


PAYLOADS = {
    b'{"a": 1}': {"a": 1},
    b"null": None,
    b"streamed": "streamed",
    b"\xff": "\ufffd",
    b"[NaN]": [None],
    b"[" * 5000: "[" * 5000,
    b"1" + b"0" * 40: 10**40,
    rb'"\ud800"': "\ud800",
}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_handler_answers_is_valid_json_whatever_it_is(payload):
    """Infinite numbers, half a character, or no JSON at all."""
    error = FunctionError(type="ValueError", message="no \ud800", stack=("app.py",))
    answer = {"request_id": "1", "seconds": 0.0123456, "init_seconds": 0.2, "peak": None, "log": "START\n"}
    invoked = Invoked(
        runtime="python3.13",
        architecture="arm64",
        memory=128,
        sandbox=False,
        why_no_sandbox="it was not wanted",
        emulated=False,
        invocations=(
            Invocation(payload=payload, error=None, **answer),
            Invocation(payload=b"{}", error=error, **answer),
        ),
    )
    document = json.loads(to_json(invoked.document()), parse_constant=pytest.fail)
    answered, failed = document["invocations"]
    assert (answered["response"], answered["error"]) == (PAYLOADS[payload], None)
    assert (failed["response"], failed["error"]["message"]) == (None, "no \ud800")
    assert (answered["duration_ms"], answered["init_duration_ms"], answered["log"]) == (12.35, 200.0, "START\n")
    assert (document["schema_version"], document["memory_mb"]) == (1, 128)


def test_a_cold_start_fits_its_schema():
    """As a report reads it."""
    fits("coldstart", json.loads(cold_start(("pure", 1.5))))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_a_name_that_is_no_text_is_no_traceback(printed, tmp_path):
    """JSON can escape what UTF-8 cannot say."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "app.py").write_text("")
    folder.joinpath(os.fsdecode(b"\xff.py")).touch(mode=0o600)
    document = printed(tmp_path, "verify", "lib", code=7)
    assert "\udcff.py" in {found["path"] for found in document["findings"]}
