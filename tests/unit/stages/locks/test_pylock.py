"""The normal form: parsing, writing, and moving its paths."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.pylock import empty, parse

HEAD = 'lock-version = "1.0"\ncreated-by = "x"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lock-version = ", "p.toml: not valid TOML"),
        ('lock-version = "2.0"\ncreated-by = "x"\npackages = []', "version 2.0 is not supported"),
        (HEAD, "packages: Missing required value"),
        (HEAD + '[[packages]]\nname = "a"\nwheels = [{ url = "https://example.invalid/a-1-py3-none-any.whl" }]',
         "packages[0].wheels[0].hashes"),
        (HEAD + '[[packages]]\nname = "A"\n', "packages[0].name"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_told_with_the_place(text, told):
    with pytest.raises(LockError) as caught:
        parse(text, "p.toml")
    assert caught.value.message.startswith("p.toml: ")
    assert told in caught.value.message


def test_dump_is_deterministic_valid_and_without_secrets(bench, package):
    from hatch_lambda.stages.locks.pylock import dump

    entries = [package("b"), package("a", more='index = "https://user:secret@example.invalid/simple"')]
    one, two = (dump(bench.lock(*order).pylock) for order in (entries, entries[::-1]))
    assert one == two
    assert "secret" not in one
    assert "https://example.invalid/simple" in one
    assert [entry.name for entry in parse(one, "p").packages] == ["a", "b"]
    assert parse(dump(empty()), "p").packages == []


def test_paths_are_moved_and_file_addresses_become_paths(tmp_path, bench):
    from hatch_lambda.stages.locks.pylock import rebase

    tmp_path = tmp_path.resolve()
    hashes = f'hashes = {{ sha256 = "{"a" * 64}" }}'
    folder = (tmp_path / "with space").as_uri()
    lock = bench.lock(
        f'[[packages]]\nname = "a"\nindex = "{folder}"\n'
        f'wheels = [{{ url = "{folder}/a-1-py3-none-any.whl", {hashes} }}]\n',
        '[[packages]]\nname = "b"\ndirectory = { path = "lib" }\n',
    )
    moved = rebase(lock.pylock, tmp_path / "x", tmp_path)
    assert moved.packages[0].wheels[0].path == "with space/a-1-py3-none-any.whl"
    assert moved.packages[0].wheels[0].url is None
    assert moved.packages[0].index is None
    assert moved.packages[1].directory.path == "x/lib"
    moved.validate()


def test_pinned_holds_exactly_the_wheels_with_absolute_paths_and_strong_hashes(tmp_path, bench):
    from hatch_lambda.stages.locks.pylock import pinned

    hashes = f'hashes = {{ md5 = "b", sha256 = "{"a" * 64}" }}'
    lock = bench.lock(
        f'[[packages]]\nname = "b"\nversion = "1"\nmarker = "os_name == \'posix\'"\n'
        f'wheels = [{{ path = "../w/b-1-py3-none-any.whl", {hashes} }}]\n',
        f'[[packages]]\nname = "a"\nversion = "1"\n'
        f'wheels = [{{ url = "https://example.invalid/a-1-py3-none-any.whl", {hashes} }}]\n',
        head='requires-python = ">=3.13"',
    )
    text = pinned(bench.select(lock)[::-1], Path("/base/lock"))
    assert tomllib.loads(text) == {
        "lock-version": "1.0",
        "created-by": "hatch-lambda",
        "packages": [
            {
                "name": "a",
                "version": "1",
                "wheels": [{"url": "https://example.invalid/a-1-py3-none-any.whl", "hashes": {"sha256": "a" * 64}}],
            },
            {
                "name": "b",
                "version": "1",
                "wheels": [{"path": "/base/w/b-1-py3-none-any.whl", "hashes": {"sha256": "a" * 64}}],
            },
        ],
    }
