"""Whatever environment a build runs in: the same package, or an error that names the variable."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.support.wheels import make_project, make_wheel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="umask, HOME and locales are those of POSIX")

CONFIGURATION = 3
OTHER_LETTERS = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

BUILDS = {
    "HOME unset": {"HOME": None, "XDG_CACHE_HOME": None, "XDG_DATA_HOME": None},
    "HOME empty": {"HOME": ""},
    "HOME relative": {"HOME": "here"},
    "TMPDIR missing": {"TMPDIR": "/nonexistent/tmp"},
    "TMPDIR a file": {"TMPDIR": "/etc/hosts"},
    "LANG=C": {"LANG": "C", "LC_ALL": "C"},
    "an unknown locale": {"LC_ALL": "xx_YY.unknown"},
    "standard streams in ASCII": {"PYTHONIOENCODING": "ascii"},
    "COLUMNS=1": {"COLUMNS": "1", "LINES": "1"},
    "COLUMNS no number": {"COLUMNS": "wide"},
    "PYTHONPATH with noise": {"PYTHONPATH": "noise"},
    "PYTHONOPTIMIZE": {"PYTHONOPTIMIZE": "2"},
    "warnings are errors": {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1", "PYTHONWARNDEFAULTENCODING": "1"},
    "PYTHONHOME": {"PYTHONHOME": sys.base_prefix},
    "PYTHONSAFEPATH": {"PYTHONSAFEPATH": "1"},
    "bytecode elsewhere": {"PYTHONPYCACHEPREFIX": "bytecode"},
}
REFUSALS = {
    "HOME a file": ({"HOME": "/etc/hosts", "UV_CACHE_DIR": None, "XDG_CACHE_HOME": None}, 1, "UV_CACHE_DIR"),
    "names in ASCII": (OTHER_LETTERS, CONFIGURATION, "PYTHONUTF8=1"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Give a wheel with names that not every locale has."""
    return make_wheel(tmp_path_factory.mktemp("wheels"), "dep", {"dep/__init__.py": "", "dep/naïve.txt": "ä"})


def build(folder, wheel, variables, mask=0o022):
    """Build a project with bytecode, which its handler is imported with, and return the process and the digest."""
    project = make_project(folder / "sérvice", wheel, settings='handler = "app.handler"', bytecode="include")
    (project / "app.py").write_text("import dep\ndef handler(event, context):\n    'Document it.'\n")
    (project / "über.txt").write_text("x")
    (project / "noise").mkdir()
    (project / "noise" / "sitecustomize.py").write_text("print('noise')\n")
    environment = {**os.environ, "UV_OFFLINE": "1", "HATCH_LAMBDA_CACHE_DIR": str(folder / "cache")} | variables
    done = subprocess.run(
        [sys.executable, "-m", "hatch_lambda", "build", "-o", "app.zip"],
        cwd=project,
        env={name: value for name, value in environment.items() if value is not None},
        umask=mask,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    package = project / "app.zip"
    return done, hashlib.sha256(package.read_bytes()).hexdigest() if package.exists() else None


@pytest.fixture(scope="module")
def usual(tmp_path_factory, wheel):
    """Give the digest of what an ordinary environment makes."""
    done, digest = build(tmp_path_factory.mktemp("usual"), wheel, {})
    assert done.returncode == 0, done.stderr
    return digest


@pytest.mark.parametrize("variables", BUILDS.values(), ids=BUILDS)
def test_the_environment_changes_no_byte(variables, usual, wheel, tmp_path):
    done, digest = build(tmp_path, wheel, variables)
    assert done.returncode == 0, done.stderr
    assert digest == usual
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_neither_does_the_umask(mask, usual, wheel, tmp_path):
    if mask == 0o777 and os.geteuid() != 0:
        pytest.skip("only root could read what it made")
    done, digest = build(tmp_path, wheel, {}, mask)
    assert done.returncode == 0, done.stderr
    assert digest == usual


@pytest.mark.parametrize(("variables", "code", "remedy"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_work_is_an_error_that_names_the_variable(variables, code, remedy, wheel, tmp_path):
    done, digest = build(tmp_path, wheel, variables)
    assert digest is None
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert remedy in done.stderr.partition(" hint: ")[2]
