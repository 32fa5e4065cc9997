"""Find an interpreter of a version on this machine, or let uv fetch one.

Which one is found depends on nothing but what is installed: not on the door, the folder, PATH's order or a virtual
environment that is switched on. Of several patch releases it is the newest.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_json
from hatch_lambda.core.log import logger
from hatch_lambda.core.process import TooSlowError, ask, names_in
from hatch_lambda.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.uv import Uv


_log = logger(__name__)

_KIND, _MISSING = "interpreters", "no-interpreters"

_SECONDS, _SECONDS_OF_UV, _SECONDS_TO_FETCH = 10.0, 60.0, 600.0
"""How long one interpreter may take to say what it is, uv to ask all that it finds, and uv to fetch one."""

_OF_THE_SEARCH = re.compile(r"UV_(?:NO_)?(?:MANAGED_)?PYTHON(?!_DOWNLOADS)\w*")
"""Variables that let uv see other interpreters."""

_EXE = ".exe" if os.name == "nt" else ""
_T = TypeVar("_T")

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

    With *download*, uv fetches one that is not there, as far as its configuration allows. What was found, or that there
    is none, is remembered for as long as the same interpreters are where they would be; but not where one of them, or
    uv, did not answer: the next time it may.
    """
    key = _key(wanted, uv)
    found = _remembered(cache, key, wanted)
    if found is not None:
        _log.debug("CPython %s is %s, as was found before", wanted, found.path)
        return found
    if not download and cache.get(_MISSING, key) is not None:
        _log.debug("there is no CPython %s, as was found before", wanted)
        return None
    search = _Search(wanted=wanted, uv=uv, cwd=cwd)
    found = search.usable()
    if found is None and download:
        found = search.fetched()
        key = _key(wanted, uv)
    _log.debug("CPython %s is %s", wanted, found.path if found is not None else "nowhere")
    if search.unanswered:
        _log.debug("not every interpreter answered: this is not remembered")
        return found
    if found is not None:
        known = _Known(path=str(found.path), version=found.version, state=_state(found.path))
        cache.put(_KIND, key, msgspec.json.encode(known))
    elif not download:
        cache.put(_MISSING, key, b"")
    return found


def nearby(wanted: str, uv: Uv, cache: Cache) -> Path | None:
    """Return one of the version *wanted* that can be told without starting anything; None where that takes more.

    It is for what any patch release does for, and is not asked whether it is what it is said to be.
    """
    if (remembered := _remembered(cache, _key(wanted, uv), wanted)) is not None:
        return remembered.path
    fitting = [(_numbers(version), path) for version, path in _at_hand(wanted, uv) if _fits(version, wanted)]
    return max(fitting)[1] if fitting else None


def missing(wanted: str, purpose: str, otherwise: str) -> MissingToolError:
    """Return the error that there is no CPython of the version *wanted*; *otherwise* tells how to do without."""
    return MissingToolError(
        f"there is no CPython {wanted} on this machine {purpose}, and uv could not fetch it",
        hint=f"run `uv python install {wanted}`, or {otherwise}",
    )


def _remembered(cache: Cache, key: str, wanted: str) -> Interpreter | None:
    payload = cache.get(_KIND, key)
    if payload is None:
        return None
    try:
        known = from_json(payload, _Known)
        path = Path(known.path)
        fits = path.is_absolute() and _fits(known.version, wanted) and _state(path) == known.state
        return Interpreter(path=path, version=known.version) if fits else None
    except (msgspec.MsgspecError, OSError, ValueError):
        return None


def _state(path: Path) -> tuple[int, ...]:
    """Return what changes when another interpreter takes the place of the one at *path*."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _key(wanted: str, uv: Uv) -> str:
    """Return a digest of what decides which interpreter is found: what lies where one would be, and how uv looks.

    Where a file lies is no part of it, so that a virtual environment more or less, which links to the same, changes
    nothing.
    """
    minor = _minor(wanted)
    folders = [Path(folder) for folder in uv.environment.get("PATH", "").split(os.pathsep) if folder]
    installed = [folder / f"{name}{_EXE}" for folder in folders for name in (f"python{minor}", "python3", "python")]
    for folder in _folders_of_uv(uv):
        installed += (
            *folder.glob(f"cpython-{minor}.*/bin/python{minor}"),
            *folder.glob(f"cpython-{minor}.*/python.exe"),
        )
    installed += (path for _, path in _at_hand(wanted, uv))
    states = set()
    for path in installed:
        with suppress(OSError):
            states.add(_state(path))
    options = sorted((name, value) for name, value in uv.environment.items() if _OF_THE_SEARCH.fullmatch(name))
    return digest(wanted, uv.executable, sorted(states), options)


def _folders_of_uv(uv: Uv) -> Iterator[Path]:
    """Yield where uv puts the interpreters that it fetches."""
    home = Path(uv.environment.get("HOME") or uv.environment.get("USERPROFILE") or "")
    data = Path(uv.environment.get("XDG_DATA_HOME") or home / ".local" / "share")
    yield Path(uv.environment.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield Path(uv.environment.get("APPDATA") or data, "uv", "data", "python")


class _Search(Struct, kw_only=True):
    """A search among what is on this machine."""

    wanted: str
    uv: Uv
    cwd: Path
    unanswered: bool = False
    """Whether somebody who was asked did not answer: it may be the moment's fault."""

    def usable(self) -> Interpreter | None:
        """Return the newest of those on this machine, each asked whether it is what it is said to be."""
        found = {path: version for version, path in self._candidates() if _fits(version, self.wanted)}
        for path in sorted(found, key=lambda path: (_numbers(found[path]), path), reverse=True):
            interpreter = self._asked([path])
            if interpreter is not None:
                return interpreter
        return None

    def fetched(self) -> Interpreter | None:
        """Let uv fetch one: it does that to run something, unless its configuration or the network forbids it."""
        options = ("--no-project", "--no-env-file", "--quiet", "--python", f"cpython@{self.wanted}")
        return self._asked([self.uv.executable, "run", *options, "--", "python"], _SECONDS_TO_FETCH)

    def _candidates(self) -> Iterator[tuple[str, str]]:
        """Yield versions and paths: what is at hand, and what uv lists, which no project's configuration restricts."""
        for version, path in _at_hand(self.wanted, self.uv):
            yield version, str(path)
        asked = ("python", "list", "--only-installed", "--output-format", "json", "--no-config", self.wanted)
        for row in self._answer([self.uv.executable, *asked], list[_Listed], _SECONDS_OF_UV) or ():
            if row.path is not None and row.variant == "default":
                yield row.version, row.path

    def _asked(self, command: list[str], seconds: float | None = None) -> Interpreter | None:
        """Return the interpreter that *command* starts, by its own word, if it is of the right version and usable."""
        answer = self._answer([*command, "-I", "-S", "-c", _QUERY], _Answer, seconds or _SECONDS)
        if answer is None or not (answer.usable and _fits(answer.version, self.wanted)):
            return None
        try:
            path = Path(answer.path)
            return Interpreter(path=path, version=answer.version) if path.is_file() else None
        except (ValueError, OSError):  # what answered may be anything
            return None

    def _answer(self, command: list[str], kind: type[_T], seconds: float) -> _T | None:
        """Return what a program answers that may be anything; None, noted, where that takes too long or is no answer.

        It may also be a uv that does not know the question; the other interpreters are left.
        """
        try:
            output = ask(command, cwd=self.cwd, environment=self.uv.environment, seconds=seconds)
            return from_json(output or "", kind)
        except (TooSlowError, OSError, msgspec.MsgspecError):  # it may be there only in part, or for a moment
            self.unanswered = True
            return None


def _at_hand(wanted: str, uv: Uv) -> Iterator[tuple[str, Path]]:
    """Yield versions and paths: what runs this, and what pyenv has behind its shims."""
    yield platform.python_version(), Path(sys.executable)
    root = uv.environment.get("PYENV_ROOT") or Path(uv.environment.get("HOME", "")) / ".pyenv"
    minor, versions = _minor(wanted), Path(root, "versions")
    for name in names_in(versions):
        path = versions / name / "bin" / f"python{minor}"
        if name.startswith(f"{minor}.") and os.access(path, os.X_OK):
            yield name, path


def _minor(wanted: str) -> str:
    return ".".join(wanted.split(".")[:2])


def _fits(version: str, wanted: str) -> bool:
    """Tell whether *version* is a release, and *wanted* or a patch release of it."""
    numbers = version.split(".")
    return all(map(str.isdecimal, numbers)) and numbers[: wanted.count(".") + 1] == wanted.split(".")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
