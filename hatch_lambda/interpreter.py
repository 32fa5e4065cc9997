"""Find an interpreter of a version on this machine, or let uv fetch one.

Which one is found depends on nothing but what is installed: not on the door, the folder, PATH's order or a virtual
environment that is switched on. Of several patch releases it is the newest.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hatch_lambda.cache import digest
from hatch_lambda.decoding import from_json
from hatch_lambda.errors import MissingToolError
from hatch_lambda.process import TooSlowError, ask, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.cache import Cache
    from hatch_lambda.process import Uv

_KIND, _MISSING = "interpreters", "no-interpreters"

_SECONDS, _SECONDS_OF_UV, _SECONDS_TO_FETCH = 10.0, 60.0, 600.0
"""How long one interpreter may take to say what it is, uv to ask all that it finds, and uv to fetch one."""

_QUERY = """
import json, platform, sys
version = sys.version_info
# `_base_executable`: of a virtual environment, which may be gone tomorrow, what it was made of.
print(json.dumps({
    "path": getattr(sys, "_base_executable", None) or sys.executable,
    "version": platform.python_version(),
    "usable": sys.implementation.name == "cpython" and version.releaselevel == "final"
    and not hasattr(sys, "gettotalrefcount") and "free-threading" not in sys.version,
}))
"""


class Interpreter(Struct, frozen=True, kw_only=True):
    """A CPython that runs on this machine: a release, with neither debugging checks nor free threading."""

    path: Path
    version: str
    """Its full version, such as ``3.13.7``."""


class _Answer(msgspec.Struct, frozen=True):
    """What an interpreter says of itself."""

    path: str
    version: str
    usable: bool


class _Known(msgspec.Struct, frozen=True):
    """What an interpreter said when its file was as *state* tells."""

    path: str
    version: str
    state: tuple[int, ...]


class _Listed(msgspec.Struct, frozen=True):
    """What is read of a row of ``uv python list``."""

    version: str
    path: str | None = None
    variant: str = "default"


def find(wanted: str, uv: Uv, cache: Cache, *, cwd: Path, download: bool = True) -> Interpreter | None:
    """Return a CPython of the version *wanted* (``3.13``, or exactly ``3.13.7``); None where there is none.

    With *download*, uv fetches one that is not there, as far as its configuration allows. What was found is
    remembered for as long as the file of the interpreter stays as it is; and that there is none, for as long as
    nothing came to the places where one would be.
    """
    key = digest(wanted)
    found = _remembered(cache, key)
    if found is not None:
        return found
    nowhere = digest(wanted, uv.executable, _places(uv))
    if not download and cache.get(_MISSING, nowhere) is not None:
        return None
    found, in_time = _usable(wanted, uv, cwd)
    if found is None and download:
        found = _fetched(wanted, uv, cwd)
    if found is not None:
        known = _Known(path=str(found.path), version=found.version, state=_state(found.path))
        cache.put(_KIND, key, msgspec.json.encode(known))
    elif not download and in_time:
        cache.put(_MISSING, nowhere, b"")
    return found


def nearby(wanted: str, uv: Uv, cache: Cache) -> Path | None:
    """Return one of the version *wanted* that can be told without starting anything; None where that takes more.

    It is for what any patch release does for, and is not asked whether it is what it is said to be.
    """
    if (remembered := _remembered(cache, digest(wanted))) is not None:
        return remembered.path
    fitting = [(_numbers(version), path) for version, path in _at_hand(wanted, uv) if _fits(version, wanted)]
    return Path(max(fitting)[1]) if fitting else None


def missing(wanted: str, purpose: str, otherwise: str) -> MissingToolError:
    """Return the error that there is no CPython of the version *wanted*; *otherwise* tells how to do without."""
    return MissingToolError(
        f"there is no CPython {wanted} on this machine {purpose}, and uv could not fetch it",
        hint=f"run `uv python install {wanted}`, or {otherwise}",
    )


def _remembered(cache: Cache, key: str) -> Interpreter | None:
    payload = cache.get(_KIND, key)
    if payload is None:
        return None
    try:
        known = from_json(payload, _Known)
        path = Path(known.path)
        return Interpreter(path=path, version=known.version) if _state(path) == known.state else None
    except (msgspec.MsgspecError, OSError):
        return None


def _state(path: Path) -> tuple[int, ...]:
    """Return what changes when another interpreter takes the place of the one at *path*."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _places(uv: Uv) -> list[tuple[str, int]]:
    """Return the folders in which interpreters appear, and when something last came or went there."""
    home = Path(uv.environment.get("HOME") or uv.environment.get("USERPROFILE") or "")
    data = Path(uv.environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    folders = [
        *filter(None, uv.environment.get("PATH", "").split(os.pathsep)),
        uv.environment.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python",
        Path(uv.environment.get("APPDATA") or data, "uv", "data", "python"),
        Path(uv.environment.get("PYENV_ROOT") or home / ".pyenv", "versions"),
        *(sys.executable, uv.environment.get("VIRTUAL_ENV", sys.prefix)),
    ]
    found = []
    for folder in folders:
        with suppress(OSError):
            found.append((str(folder), Path(folder).stat().st_mtime_ns))
    return found


def _usable(wanted: str, uv: Uv, cwd: Path) -> tuple[Interpreter | None, bool]:
    """Return the newest on this machine that is what it is said to be, and whether all had time to say so."""
    found: dict[str, str] = {}
    in_time = True
    try:
        for version, path in _candidates(wanted, uv, cwd):
            if _fits(version, wanted):
                found[path] = version  # noqa: PERF403 - those before one that hangs count
    except TooSlowError:  # uv asks every one that is on PATH
        in_time = False
    for path in sorted(found, key=lambda path: (_numbers(found[path]), path), reverse=True):
        try:
            interpreter = _asked([path], wanted, uv, cwd)
        except TooSlowError:
            in_time = False
            continue
        if interpreter is not None:
            return interpreter, in_time
    return None, in_time


def _candidates(wanted: str, uv: Uv, cwd: Path) -> Iterator[tuple[str, str]]:
    """Yield versions and paths: what is at hand, and what uv lists."""
    yield from _at_hand(wanted, uv)
    command = (uv.executable, "python", "list", "--only-installed", "--output-format", "json", wanted)
    try:
        listed = ask(command, cwd=cwd, environment=uv.environment, seconds=_SECONDS_OF_UV)
        for row in from_json(listed or "[]", list[_Listed]):
            if row.path is not None and row.variant == "default":
                yield row.version, row.path
    except msgspec.MsgspecError:  # a uv that does not know this; the others are left
        return


def _at_hand(wanted: str, uv: Uv) -> Iterator[tuple[str, str]]:
    """Yield versions and paths: what runs this, and what pyenv has behind its shims."""
    yield platform.python_version(), sys.executable
    root = uv.environment.get("PYENV_ROOT") or Path(uv.environment.get("HOME", "")) / ".pyenv"
    minor, versions = ".".join(wanted.split(".")[:2]), Path(root, "versions")
    for name in names_in(versions):
        path = versions / name / "bin" / f"python{minor}"
        if name.startswith(f"{minor}.") and os.access(path, os.X_OK):
            yield name, str(path)


def _fetched(wanted: str, uv: Uv, cwd: Path) -> Interpreter | None:
    """Let uv fetch one: it does that to run something, unless its configuration or the network forbids it."""
    command = [uv.executable, "run", "--no-project", "--no-env-file", "--quiet", "--python", f"cpython@{wanted}"]
    try:
        return _asked([*command, "--", "python"], wanted, uv, cwd, seconds=_SECONDS_TO_FETCH)
    except TooSlowError:
        return None


def _asked(command: list[str], wanted: str, uv: Uv, cwd: Path, *, seconds: float | None = None) -> Interpreter | None:
    """Return the interpreter that *command* starts, by its own word, if it is of the version *wanted* and usable.

    It may be anything that has such a name. Raises TooSlowError.
    """
    output = ask([*command, "-I", "-S", "-c", _QUERY], cwd=cwd, environment=uv.environment, seconds=seconds or _SECONDS)
    try:
        answer = from_json(output or "", _Answer)
        fits = answer.usable and _fits(answer.version, wanted) and Path(answer.path).is_file()
    except (msgspec.MsgspecError, ValueError, OSError):
        return None
    path = Path(answer.path)
    return Interpreter(path=path, version=answer.version) if fits else None


def _fits(version: str, wanted: str) -> bool:
    """Tell whether *version* is a release, and *wanted* or a patch release of it."""
    numbers = version.split(".")
    return all(map(str.isdecimal, numbers)) and numbers[: wanted.count(".") + 1] == wanted.split(".")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
