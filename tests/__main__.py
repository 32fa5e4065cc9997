"""Set up and run the tests: ``python -m tests``, with pytest's arguments if there are any.

It needs Python 3.11 or newer with pip, nothing else. The environment is made in ``.venv-tests`` by uv, so that
the venv module, which some systems keep apart, is not needed.

    python -m tests                        what a contributor needs, in some minutes
    python -m tests --all                  everything
    python -m tests tests/unit             one folder
    python -m tests -m "not registry"      none that need a package registry
    python -m tests -n 0 -x -k zip         in one process, to the first failure, by name
    python -m tests --lowest tests/unit    with the lowest versions that pyproject.toml allows
    python -m tests --cov                  with the coverage of it and of the processes that it starts
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
WORK = CLONE / ".venv-tests"
UV = WORK / "uv" / "bin" / ("uv.exe" if os.name == "nt" else "uv")
LOWEST = "--lowest"
VENV = WORK / "{}.{}{}".format(*sys.version_info[:2], LOWEST if LOWEST in sys.argv else "")
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")


def main(arguments: list[str]) -> None:
    """Make the environment, or bring it up to date, and run pytest in it."""
    resolution = "lowest-direct" if LOWEST in arguments else "highest"
    arguments = [argument for argument in arguments if argument != LOWEST]
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python should hear it, too
        sys.exit(f"This needs Python 3.11 or newer, and is run by {platform.python_version()}.")
    if not UV.is_file():
        print("==> pip: get uv", flush=True)
        settings = {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_ROOT_USER_ACTION": "ignore"}
        command = ("-m", "pip", "install", "--quiet", "--target", UV.parent.parent, "uv>=0.9")
        run(sys.executable, *command, environment={**os.environ, **settings})
    print(f"==> uv: prepare {VENV.relative_to(CLONE)}", flush=True)
    run(UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, VENV)
    install = (UV, "pip", "install", "--quiet", "--python", VENV, "--resolution", resolution)
    run(*install, "--editable", CLONE, "--group", "test")
    print("==> pytest", flush=True)
    run(BIN / "python", "-m", "pytest", "-n", "2", *arguments, environment=activated())


def activated() -> dict[str, str]:
    """Return the environment variables of a shell in which the environment is activated.

    pyenv's commands, of which uv asks the Pythons for other versions, answer for those that are switched on: all
    that the tests can use are, this one before the others.
    """
    path = os.pathsep.join(filter(None, (str(BIN), os.environ.get("PATH"))))
    variables = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": path}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [re.fullmatch(r"3\.(\d+)\.(\d+)", folder.name) for folder in root.glob("versions/*")]
    versions = {match[0]: (int(match[1]), int(match[2])) for match in found if match and int(match[1]) >= 10}
    if versions:
        this = platform.python_version()
        order = sorted(versions, key=lambda name: (name == this, versions[name]), reverse=True)
        variables["PYENV_VERSION"] = ":".join(order)
    return variables


def run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    """Run a program in the clone; exit with its code if it fails."""
    done = subprocess.run(list(map(str, command)), cwd=CLONE, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
