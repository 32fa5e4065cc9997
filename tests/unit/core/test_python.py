"""The interpreter of a version: found wherever it hides, believed only by its own word, remembered while it stays."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from pathlib import Path

import pytest

from hatch_lambda.core import process
from hatch_lambda.core import python as interpreter
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.uv import Uv

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="programs are made as shell scripts")
FULL = platform.python_version()
MINOR = ".".join(FULL.split(".")[:2])


def program(path, text, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def python(path, version, *, usable=True, log=None):
    """Make a program that says that it is a CPython of *version*."""
    answer = json.dumps({"path": str(path), "version": version, "usable": usable})
    return program(path, (f"echo asked >> {log}\n" if log else "") + f"echo '{answer}'")


def listing(folder, *rows, fetched=None):
    """Make a uv that lists *rows* of versions and programs, and can fetch what the program *fetched* says."""
    text = json.dumps([{"version": version, "path": str(path), **more} for version, path, more in rows])
    uv = program(
        folder / "uv",
        f"""case "$1" in python) echo '{text}';; *) {f"exec {fetched}" if fetched else "exit 2"};; esac""",
    )
    return Uv.find({"UV": str(uv), "PATH": os.environ["PATH"], "HOME": str(folder)})


@pytest.fixture
def cache(tmp_path):
    return Cache(root=tmp_path / "cache")


def found(wanted, uv, cache, tmp_path, **options):
    result = interpreter.find(wanted, uv, cache, cwd=tmp_path, **options)
    return result and (result.path.name, result.version)


def test_the_real_one_that_runs_this_is_found_by_real_uv(tmp_path, cache):
    uv = Uv.find(os.environ)
    result = interpreter.find(MINOR, uv, cache, cwd=tmp_path, download=False)
    assert result is not None
    assert result.version.startswith(f"{MINOR}.")
    assert interpreter.find(FULL, uv, cache, cwd=tmp_path, download=False).version == FULL


def test_a_virtual_environment_is_seen_through(tmp_path, cache):
    """It may be a build's, and gone with it."""
    uv = listing(tmp_path)
    result = interpreter.find(FULL, uv, cache, cwd=tmp_path)
    assert result.path == Path(getattr(sys, "_base_executable", sys.executable))


@POSIX_ONLY
def test_of_several_patch_releases_the_newest_is_taken_whatever_the_order(tmp_path, cache):
    rows = [(version, python(tmp_path / version, version), {}) for version in ("3.8.9", "3.8.12", "3.8.10")]
    assert found("3.8", listing(tmp_path, *rows), cache, tmp_path) == ("3.8.12", "3.8.12")
    assert found("3.8.9", listing(tmp_path, *rows), cache, tmp_path) == ("3.8.9", "3.8.9")
    assert found("3.8.1", listing(tmp_path, *rows), cache, tmp_path) is None


@POSIX_ONLY
def test_each_is_believed_by_its_own_word_only(tmp_path, cache):
    rows = [
        ("3.8.20", python(tmp_path / "lies", "3.7.1"), {}),
        ("3.8.19", python(tmp_path / "debug", "3.8.19", usable=False), {}),
        ("3.8.18", program(tmp_path / "fails", "exit 1"), {}),
        ("3.8.17", tmp_path / "gone", {}),
        ("3.8.16", python(tmp_path / "free-threaded", "3.8.16"), {"variant": "freethreaded"}),
        ("3.8.15rc1", python(tmp_path / "candidate", "3.8.15rc1"), {}),
        ("3.8.1", python(tmp_path / "good", "3.8.1"), {}),
    ]
    assert found("3.8", listing(tmp_path, *rows), cache, tmp_path) == ("good", "3.8.1")


@POSIX_ONLY
@pytest.mark.parametrize("root", ["elsewhere", ".pyenv"])
def test_what_pyenv_has_is_found_although_its_shims_do_not_answer(tmp_path, cache, root):
    """`uv python find` gives up at a shim that fails."""
    python(tmp_path / root / "versions" / "3.8.7" / "bin" / "python3.8", "3.8.7")
    uv = listing(tmp_path, ("3.8.9", program(tmp_path / "shims" / "python3.8", "exit 127"), {}))
    environment = {**uv.environment, **({"PYENV_ROOT": str(tmp_path / root)} if root != ".pyenv" else {})}
    uv = Uv(executable=uv.executable, environment=environment)
    assert found("3.8", uv, cache, tmp_path) == ("python3.8", "3.8.7")


@POSIX_ONLY
def test_it_is_asked_once_for_as_long_as_its_file_stays_the_same(tmp_path, cache):
    """A build in which nothing changed must not wait for it."""
    log = tmp_path / "log"
    path = python(tmp_path / "python", "3.8.1", log=log)
    uv = listing(tmp_path, ("3.8.1", path, {}))
    for _ in range(3):
        assert found("3.8", uv, cache, tmp_path) == ("python", "3.8.1")
    assert log.read_text().count("asked") == 1
    uv = listing(tmp_path, ("3.8.2", python(path, "3.8.2", log=log), {}))
    assert found("3.8", uv, cache, tmp_path) == ("python", "3.8.2")
    path.unlink()
    assert found("3.8", listing(tmp_path), cache, tmp_path) is None


@POSIX_ONLY
def test_what_is_not_there_is_fetched_unless_that_was_not_asked_for(tmp_path, cache):
    uv = listing(tmp_path, fetched=python(tmp_path / "fetched", "3.8.3"))
    assert found("3.8", uv, cache, tmp_path, download=False) is None
    assert found("3.8", uv, cache, tmp_path) == ("fetched", "3.8.3")


@POSIX_ONLY
def test_none_at_all_is_an_error_that_names_both_remedies(tmp_path, cache):
    assert found("3.8", listing(tmp_path), cache, tmp_path) is None
    error = interpreter.missing("3.8", "to compile with", "do without")
    assert "no CPython 3.8 on this machine to compile with" in error.message
    assert error.hint == "run `uv python install 3.8`, or do without"


@POSIX_ONLY
@pytest.mark.parametrize("output", ["no JSON", "{}"])
def test_a_uv_that_cannot_list_leaves_the_others(tmp_path, cache, output):
    uv = Uv.find({"UV": str(program(tmp_path / "uv", f"echo '{output}'")), "HOME": str(tmp_path)})
    python(tmp_path / ".pyenv" / "versions" / "3.8.7" / "bin" / "python3.8", "3.8.7")
    assert found("3.8", uv, cache, tmp_path) == ("python3.8", "3.8.7")


@POSIX_ONLY
def test_that_there_is_none_is_remembered_until_something_comes_to_where_it_would_be(tmp_path, cache):
    """So that a build that can do without spends no time on looking."""
    log = tmp_path / "log"
    rows = [("3.8.1", python(tmp_path / "broken", "3.8.1", usable=False, log=log), {})]
    uv = listing(tmp_path, *rows)
    (tmp_path / ".pyenv" / "versions").mkdir(parents=True)
    for _ in range(3):
        assert found("3.8", uv, cache, tmp_path, download=False) is None
    assert log.read_text().count("asked") == 1
    python(tmp_path / ".pyenv" / "versions" / "3.8.2" / "bin" / "python3.8", "3.8.2")
    assert found("3.8", uv, cache, tmp_path, download=False) == ("python3.8", "3.8.2")


@POSIX_ONLY
def test_that_there_is_none_does_not_keep_uv_from_fetching_one(tmp_path, cache):
    fetched = python(tmp_path / "fetched", "3.8.3")
    uv = listing(tmp_path, fetched=fetched)
    assert found("3.8", uv, cache, tmp_path, download=False) is None
    assert found("3.8", uv, cache, tmp_path) == ("fetched", "3.8.3")


@POSIX_ONLY
def test_what_is_nearby_is_told_without_starting_anything(tmp_path, cache):
    """What was found before, what runs this, or the newest that pyenv has; else nothing is said."""
    log = tmp_path / "log"
    for version in ("3.8.9", "3.8.12"):
        python(tmp_path / ".pyenv" / "versions" / version / "bin" / "python3.8", version, log=log)
    other = python(tmp_path / "other", "3.7.1", log=log)
    uv = listing(tmp_path, ("3.7.1", other, {}))
    assert interpreter.nearby("3.8", uv, cache) == tmp_path / ".pyenv/versions/3.8.12/bin/python3.8"
    assert interpreter.nearby(MINOR, uv, cache) == Path(sys.executable)
    assert interpreter.nearby("3.7", uv, cache) is None
    assert not log.exists()
    assert found("3.7", uv, cache, tmp_path) == ("other", "3.7.1")
    assert interpreter.nearby("3.7", uv, cache) == other


GIGABYTE = "exec head -c 1000000000 /dev/zero"
ODD = {
    "hangs": lambda path: program(path, "sleep 60"),
    "hangs with a child that holds its output": lambda path: program(path, "sleep 60 &"),
    "prints garbage": lambda path: program(path, "printf '\\377\\000{'"),
    "prints an answer of another kind": lambda path: program(path, "echo '[1]'"),
    "names a path that is none": lambda path: program(
        path, """printf '{"path": "/x\\\\u0000", "version": "3.8.9", "usable": true}'"""
    ),
    "prints without end": lambda path: program(path, GIGABYTE),
    "is a broken link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "is a link to itself": lambda path: path.symlink_to(path),
    "is not executable": lambda path: program(path, "exit 0", mode=0o644),
    "is a folder": Path.mkdir,
    "is empty, as a store's stub": lambda path: (path.touch(), path.chmod(0o755)),
    "is no program": lambda path: (path.write_bytes(b"MZ\0"), path.chmod(0o755)),
}


@POSIX_ONLY
@pytest.mark.parametrize("oddity", ODD)
def test_what_only_has_the_name_of_an_interpreter_is_skipped_in_bounded_time(tmp_path, cache, oddity, monkeypatch):
    """Newer by its name than the one that is right."""
    monkeypatch.setattr(interpreter, "_SECONDS", 1.0)
    folder = tmp_path / ".pyenv" / "versions" / "3.8.9" / "bin"
    folder.mkdir(parents=True)
    ODD[oddity](folder / "python3.8")
    python(tmp_path / ".pyenv" / "versions" / "3.8.7" / "bin" / "python3.8", "3.8.7")
    began = time.monotonic()
    assert found("3.8", listing(tmp_path), cache, tmp_path) == ("python3.8", "3.8.7")
    assert time.monotonic() - began < 20


@POSIX_ONLY
def test_that_one_took_too_long_is_not_remembered_as_there_being_none(tmp_path, cache, monkeypatch):
    """A machine that is busy for a moment has it all the same."""
    monkeypatch.setattr(interpreter, "_SECONDS", 0.5)
    path = tmp_path / ".pyenv" / "versions" / "3.8.7" / "bin" / "python3.8"
    python(path, "3.8.7")
    answer = path.read_text()
    path.write_text(answer.replace("echo", "sleep 60; echo"))
    assert found("3.8", listing(tmp_path), cache, tmp_path, download=False) is None
    path.write_text(answer)
    assert found("3.8", listing(tmp_path), cache, tmp_path, download=False) == ("python3.8", "3.8.7")


@POSIX_ONLY
@pytest.mark.parametrize("refusal", [errno.ETXTBSY, errno.EIO, errno.EMFILE])
def test_one_that_this_machine_refuses_to_start_leaves_the_others(tmp_path, cache, refusal, monkeypatch):
    """It may be there only in part: somebody is installing it."""
    for version in ("3.8.9", "3.8.7"):
        python(tmp_path / ".pyenv" / "versions" / version / "bin" / "python3.8", version)
    real = process.ask

    def ask(arguments, **options):
        if "3.8.9" in str(arguments[0]):
            raise OSError(refusal, os.strerror(refusal), arguments[0])
        return real(arguments, **options)

    monkeypatch.setattr(interpreter, "ask", ask)
    assert found("3.8", listing(tmp_path), cache, tmp_path) == ("python3.8", "3.8.7")


@POSIX_ONLY
def test_a_uv_that_hangs_leaves_the_others(tmp_path, cache, monkeypatch):
    """It asks every interpreter that is on PATH, and waits for each."""
    monkeypatch.setattr(interpreter, "_SECONDS_OF_UV", 0.5)
    uv = Uv.find({"UV": str(program(tmp_path / "uv", "sleep 60")), "HOME": str(tmp_path)})
    python(tmp_path / ".pyenv" / "versions" / "3.8.7" / "bin" / "python3.8", "3.8.7")
    assert found("3.8", uv, cache, tmp_path) == ("python3.8", "3.8.7")


@POSIX_ONLY
@pytest.mark.parametrize("kind", ["a file", "a loop", "nowhere", "a name too long", "unreadable"])
def test_a_root_of_pyenv_that_cannot_be_read_holds_nothing(tmp_path, cache, kind, monkeypatch):
    """Whether it is missing, no folder, or another user's."""
    root = tmp_path / ("x" * 300 if kind == "a name too long" else "root")
    if kind == "a file":
        root.touch()
    elif kind == "a loop":
        root.symlink_to(root)
    elif kind == "unreadable":
        (root / "versions").mkdir(parents=True)
        listdir, iterdir = os.listdir, Path.iterdir

        def refused(real):  # root may read all
            def read(folder):
                if Path(folder) == root / "versions":
                    raise PermissionError(13, "Permission denied", str(folder))
                return real(folder)

            return read

        monkeypatch.setattr(os, "listdir", refused(listdir))
        monkeypatch.setattr(os, "scandir", refused(os.scandir))
        monkeypatch.setattr(Path, "iterdir", refused(iterdir))
    fetched = python(tmp_path / "fetched", "3.8.3")
    uv = program(tmp_path / "uv", f"""case "$1" in python) echo '[]';; *) exec {fetched};; esac""")
    environment = {"UV": str(uv), "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYENV_ROOT": str(root)}
    assert found("3.8", Uv.find(environment), cache, tmp_path) == ("fetched", "3.8.3")


@POSIX_ONLY
def test_a_newer_release_that_comes_later_is_taken(tmp_path, cache):
    """As without a cache: which one is found depends on nothing but what is installed."""
    python(tmp_path / ".pyenv" / "versions" / "3.8.2" / "bin" / "python3.8", "3.8.2")
    assert found("3.8", listing(tmp_path), cache, tmp_path) == ("python3.8", "3.8.2")
    python(tmp_path / ".pyenv" / "versions" / "3.8.10" / "bin" / "python3.8", "3.8.10")
    assert found("3.8", listing(tmp_path), cache, tmp_path) == ("python3.8", "3.8.10")


@POSIX_ONLY
@pytest.mark.parametrize("folder", [".pyenv/versions/3.8.2", ".local/share/uv/python/cpython-3.8.2-linux-x86_64-gnu"])
def test_one_whose_folder_was_there_before_it_is_found_when_it_comes(tmp_path, cache, folder):
    """Installers make the folder first, and may take minutes to fill it."""
    path = tmp_path / folder / "bin" / "python3.8"
    path.parent.mkdir(parents=True)
    assert found("3.8", listing(tmp_path), cache, tmp_path, download=False) is None
    python(path, "3.8.2")
    assert found("3.8", listing(tmp_path, ("3.8.2", path, {})), cache, tmp_path, download=False) is not None


MOMENTS = {"killed": "kill -9 $$", "no memory": "exit 1", "cut short": "echo '{'; exit 0"}


@POSIX_ONLY
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_one_that_cannot_answer_for_a_moment_is_not_passed_over_for_good(tmp_path, cache, moment):
    trouble = tmp_path / "trouble"
    trouble.touch()
    old = python(tmp_path / "old", "3.8.1")
    answer = json.dumps({"path": str(tmp_path / "new"), "version": "3.8.9", "usable": True})
    new = program(tmp_path / "new", f"if [ -e {trouble} ]; then {moment}; fi; echo '{answer}'")
    uv = listing(tmp_path, ("3.8.1", old, {}), ("3.8.9", new, {}))
    assert found("3.8", uv, cache, tmp_path) == ("old", "3.8.1")
    trouble.unlink()
    assert found("3.8", uv, cache, tmp_path) == ("new", "3.8.9")


@POSIX_ONLY
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_that_uv_cannot_answer_for_a_moment_does_not_mean_that_there_is_none(tmp_path, cache, moment):
    trouble = tmp_path / "trouble"
    trouble.touch()
    rows = json.dumps([{"version": "3.8.1", "path": str(python(tmp_path / "python", "3.8.1"))}])
    program(tmp_path / "uv", f"if [ -e {trouble} ]; then {moment}; fi; echo '{rows}'")
    uv = Uv.find({"UV": str(tmp_path / "uv"), "HOME": str(tmp_path)})
    assert found("3.8", uv, cache, tmp_path, download=False) is None
    trouble.unlink()
    assert found("3.8", uv, cache, tmp_path, download=False) == ("python", "3.8.1")


@POSIX_ONLY
def test_what_uv_is_told_to_prefer_is_part_of_what_is_remembered(tmp_path, cache):
    rows = json.dumps([{"version": "3.8.1", "path": str(python(tmp_path / "python", "3.8.1"))}])
    program(tmp_path / "uv", f"[ \"$UV_PYTHON_PREFERENCE\" = system ] && echo '[]' || echo '{rows}'")

    def preferring(what):
        return Uv.find({"UV": str(tmp_path / "uv"), "HOME": str(tmp_path), "UV_PYTHON_PREFERENCE": what})

    for _ in range(2):
        assert found("3.8", preferring("system"), cache, tmp_path, download=False) is None
        assert found("3.8", preferring("managed"), cache, tmp_path, download=False) == ("python", "3.8.1")


@POSIX_ONLY
def test_the_configuration_of_a_project_hides_no_interpreter_from_all_the_others(tmp_path, cache):
    """What is found in one folder is remembered for every other."""
    other = next(version for version in ("3.12", "3.13") if version != MINOR)
    real = interpreter.find(other, Uv.find(os.environ), cache, cwd=tmp_path, download=False)
    if real is None:
        pytest.skip(f"no CPython {other} on this machine")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / f"python{other}").symlink_to(real.path)
    uv = Uv(executable=Uv.find(os.environ).executable, environment={"HOME": str(tmp_path), "PATH": str(bin_folder)})
    (tmp_path / "uv.toml").write_text('python-preference = "only-managed"\n')
    assert interpreter.find(other, uv, Cache(root=None), cwd=tmp_path, download=False) is not None
