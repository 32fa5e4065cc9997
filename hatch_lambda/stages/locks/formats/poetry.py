"""``poetry.lock`` as Poetry 2 writes it: files with hashes, and for each group the marker under which it needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.config.project import table_at
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats.foreign import (
    ForeignEntry,
    LockedFile,
    check_stamp,
    chosen_groups,
    finish,
    parsed,
    pinned,
    read_toml,
    stamp,
    without_extras,
)
from hatch_lambda.stages.locks.lock import Declared, normalized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.markers import Marker

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import Lock, LockRequest


MAKER = "`poetry lock`"
ROW = ("Poetry 2", "yes", "directly")
_MAIN = "main"
_NO_INDEX = frozenset({"git", "directory", "url", "file"})
"""Kinds of sources that are no index."""


class _Source(msgspec.Struct, frozen=True):
    type: str
    url: str
    resolved_reference: str | None = None
    subdirectory: str | None = None


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str
    files: list[LockedFile] = []
    groups: list[str] = []
    markers: str | dict[str, str] = ""
    source: _Source | None = None
    dependencies: dict[str, Any] = {}


class _Metadata(msgspec.Struct, frozen=True, rename="kebab"):
    lock_version: str
    content_hash: str


class _Document(msgspec.Struct, frozen=True):
    metadata: _Metadata
    package: list[_Package] = []


class _Version(msgspec.Struct, frozen=True):
    metadata: dict[str, Any]


def declared(project: Project) -> Declared:
    """Return what the project says in ``[tool.poetry]``."""
    poetry = table_at(project.pyproject, "tool.poetry")
    groups = table_at(poetry, "group")
    tables = [poetry, *(group for group in groups.values() if isinstance(group, dict))]
    return Declared(
        extras=frozenset(table_at(poetry, "extras")),
        groups=frozenset([*groups, *(["dev"] if table_at(poetry, "dev-dependencies") else [])]),
        direct=normalized(name for table in tables for name in table_at(table, "dependencies")),
    )


def unlocked(project: Project) -> str | None:
    """Name the table in which Poetry alone finds what the project needs."""
    needs = set(table_at(project.pyproject, "tool.poetry.dependencies")) - {"python"}
    return "[tool.poetry.dependencies]" if needs else None


def read(request: LockRequest) -> Lock:
    """Read a ``poetry.lock``; only the files whose hashes it lists are taken, from the indexes that it names.

    Raises LockError for one that Poetry 1 wrote, which does not say which group needs what, and for a stale one.
    """
    version = str(read_toml(request, _Version).metadata.get("lock-version", "0"))
    if parsed(request, version) < Version("2.1"):
        raise LockError(
            f"{request.shown}: written by a Poetry before 2.0 (lock-version {version}), it does not tell the groups"
            " of what it locks",
            hint=f"run {MAKER} with Poetry 2, or `uv tool run --from 'poetry>=2' poetry lock`",
        )
    document = read_toml(request, _Document)
    check_stamp(request, document.metadata.content_hash, _stamps(request))
    groups = chosen_groups(request, declared(request.project))
    if not request.settings.only_groups:
        groups |= {_MAIN}
    needed = [package for package in document.package if not groups.isdisjoint(normalized(package.groups))]
    indexes = [f"--extra-index-url {package.source.url}" for package in needed if _is_index(package.source)]
    pins = pinned(request, [_entry(package, groups, request) for package in needed], indexes)
    graph = {str(canonicalize_name(package.name)): package.dependencies for package in document.package}
    return finish(request, pins, graph, stands_alone=pins.stands_alone)


def _is_index(source: _Source | None) -> TypeGuard[_Source]:
    return source is not None and source.type not in _NO_INDEX


def _entry(package: _Package, groups: frozenset[str], request: LockRequest) -> ForeignEntry:
    source = package.source
    kind = source.type if source is not None and source.type in _NO_INDEX else "index"
    address = source.url if source is not None else ""
    return ForeignEntry(
        name=package.name,
        version=package.version if kind == "index" else None,
        git=f"{address}@{source.resolved_reference}" if kind == "git" and source is not None else None,
        url=address if kind == "url" else None,
        path=address if kind in {"directory", "file"} else None,
        subdirectory=source.subdirectory if source is not None else None,
        marker=_marker(package, groups, request),
        hashes=frozenset(file.hash for file in package.files),
    )


def _marker(package: _Package, groups: frozenset[str], request: LockRequest) -> Marker | None:
    """Return when any of the chosen *groups* needs it; a group for which no marker is given always does."""
    markers = package.markers
    if isinstance(markers, dict):
        told: dict[str, str] = {canonicalize_name(group): text for group, text in markers.items()}
        needed = groups.intersection(map(canonicalize_name, package.groups))
        markers = "" if needed - set(told) else " or ".join(f"({told[group]})" for group in sorted(needed))
    return without_extras(markers, request.settings.extras, request)


def _stamps(request: LockRequest) -> list[str]:
    """Return the stamps that fit the project: since Poetry 2.3 ``dependency-groups`` are part of it."""
    groups = request.project.dependency_groups
    return [_stamp(request, groups), *([_stamp(request, {})] if groups else [])]


def _stamp(request: LockRequest, groups: Mapping[str, Any]) -> str:
    metadata, poetry = request.project.metadata, table_at(request.project.pyproject, "tool.poetry")
    keys = ("requires-python", "dependencies", "optional-dependencies")
    content: dict[str, Any] = {}
    if own := {key: metadata[key] for key in keys if metadata.get(key) is not None}:
        content["project"] = own
    if groups:
        content["dependency-groups"] = groups
    legacy = ("dependencies", "source", "extras", "dev-dependencies")
    kept = {key: poetry.get(key) for key in legacy if poetry.get(key) is not None or not content}
    if poetry.get("group") is not None:
        kept["group"] = poetry["group"]
    return stamp({**content, "tool": {"poetry": kept}} if content else kept)
