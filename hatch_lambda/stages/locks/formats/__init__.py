"""The formats of lock files.

A new one is a module beside this file, which is a :class:`LockFormat`, and an entry of :data:`FORMATS`: discovery,
hints, the comparison with the project and README's table follow from these. Entries say how files are called, so that
no format is imported before its file is read.
"""

from __future__ import annotations

import os.path
import re
from fnmatch import fnmatchcase
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from hatch_lambda.stages.locks.lock import RESOLVED_NAME, Declared
from hatch_lambda.stages.locks.workspace import workspace_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import Lock, LockRequest


_RESOLVED = RESOLVED_NAME.removesuffix(".toml")
"""How the name of each lock begins that an sdist carries."""


class LockFormat(Protocol):
    """A module that knows one format."""

    @property
    def MAKER(self) -> str:  # noqa: N802 - a constant of the module
        """The command that makes the file, in backticks, as hints name it."""

    @property
    def ROW(self) -> tuple[str, str, str]:  # noqa: N802
        """What README's table says of it: what makes it, whether it has groups, how it is read."""

    def declared(self, project: Project) -> Declared:
        """Return what *project* says in the tables that this format's tools have in ``pyproject.toml``."""

    def unlocked(self, project: Project) -> str | None:
        """Name the place where *project* tells these tools alone what it needs; None where there is no such place."""

    def read(self, request: LockRequest) -> Lock:
        """Read a lock file. Raises LockError for one that is damaged or stale."""


def _uv() -> LockFormat:
    from hatch_lambda.stages.locks.formats import uv

    return uv


def _pylock() -> LockFormat:
    from hatch_lambda.stages.locks.formats import pylock

    return pylock


def _poetry() -> LockFormat:
    from hatch_lambda.stages.locks.formats import poetry

    return poetry


def _pdm() -> LockFormat:
    from hatch_lambda.stages.locks.formats import pdm

    return pdm


def _pipenv() -> LockFormat:
    from hatch_lambda.stages.locks.formats import pipenv

    return pipenv


def _requirements() -> LockFormat:
    from hatch_lambda.stages.locks.formats import requirements

    return requirements


def _own_folder(project: Project) -> Path:
    return project.root


class KnownFormat(Struct, frozen=True, kw_only=True):
    """How the files of a format are called and where they are, and how to import what reads them."""

    names: tuple[str, ...]
    """Names by which it is found; a ``*`` stands for one part between dots."""
    other_names: tuple[str, ...] = ()
    """Globs of what else a file may be called that the settings name."""
    needs_project: bool
    """Whether it belongs to a ``pyproject.toml``; else a folder with it alone has these dependencies."""
    load: Callable[[], LockFormat]
    folder: Callable[[Project], Path] = _own_folder
    """Where it is looked for."""

    def has_name(self, name: str) -> bool:
        """Tell whether a file with this *name* is one of the format."""
        patterns = (re.escape(own).replace(r"\*", "[^.]+") for own in self.names)
        return any(re.fullmatch(pattern, name) for pattern in patterns) or any(
            fnmatchcase(name, glob) for glob in self.other_names
        )

    def found_in(self, folder: Path) -> list[Path]:
        """Return what in *folder* is called so, by the first of its names that is there; sorted."""
        for name in self.names:
            if "*" not in name:
                found = [folder / name] if os.path.lexists(folder / name) else []
            else:
                found = [path for path in folder.glob(name) if self.has_name(path.name) and not is_resolved(path)]
            if found:
                return sorted(found)
        return []

    @property
    def shown(self) -> tuple[str, ...]:
        """Its names as people are told them."""
        return tuple(name.replace("*", "NAME") for name in (*self.names, *self.other_names))


FORMATS: tuple[KnownFormat, ...] = (
    KnownFormat(names=("uv.lock",), needs_project=True, load=_uv, folder=workspace_root),
    KnownFormat(names=("pylock.toml", "pylock.*.toml"), needs_project=False, load=_pylock),
    KnownFormat(names=("poetry.lock",), needs_project=True, load=_poetry),
    KnownFormat(names=("pdm.lock",), needs_project=True, load=_pdm),
    KnownFormat(names=("Pipfile.lock",), needs_project=True, load=_pipenv),
    KnownFormat(names=("requirements.txt",), other_names=("*.txt",), needs_project=False, load=_requirements),
)
"""In the order in which a project's lock is looked for, and in which people are told of them."""


def is_resolved(path: Path) -> bool:
    """Tell whether *path* is called like a lock that an sdist carries."""
    return path.name.startswith(_RESOLVED)


def declared(project: Project) -> Declared:
    """Return what *project* says in the tables of any tool."""
    return reduce(or_, (known.load().declared(project) for known in FORMATS), Declared())
