"""Outputs are put in their places all together, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count

import pytest

from hatch_lambda.core.staging import Staging, is_our_folder
from hatch_lambda.errors import ArchiveError

STEPS = ("mkdir", "rename", "replace")


def stage(folder, word, *, commit=True):
    """Write two files and a folder whose content is *word*."""
    with Staging() as new:
        new.text(folder / "layer.zip", word)
        made = new.folder(folder / "made")
        (made / f"{word.decode()}.py").write_bytes(word)
        new.file(folder / "function.zip").write_bytes(word)
        if commit:
            new.commit()


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def outputs(word):
    text = word.decode()
    return {
        "layer.zip": word,
        "function.zip": word,
        f"made/{text}.py": word,
        ".made.hatch-lambda": f"{text}.py".encode(),
    }


def test_nothing_is_in_its_place_before_the_commit(tmp_path):
    stage(tmp_path / "dist" / "inner", b"old", commit=False)
    assert not list(tmp_path.iterdir()), "not even a folder"
    stage(tmp_path, b"old")
    assert content(tmp_path) == outputs(b"old")
    stage(tmp_path, b"new", commit=False)
    assert content(tmp_path) == outputs(b"old")


def test_what_fails_at_any_point_leaves_each_output_old_or_new_and_nothing_temporary(tmp_path, monkeypatch):
    real = {name: getattr(os, name) for name in STEPS}
    for point in count():
        folder = tmp_path / str(point)
        folder.mkdir()
        stage(folder, b"old")
        calls, failures = count(), []

        def fails(name, calls=calls, failures=failures, point=point):
            def call(*arguments, **options):
                if next(calls) == point:
                    failures.append(name)
                    raise OSError(5, "no more")
                return real[name](*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, fails(name))
            with suppress(OSError):
                stage(folder, b"new")
        found = content(folder)
        for place in ("layer.zip", "function.zip"):
            assert found[place] in {b"old", b"new"}, point
        assert {path for path in found if path.startswith("made/")} in ({"made/old.py"}, {"made/new.py"}), point
        assert is_our_folder(folder / "made"), point
        assert not list(folder.rglob("*.tmp")), point
        if not failures:
            assert found == outputs(b"new")
            break
        stage(folder, b"new")
        assert content(folder) == outputs(b"new"), "the next run succeeds"
    assert point > len(STEPS)


def test_somebodys_work_is_left_as_it_is(tmp_path):
    stage(tmp_path, b"old")
    with Staging() as new:
        new.folder(tmp_path / "made")
        (tmp_path / "made" / "thesis.txt").write_text("years of work")
        with pytest.raises(ArchiveError, match=r"no build put thesis\.txt there"):
            new.commit()
    with Staging() as new, pytest.raises(ArchiveError, match="no build put"):
        new.folder(tmp_path / "made")
    assert (tmp_path / "made" / "thesis.txt").exists()
    assert not list(tmp_path.rglob("*.tmp"))


def test_where_one_file_cannot_be_put_all_are_as_they_were(tmp_path, monkeypatch):
    """A layer must not stay beside a function that was built for another."""
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(b"old")
    real, seen = os.replace, count()

    def replace(*names):
        if next(seen) == 2:
            raise OSError
        real(*names)

    monkeypatch.setattr(os, "replace", replace)
    with Staging() as new:
        for name in ("a.zip", "b.zip", "c.zip"):
            new.text(tmp_path / name, b"new")
        with pytest.raises(OSError):  # noqa: PT011 - whatever the system says
            new.commit()
    assert content(tmp_path) == {"a.zip": b"old", "b.zip": b"old"}
