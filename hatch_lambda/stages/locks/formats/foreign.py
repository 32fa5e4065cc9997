"""What the locks of Poetry, Pipenv and PDM have in common: entries with hashes and no addresses, and a stamp."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.config.decode import in_words
from hatch_lambda.core import codec
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.lock import Lock, chosen_names, normalized
from hatch_lambda.stages.locks.resolve import Pin, Pins, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_lambda.stages.locks.lock import Declared, LockRequest


if TYPE_CHECKING:
    _S = TypeVar("_S", bound=msgspec.Struct)

if TYPE_CHECKING:
    _T = TypeVar("_T")

_EXTRA = re.compile(r"""\bextra\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)')""")
_ALWAYS, _NEVER = "python_version >= '0'", "python_version < '0'"


class LockedFile(msgspec.Struct, frozen=True):
    """A file that was vetted when the lock was made: its name or its address, and its hash."""

    hash: str
    file: str | None = None
    url: str | None = None


class ForeignEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One locked distribution: where exactly one of *version*, *git*, *url* and *path* says what it is."""

    name: str
    version: str | None = None
    """At that version on an index."""
    git: str | None = None
    """Address of a repository, ``@``, and the commit."""
    url: str | None = None
    """Address of an archive."""
    path: str | None = None
    """Path of an archive, if it has hashes, or of a folder; relative to the folder of the lock."""
    subdirectory: str | None = None
    marker: Marker | None = None
    hashes: frozenset[str] = frozenset()


def read_toml(request: LockRequest, shape: type[_S]) -> _S:
    """Read the lock file as *shape*. Raises LockError for one that is none, with the command that makes it."""
    return convert(request, request.document.toml(), shape)


def convert(request: LockRequest, document: object, shape: type[_T]) -> _T:
    """Return *document* as *shape*. Raises LockError where it has another."""
    try:
        return codec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise LockError(
            f"{request.shown}: not as {request.maker} writes it: {in_words(error)}", hint=f"run {request.maker}"
        ) from error


def stamp(content: object, separators: tuple[str, str] | None = None) -> str:
    """Return the SHA-256 of *content* as JSON: how all three mark what a lock was made from.

    What JSON does not have, as a date of TOML, gives a stamp that no lock carries.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=separators, default=str).encode()).hexdigest()


def check_stamp(request: LockRequest, recorded: str, stamps: Iterable[str]) -> None:
    """Raise LockError unless *recorded*, which the lock carries, is one of the *stamps* of the project as it is."""
    if request.terms.in_source_tree and recorded not in stamps:
        raise LockError(f"{request.shown}: the project has changed since it was locked", hint=f"run {request.maker}")


def without_extras(marker: str, extras: Iterable[str], request: LockRequest) -> Marker | None:
    """Return *marker* with what it says of extras decided; None where it says nothing else.

    Raises LockError for a marker that is none.
    """
    chosen = normalized(extras)

    def decided(match: re.Match[str]) -> str:
        name = canonicalize_name(match[2] or match[3] or "")
        return _ALWAYS if (name in chosen) == (match[1] == "==") else _NEVER

    text = _EXTRA.sub(decided, marker.strip())
    if text in {"", "*", _ALWAYS}:
        return None
    try:
        return Marker(text)
    except InvalidMarker as error:
        raise LockError(f"{request.shown}: {marker!r} is not a marker: {error}") from error


def parsed(request: LockRequest, text: str) -> Version:
    """Return *text* as a version. Raises LockError for one that is none."""
    try:
        return Version(text)
    except ValueError as error:  # thousands of digits, too
        raise LockError(
            f"{request.shown}: {text[:60]!r} is not a version (PEP 440)", hint=f"run {request.maker}"
        ) from error


def chosen_groups(request: LockRequest, declared: Declared) -> frozenset[str]:
    """Return the normalized names of the chosen groups out of the standard ones and those that are *declared*."""
    available = sorted({*declared.groups, *request.project.dependency_groups})
    return normalized(chosen_names(request.settings, available))


def pinned(request: LockRequest, entries: Iterable[ForeignEntry], options: Iterable[str]) -> Pins:
    """Return what *entries* pin; *options* tell uv of the indexes. The project itself is passed over.

    Raises LockError for a version that is none.
    """
    pins = Pins(options=list(options))
    for entry in dict.fromkeys(entries):
        name = canonicalize_name(entry.name)
        # A circle of links leads to itself here, and is an error of Path.resolve.
        local = Path(os.path.realpath(request.path.parent / entry.path)) if entry.path is not None else None
        part = f"#subdirectory={entry.subdirectory}" if entry.subdirectory else ""
        tail = f" ; {entry.marker}" if entry.marker is not None else ""
        if entry.git is not None:
            pins.sources.append(f"{name} @ git+{entry.git}{part}{tail}")
        elif local is not None and not entry.hashes:
            if local != request.project.root:
                pins.add_folder(f"{name} @ {local.as_uri()}{tail}")
        else:
            address = local.as_uri() if local is not None else entry.url
            text = f" @ {address}{part}" if address is not None else f"=={entry.version}"
            version = parsed(request, entry.version) if address is None and entry.version is not None else None
            pins.pins.append(Pin(name=name, version=version, requirement=f"{name}{text}{tail}", hashes=entry.hashes))
    return pins


def finish(
    request: LockRequest, pins: Pins, graph: Mapping[str, Iterable[str]] | None = None, *, stands_alone: bool
) -> Lock:
    """Resolve the *pins* of a lock that is known to fit the project; *graph* says what each of them depends on."""
    pylock = resolve(request, pins)
    if graph is not None:
        packages = [
            replace(package, dependencies=[{"name": name} for name in sorted(normalized(graph.get(package.name, ())))])
            for package in pylock.packages
        ]
        pylock = replace(pylock, packages=packages)
    return Lock(
        path=request.path,
        pylock=pylock,
        findings=(),
        stands_alone=stands_alone,
        asks_an_index=True,
        maker=request.maker,
        has_groups_chosen=True,
        vouched=True,
    )
