"""The smoke test of a build: what cannot be imported does not take the old package's place.

All wheels are made here, and the runtime is that of the interpreter which runs this.
"""

from __future__ import annotations

import sys
import zipfile

import pytest

from hatch_lambda import api
from hatch_lambda.errors import MissingToolError, VerificationError
from hatch_lambda.inspect.run import import_handler as importing
from hatch_lambda.inspect.run import machine
from hatch_lambda.pipeline import smoke
from tests.support.wheels import make_project, make_wheel

HERE = "python{}.{}".format(*sys.version_info)

pytestmark = pytest.mark.skipif(
    machine.machine() not in {"x86_64", "aarch64"} or not sys.platform.startswith("linux"),
    reason="this machine's Python is not of a Lambda runtime",
)


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Give a function that builds a project with one dependency and returns the codes of its findings."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    files = {
        "dep/__init__.py": "",
        "dep/part.py": "",
        "dep/tests/__init__.py": "",
        "dep/needed.py": "",
        "dep/bad.py": "def f(:",
    }
    wheel = make_wheel(tmp_path, "dep", files)
    project = make_project(tmp_path / "project", wheel)

    def build(code, **settings):
        (project / "app.py").write_text(code)
        architecture = "arm64" if machine.machine() == "aarch64" else "x86_64"
        chosen = {"runtime": HERE, "architecture": architecture, "handler": "app.handler", "output": "app.zip"}
        package = api.build(project, **{**chosen, **settings})
        return [finding.code for finding in package.findings if finding.code.startswith("HL13")]

    build.project = project  # type: ignore[attr-defined]
    build.package = project / "app.zip"  # type: ignore[attr-defined]
    return build


GOOD = "import dep.part\ndef handler(event, context): return 1\n"


def test_a_package_that_can_be_imported_is_built(build):
    """Without a word."""
    assert build(GOOD) == []
    assert build.package.is_file()


@pytest.mark.parametrize(
    ("code", "settings", "finding", "words"),
    [
        ("import nowhere", {}, "HL130", ["app.py:1", "No module named 'nowhere'"]),
        ("import dep.needed", {"patterns": ["dep/needed.py"]}, "HL130", ['patterns = ["!dep/needed.py"]']),
        ("from dep.part import missing", {}, "HL130", ["cannot import name 'missing'"]),
        ("def handler(:", {}, "HL113", ["app.py", "SyntaxError", "(line 1)"]),
        ("import dep.bad", {}, "HL132", ["dep/bad.py:1", "SyntaxError"]),
        ("x = 1", {}, "HL133", ["'handler'"]),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {}, "HL134", ["signal 9"]),
        ("import ctypes; ctypes.CDLL('libnowhere.so.1')", {}, "HL131", ["libnowhere.so.1"]),
    ],
)
def test_what_cannot_be_imported_fails_the_build_and_leaves_the_old_package(code, settings, finding, words, build):
    """With the module, the line, and the remedy."""
    build(GOOD)
    old = build.package.read_bytes()

    with pytest.raises(VerificationError) as caught:
        build(code, **settings)

    assert finding in caught.value.message
    assert all(word in str(caught.value) for word in words)
    assert build.package.read_bytes() == old
    assert not list(build.project.glob(".app.zip*"))


def test_the_host_s_own_distributions_are_no_help(build):
    """It is there, but not in the package."""
    with pytest.raises(VerificationError, match="No module named 'pytest'"):
        build("import pytest")


@pytest.mark.parametrize("code", ["import os\nos.environ['TABLE']\n" + GOOD, "raise SystemExit(3)", "import boto3"])
def test_what_the_environment_may_be_to_blame_for_warns(code, build):
    """And the package is built."""
    assert build(code) == ["HL138" if "boto3" in code else "HL135"]
    assert build.package.is_file()


def test_verify_env_gives_what_is_missing(build):
    """As the warning says."""
    assert build("import os\nos.environ['TABLE']\n" + GOOD, verify_env={"TABLE": "x"}) == []


def test_layers_bring_what_the_package_does_not(build):
    """As on Lambda; and another layer is another result."""
    with pytest.raises(VerificationError, match="layered"):
        build("import layered\n" + GOOD)
    layer = build.project / "layer.zip"
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/layered.py", "")
    assert build("import layered\n" + GOOD, layers=["layer.zip"]) == []
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("python/other.py", "")
    with pytest.raises(VerificationError, match="layered"):
        build("import layered\n" + GOOD, layers=["layer.zip"])


def test_what_is_expected_is_a_note(build):
    """Whatever finds it: here it is the last that a build does."""
    assert build("import nowhere", verify_ignore=["HL130"]) == ["HL130"]
    assert build.package.is_file()


def test_an_unchanged_package_is_not_imported_again(build, monkeypatch):
    """Neither with the same environment; but with another."""
    runs = []
    monkeypatch.setattr(smoke, "_run", lambda *_: runs.append(1) or [])

    for variables in ({}, {}, {"TABLE": "x"}, {}):
        build(GOOD, verify_env=variables)
    build(GOOD + "# edited\n")

    assert len(runs) == 3


def test_a_package_that_failed_is_imported_again(build):
    """What was missing may be there now, on this machine."""
    for _ in range(2):
        with pytest.raises(VerificationError):
            build("import nowhere")


MOMENTS = {
    "too slow": "import time; time.sleep(60)",
    "no connection": "raise ConnectionRefusedError(111, 'Connection refused')",
    "no memory": "raise MemoryError",
    "no space": "raise OSError(28, 'No space left on device')",
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_what_may_be_the_fault_of_the_moment_is_tried_again(build, monkeypatch, tmp_path, moment):
    """The package, which did not change, says nothing about it; and what came of the second try is kept."""
    monkeypatch.setattr(importing, "_SECONDS", 1.0)
    trouble = tmp_path / "trouble"
    trouble.touch()
    code = f"import os\nif os.path.exists({str(trouble)!r}):\n    {moment}\n{GOOD}"
    assert build(code) == ["HL135"]
    trouble.unlink()
    assert build(code) == []
    trouble.touch()
    assert build(code) == []


def test_what_every_run_would_say_is_kept(build, monkeypatch):
    assert build("import boto3") == ["HL138"]
    monkeypatch.setattr(smoke, "_run", lambda *_: pytest.fail("it was run again"))
    assert build("import boto3") == ["HL138"]


def test_static_runs_nothing(build):
    """Not even what would fail."""
    assert build("import nowhere", verify="static") == []


def test_without_a_handler_nothing_is_run(build):
    """A warning says so where running was asked for."""
    assert build("import nowhere", handler=None) == []
    assert build("import nowhere", handler=None, verify="import") == ["HL136"]


def test_a_package_for_another_machine_is_not_run_unless_that_is_asked_for(build, monkeypatch):
    """A note says so."""
    monkeypatch.setattr(machine, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", "")
    assert build("import nowhere") == ["HL136"]
    with pytest.raises(MissingToolError, match="riscv64"):
        build("import nowhere", verify="import")


def test_events_have_to_be_there(build):
    """None is no proof."""
    assert build(GOOD, verify="invoke", verify_events=("events/*.json",)) == ["HL136"]
