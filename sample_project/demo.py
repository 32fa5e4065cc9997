"""Build this project for Lambda and run the package: ``python sample_project/demo.py``.

It needs Python 3.11 or newer with pip, nothing else, and keeps what it makes in the clone's ``.demo``.
hatch-lambda is installed from the clone every time, into an environment of its own, and its wheel in
``.demo/wheels`` is found when the build of this project asks for it: no index has to have it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = Path(__file__).resolve().parent
CLONE = SAMPLE.parent
WORK = CLONE / ".demo"
WHEELS, TOOL, TASK, PACKAGE = WORK / "wheels", WORK / "tool", WORK / "task", WORK / "sample.zip"
UV = WORK / "uv" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
HATCH_LAMBDA = TOOL / ("Scripts" if os.name == "nt" else "bin") / "hatch-lambda"

# Run with -I and -S: this interpreter has its standard library and the unpacked package, and nothing else.
INVOKE = """
import importlib, json, pathlib, sys
task, handler, event = sys.argv[1:]
sys.path.insert(0, task)
module, _, function = handler.rpartition(".")
handle = getattr(importlib.import_module(module), function)
response = handle(json.loads(pathlib.Path(event).read_text(encoding="utf-8")), None)
print(response["statusCode"], json.dumps(json.loads(response["body"]), indent=2))
sys.exit(0 if response["statusCode"] == 201 else "expected the status 201")
"""


def main() -> None:
    """Go from a fresh clone to the answer of the packaged function."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python should hear it, too
        sys.exit(f"This needs Python 3.11 or newer, and is run by {platform.python_version()}.")
    began = time.monotonic()
    if not UV.is_file():
        with step("pip: get uv"):
            get_uv()
    with step("uv: build and install hatch-lambda"):
        wheel = make_wheel()
        uv("venv", "--clear", TOOL)
        run(UV, "pip", "install", "--quiet", "--python", TOOL, wheel)
    with step(f"uv: lock {shown(SAMPLE)}"):
        uv("lock", "--project", SAMPLE)

    obstacle = why_not_here()
    runtime = "python3.13" if obstacle else "python{}.{}".format(*sys.version_info)
    architecture = "arm64" if not obstacle and platform.machine() == "aarch64" else "x86_64"
    build = ("build", SAMPLE, "--runtime", runtime, "--architecture", architecture, "--output", PACKAGE)
    with step(f"hatch-lambda {' '.join(map(shown, build))}", prints=True):
        run(HATCH_LAMBDA, *build, prints=True, environment={**os.environ, **find_links(wheel.parent)})
    if obstacle:
        print(f"The package is not run here: {obstacle}.")
    else:
        with step("unzip the package, and call its handler in a fresh interpreter", prints=True):
            invoke()
    print(f"{shown(PACKAGE)}: {PACKAGE.stat().st_size / 1e6:.1f} MB, in {time.monotonic() - began:.1f} s")


def get_uv() -> None:
    """Install uv into a folder: pip does that without root rights, without a venv, and under PEP 668."""
    settings = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    install = ("-m", "pip", "install", "--quiet", "--target", UV.parent.parent, "uv>=0.9")
    run(sys.executable, *install, environment={**os.environ, **settings})


def make_wheel() -> Path:
    """Build hatch-lambda's wheel, into a folder named after its content.

    uv's cache knows a wheel that it found in a folder by the folder and the wheel's name, and would
    give a later build the older wheel.
    """
    rmtree(WHEELS, ignore_errors=True)
    uv("build", "--wheel", "--out-dir", WHEELS, CLONE)
    (wheel,) = WHEELS.glob("*.whl")
    folder = WHEELS / hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]
    folder.mkdir()
    return wheel.rename(folder / wheel.name)


def find_links(folder: Path) -> dict[str, str]:
    """Return the variables that let builds find what is in *folder*, beside what the user lets them find."""
    return {
        name: separator.join(filter(None, (os.environ.get(name), folder.as_uri())))
        for name, separator in (("UV_FIND_LINKS", ","), ("PIP_FIND_LINKS", " "))
    }


def why_not_here() -> str | None:
    """Say what keeps a package for Lambda from running in this interpreter, if anything does."""
    version = "{}.{}".format(*sys.version_info)
    runtimes = (CLONE / "hatch_lambda" / "config" / "runtimes.toml").read_text(encoding="utf-8")
    if f'name = "python{version}"' not in runtimes:
        return f"Lambda has no runtime for Python {version}"
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "Lambda's interpreter is CPython with its global lock, and this is another"
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return f"Lambda's system is Linux with glibc, and this is {platform.platform(terse=True)}"
    if platform.machine() not in {"x86_64", "aarch64"}:
        return f"Lambda's machines are x86_64 and aarch64, and this is {platform.machine()}"
    return None


def invoke() -> None:
    """Call the handler as Lambda does, in an environment that says nothing of this user's AWS account."""
    rmtree(TASK, ignore_errors=True)
    with zipfile.ZipFile(PACKAGE) as package:
        package.extractall(TASK)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    event = SAMPLE / "events" / "create_thumbnail.json"
    arguments = (INVOKE, TASK, "sample_project.app.handler", event)
    run(sys.executable, "-I", "-S", "-B", "-c", *arguments, prints=True, environment=environment)


def uv(command: str, *arguments: str | Path) -> None:
    """Run one of uv's commands with the interpreter that runs this."""
    run(UV, command, "--quiet", "--python", sys.executable, *arguments)


def run(*command: str | Path, prints: bool = False, environment: dict[str, str] | None = None) -> None:
    """Run a program to its end; exit with what it printed, if it fails."""
    output = None if prints else subprocess.PIPE
    done = subprocess.run(
        list(map(str, command)),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        if done.stdout:
            print(f"\n{done.stdout}", file=sys.stderr)
        sys.exit(f"{Path(command[0]).name} failed with exit code {done.returncode}")


@contextmanager
def step(title: str, *, prints: bool = False) -> Iterator[None]:
    """Announce a step and, when it has succeeded, say how long it took."""
    began = time.monotonic()
    print(f"==> {title}", end="\n" if prints else " ... ", flush=True)
    yield
    print(f"{time.monotonic() - began:.1f} s", end="\n\n" if prints else "\n", flush=True)


def shown(argument: str | Path) -> str:
    """Return an argument as one would type it in the clone."""
    is_inside = isinstance(argument, Path) and argument.is_relative_to(CLONE)
    return shlex.quote(str(Path(argument).relative_to(CLONE)) if is_inside else str(argument))


if __name__ == "__main__":
    main()
