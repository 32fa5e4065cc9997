"""Commands with one environment, the interpreter of a version, and what it does with a package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
WORKLOADS = REPOSITORY / "tests" / "workloads"
LEAVE = "import os, sys; sys.stdout.flush(); os._exit(0)"
"""How a program ends that must not fail by what a library does at the interpreter's exit."""


@dataclass
class Shell:
    """Run commands with one environment."""

    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def run(self, *command, cwd, check=True, **variables):
        """Run *command* and return the finished process; a failure shows what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{command} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def hatch_lambda(self, *arguments, cwd, check=True, **variables):
        """Run our own command."""
        return self.run(sys.executable, "-m", "hatch_lambda", *arguments, cwd=cwd, check=check, **variables)

    def uv(self, *arguments, cwd, check=True, **variables):
        """Run uv."""
        return self.run(uv_executable(), *arguments, cwd=cwd, check=check, **variables)


def uv_executable() -> str:
    """Return the uv that belongs to the tested environment."""
    from uv import find_uv_bin

    return find_uv_bin()


def interpreter(version: str) -> str:
    """Find a CPython of *version* for running packages, or skip."""
    from hatch_lambda.core.uv import Uv

    uv = Uv.find(os.environ)
    found = subprocess.run(
        [uv.executable, "python", "find", "--no-python-downloads", "--no-project", version],
        env=dict(uv.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode != 0:
        pytest.skip(f"no CPython {version} on this machine: {found.stderr.strip()}")
    return found.stdout.strip()


def unpack(package: Path, folder: Path) -> Path:
    """Unpack a zip as Lambda does, with its permissions."""
    with zipfile.ZipFile(package) as archive:
        for entry in archive.infolist():
            path = Path(archive.extract(entry, folder))
            path.chmod(entry.external_attr >> 16 & 0o777)
    return folder


def run_handler(python: str, task: Path, handler: str, event: str = "{}") -> str:
    """Run a handler with nothing on ``sys.path`` but the package and the standard library."""
    program = textwrap.dedent(
        """
        import importlib, json, sys
        task, handler, event = sys.argv[1:]
        sys.path.insert(0, task)
        module, function = handler.rsplit(".", 1)
        print(json.dumps(getattr(importlib.import_module(module), function)(json.loads(event), None)))
        """
    )
    program += LEAVE
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", program, str(task), handler, event],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=task,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def locked_copy(shell: Shell, source: Path, folder: Path, requires_python: str | None = None) -> Path:
    """Copy a project and lock it, for other versions of Python if they are named.

    Locks carry addresses, so none is committed.
    """
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("uv.lock", "dist", "__pycache__"))
    if requires_python is not None:
        settings = folder / "pyproject.toml"
        text = settings.read_text(encoding="utf-8")
        changed = re.sub("(?m)^requires-python = .*$", f'requires-python = "{requires_python}"', text)
        settings.write_text(changed, encoding="utf-8")
    shell.uv("lock", "--quiet", cwd=folder)
    return folder
