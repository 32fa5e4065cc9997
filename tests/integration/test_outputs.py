"""Standard output and standard error that are full, closed, or read by nobody; a folder that is gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wheels import make_project

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shells are those of POSIX")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
COMMANDS = ["build", "build --json", "explain .", "schema", "--help", "rules", "build .  .", "cache info"]
RUN = f"{sys.executable} -m hatch_lambda"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    return make_project(tmp_path / "service", settings='output = "dist/app.zip"')


def shell(line, cwd, **variables):
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


@FULL
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_result_that_cannot_be_written_is_an_error_in_one_line(command, unbuffered, project):
    """Whoever reads the file that it went to must not take it for whole."""
    done = shell(f"{RUN} {command} > /dev/full", project, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1, done.stderr
    last = [line for line in done.stderr.splitlines() if not line.endswith(" ...")]
    assert last == [
        "error: standard output: No space left on device", " hint: let it go where it can be written"
    ]  # fmt: skip


@FULL
@pytest.mark.parametrize("closed", ["2> /dev/full", "2>&-"])
def test_what_cannot_be_told_beside_the_result_is_no_error(closed, project):
    """The package is made, and the result is told."""
    done = shell(f"{RUN} build {closed}", project)
    assert done.returncode == 0
    assert "app.zip" in done.stdout
    failed = shell(f"{RUN} build --runtime=nonsense {closed}", project)
    assert failed.returncode == 3
    assert shell(f"{RUN} --nonsense {closed}", project).returncode == 2


@FULL
@pytest.mark.parametrize("where", ["> /dev/full 2>&1", ">&- 2>&- <&-", "> /dev/full 2>&-"])
def test_nobody_to_tell_anything_is_no_reason_for_another_code(where, project):
    """Of all three the package is made."""
    done = shell(f"{RUN} build {where}", project)
    assert done.returncode == (1 if "full" in where else 0)
    assert (project / "dist" / "app.zip").is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_was_closed_is_not_wanted(command, project):
    """No file that is opened later becomes it."""
    done = shell(f"{RUN} {command} >&-", project)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr


def test_a_current_folder_that_is_gone_is_told(project, tmp_path):
    """By every command alike."""
    for command in COMMANDS:
        gone = tmp_path / "gone"
        gone.mkdir()
        done = shell(f"rmdir {gone}; {RUN} {command}", gone)
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("error: the current folder cannot be used: No such file"), done.stderr
        shutil.rmtree(gone, ignore_errors=True)
