"""The values of this stage: what is asked for, what a format is given, and what it gives back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct
from packaging.utils import canonicalize_name

from hatch_lambda.core.codec import LOCK_LIMIT, Document, load
from hatch_lambda.core.text import did_you_mean
from hatch_lambda.errors import ConfigurationError, LockError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.pylock import Pylock

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import LockSettings
    from hatch_lambda.core.model import Finding
    from hatch_lambda.core.uv import Uv


RESOLVED_NAME = "pylock.hatch-lambda.toml"
"""The resolved lock that an sdist carries, beside the user's own."""


def resolved_name(function: str | None) -> str:
    """Return the name of the resolved lock that an sdist carries: each function has its own."""
    return f"pylock.hatch-lambda-{function}.toml" if function else RESOLVED_NAME


class LockTerms(Struct, frozen=True, kw_only=True):
    """Hold all that has a say about locks beside the project and the target: their settings, others', and the door."""

    settings: LockSettings
    may_create: bool
    """Whether a missing ``uv.lock`` may be made; only where a person runs a command in the project."""
    in_source_tree: bool
    """False in an unpacked sdist, where uv would find every lock stale."""
    unattended: str | None = None
    """What tells that nobody watches; None where a person may."""
    may_build: bool = True
    """Whether a distribution without a wheel for the target may be built."""
    vendor: tuple[str, ...] = ()
    """Wheels of the user, relative to the project."""
    function: str | None = None
    """Which of the project's functions it is for."""


class Lock(Struct, frozen=True, kw_only=True):
    """A lock file in its normal form.

    Local paths in :attr:`pylock` are relative to the folder of :attr:`path`, whatever tool wrote them.
    """

    path: Path
    """The user's lock file. It need not exist: a project without dependencies needs none."""
    pylock: Pylock
    findings: tuple[Finding, ...]
    stands_alone: bool
    """Whether with the same file, project and settings the same is chosen; else other files on this machine decide,
    too: folders that it names, files that it includes or lists without a hash."""
    asks_an_index: bool
    """Whether an index said which files there are, for the file has no addresses: it may have lacked a wheel."""
    maker: str
    """The command that brings the file up to date."""
    has_groups_chosen: bool = False
    """Whether only what the chosen groups need was read; else the markers in it tell the groups."""
    vouched: bool = False
    """Whether the tool that wrote it has confirmed that it fits the project."""


class LockRequest(Struct, frozen=True, kw_only=True):
    """What a format needs to read one lock file."""

    path: Path
    project: Project
    terms: LockTerms
    uv: Uv
    work: Path
    """A folder for what is made on the way."""
    maker: str
    """The command that makes the file, as its format names it."""
    python: Path | None = None
    """An interpreter of the target's version, where one is at hand: uv would have to look for one."""

    @property
    def settings(self) -> LockSettings:
        """The settings of locks."""
        return self.terms.settings

    @property
    def shown(self) -> str:
        """The file as messages name it."""
        return shown(self.path, self.project)

    @property
    def document(self) -> Document:
        """How to read the file."""
        return lock_document(self.path, self.shown, f"run {self.maker}")


def lock_document(path: Path, shown: str, hint: str) -> Document:
    """Return how to read the lock file *path*; what is wrong with it is a LockError."""
    return Document(path=path, shown=shown, family=LockError, hint=hint, limit=LOCK_LIMIT)


def shown(path: Path, project: Project) -> str:
    """Name *path* as a person in the project's folder would: relative inside of it, else whole."""
    relative = os.path.relpath(path, project.root) if path.is_relative_to(project.root) else str(path)
    return relative.replace(os.sep, "/")


class Declared(Struct, frozen=True, kw_only=True):
    """What a project says in the tables of a tool, beside the standard ones."""

    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    direct: frozenset[str] = frozenset()
    """Normalized names of what the project itself needs."""
    exempt: frozenset[str] = frozenset()
    """Normalized names of which the tool locks something else than the standard tables ask for."""

    def __or__(self, other: Declared) -> Declared:
        return Declared(
            extras=self.extras | other.extras,
            groups=self.groups | other.groups,
            direct=self.direct | other.direct,
            exempt=self.exempt | other.exempt,
        )


def normalized(names: Iterable[str]) -> frozenset[str]:
    """Return *names* as PEP 503 writes them."""
    return frozenset(map(canonicalize_name, names))


class _RuntimePackages(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``runtime_packages.toml``."""

    names: tuple[str, ...]


def runtime_packages() -> tuple[str, ...]:
    """Return the names of the distributions that the runtime brings."""
    return load("stages/locks/runtime_packages.toml", _RuntimePackages).names


def excluded_names(settings: LockSettings) -> frozenset[str]:
    """Return the normalized names of what is to be left out."""
    return normalized((*settings.exclude_packages, *(runtime_packages() if settings.exclude_runtime_packages else ())))


ALL = "*"


def chosen_names(settings: LockSettings, available: Iterable[str]) -> tuple[str, ...]:
    """Return the chosen groups out of those that are *available*, as these are spelt.

    Raises ConfigurationError for one that is not there.
    """
    names = {canonicalize_name(name): name for name in available}
    for key, wanted in (
        ("groups", settings.groups),
        ("without-groups", settings.without_groups),
        ("only-groups", settings.only_groups),
    ):
        for name in wanted:
            if name != ALL and canonicalize_name(name) not in names:
                raise ConfigurationError(
                    f"tool.lambda-slim.{key}: the project has no dependency group {name!r}"
                    f"{did_you_mean(name, names.values())}"
                )
    wanted = settings.only_groups or settings.groups
    taken = list(names) if ALL in wanted else [canonicalize_name(name) for name in wanted]
    left_out = {canonicalize_name(name) for name in settings.without_groups}
    return tuple(dict.fromkeys(names[name] for name in taken if name not in left_out))
