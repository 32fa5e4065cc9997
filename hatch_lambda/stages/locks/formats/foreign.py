"""What the lock files of Poetry, Pipenv and PDM have in common: hashes without addresses, groups, and a stamp."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.config.decode import in_words
from hatch_lambda.core import codec
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.lock import Lock
from hatch_lambda.stages.locks.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_lambda.stages.locks.lock import Request
    from hatch_lambda.stages.locks.resolve import Pins


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


def read_toml(request: Request, shape: type[_S], maker: str) -> _S:
    """Read the lock file as *shape*. Raises LockError for one that is none, with the command that makes it anew."""
    return convert(request, request.document(maker).toml(), shape, maker)


def convert(request: Request, document: object, shape: type[_T], maker: str) -> _T:
    """Return *document* as *shape*. Raises LockError where it has another."""
    try:
        return codec.convert(document, shape)
    except msgspec.ValidationError as error:
        raise LockError(f"{request.shown}: not as {maker} writes it: {in_words(error)}", hint=f"run {maker}") from error


def stamp(content: object, separators: tuple[str, str] | None = None) -> str:
    """Return the SHA-256 of *content* as JSON: how all three mark what a lock was made from."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=separators).encode()).hexdigest()


def check_stamp(request: Request, recorded: str, stamps: Iterable[str], maker: str) -> None:
    """Raise LockError unless *recorded*, which the lock carries, is one of the *stamps* of the project as it is."""
    if request.terms.in_source_tree and recorded not in stamps:
        raise LockError(f"{request.shown}: the project has changed since it was locked", hint=f"run {maker}")


def without_extras(marker: str, extras: Iterable[str], request: Request) -> Marker | None:
    """Return *marker* with what it says of extras decided; None where it says nothing else.

    Raises LockError for a marker that is none.
    """
    chosen = {re.sub(r"[-_.]+", "-", name).lower() for name in extras}

    def decided(match: re.Match[str]) -> str:
        name = re.sub(r"[-_.]+", "-", match[2] or match[3] or "").lower()
        return _ALWAYS if (name in chosen) == (match[1] == "==") else _NEVER

    text = _EXTRA.sub(decided, marker.strip())
    if text in {"", "*", _ALWAYS}:
        return None
    try:
        return Marker(text)
    except InvalidMarker as error:
        raise LockError(f"{request.shown}: {marker!r} is not a marker: {error}") from error


def version(request: Request, text: str, maker: str) -> Version:
    """Return *text* as a version. Raises LockError for one that is none."""
    try:
        return Version(text)
    except ValueError as error:  # thousands of digits, too
        raise LockError(f"{request.shown}: {text[:60]!r} is not a version (PEP 440)", hint=f"run {maker}") from error


def requirement(name: str, version: str, marker: Marker | None) -> str:
    """Return a line for uv that pins *name*."""
    return f"{name}=={version}" + (f" ; {marker}" if marker is not None else "")


def finish(
    request: Request, pins: Pins, maker: str, graph: Mapping[str, Iterable[str]] | None = None, *, stands_alone: bool
) -> Lock:
    """Resolve the *pins* of a lock that is known to fit the project; *graph* says what each of them depends on."""
    pylock = resolve(request, pins)
    if graph is not None:
        packages = [
            replace(package, dependencies=[{"name": canonicalize_name(name)} for name in graph.get(package.name, ())])
            for package in pylock.packages
        ]
        pylock = replace(pylock, packages=packages)
    return Lock(
        path=request.path,
        pylock=pylock,
        findings=(),
        stands_alone=stands_alone,
        mend=maker,
        has_groups_chosen=True,
        vouched=True,
    )


def table(request: Request, *path: str) -> dict[str, Any]:
    """Return a table of ``pyproject.toml``; empty where there is none."""
    value: Any = request.project.pyproject
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
