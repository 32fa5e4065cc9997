"""The folder in which a build works."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_lambda.cache import workspace


def test_it_lies_in_the_cache_and_is_gone_afterwards(tmp_path):
    with workspace(tmp_path / "cache") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")
        assert folder.is_relative_to((tmp_path / "cache").resolve())
    assert not folder.exists()


def test_it_is_gone_after_a_failure_too(tmp_path):
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path) as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_two_builds_have_two_folders(tmp_path):
    with workspace(tmp_path) as one, workspace(tmp_path) as other:
        assert one != other
        assert one.parent == other.parent


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with workspace(tmp_path / "cache") as folder:
        (folder / "file").write_text("x")
        assert not folder.is_relative_to(tmp_path / "cache")
    assert not folder.exists()


def test_without_a_cache_it_is_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with workspace(None) as folder:
        assert folder.parent == tmp_path.resolve()
    assert list(tmp_path.iterdir()) == []


def test_its_path_is_resolved(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    with workspace(tmp_path / "link") as folder:
        assert folder == Path(folder).resolve()
        assert folder.is_relative_to((tmp_path / "real").resolve())
