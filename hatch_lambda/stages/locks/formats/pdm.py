"""``pdm.lock``: files with hashes, and the groups that need them; extras are groups, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from hatch_lambda.config.project import table_at
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats.foreign import (
    ForeignEntry,
    LockedFile,
    check_stamp,
    chosen_groups,
    finish,
    pinned,
    read_toml,
    stamp,
    without_extras,
)
from hatch_lambda.stages.locks.lock import Declared, normalized
from hatch_lambda.stages.locks.pylock import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import Lock, LockRequest


MAKER = "`pdm lock`"
ROW = ("PDM, with `inherit_metadata` (its default)", "yes", "directly")


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str
    files: list[LockedFile] = []
    groups: list[str] = []
    marker: str = ""
    git: str | None = None
    revision: str | None = None
    subdirectory: str | None = None
    path: str | None = None
    url: str | None = None
    dependencies: list[str] = []


class _Metadata(msgspec.Struct, frozen=True):
    content_hash: str
    strategy: list[str] = []
    groups: list[str] = []


class _Document(msgspec.Struct, frozen=True):
    metadata: _Metadata
    package: list[_Package] = []


def declared(project: Project) -> Declared:
    """Return what the project says in ``[tool.pdm]``."""
    resolution = table_at(project.pyproject, "tool.pdm.resolution")
    excluded = resolution.get("excludes")
    names = (*table_at(resolution, "overrides"), *(excluded if isinstance(excluded, list) else ()))
    return Declared(
        groups=frozenset(table_at(project.pyproject, "tool.pdm.dev-dependencies")),
        exempt=normalized(map(str, names)),
    )


def unlocked(project: Project) -> str | None:  # noqa: ARG001 - LockFormat
    """Name nothing: PDM reads the standard tables."""
    return None


def read(request: LockRequest) -> Lock:
    """Read a ``pdm.lock``.

    Raises LockError for a stale one, and for one that does not tell groups (``--no-inherit-metadata``).
    """
    document = read_toml(request, _Document)
    metadata = document.metadata
    check_stamp(request, metadata.content_hash.removeprefix("sha256:"), [_stamp(request)])
    if "inherit_metadata" not in metadata.strategy:
        raise LockError(
            f"{request.shown}: it does not tell the groups and markers of what it locks",
            hint="run `pdm lock --strategy inherit_metadata`",
        )
    groups = chosen_groups(request, declared(request.project))
    if not request.settings.only_groups:
        groups |= normalized(("default", *request.settings.extras))
    if missing := sorted(groups - normalized(metadata.groups)):
        raise LockError(
            f"{request.shown}: not locked for {', '.join(missing)}",
            hint=f"run `pdm lock --group {','.join(missing)}`",
        )
    needed = (package for package in document.package if not groups.isdisjoint(normalized(package.groups)))
    pins = pinned(request, [_entry(package, request) for package in needed], _indexes(request))
    graph: dict[str, set[str]] = {}
    for package in document.package:  # one with extras stands there twice
        try:
            needs = names_of(package.dependencies)
        except InvalidRequirement as error:
            raise LockError(
                f"{request.shown}: {package.name}: its dependencies are no requirements: {error}",
                hint=f"run {request.maker}",
            ) from error
        graph.setdefault(canonicalize_name(package.name), set()).update(needs)
    return finish(request, pins, graph, stands_alone=pins.stands_alone)


def _indexes(request: LockRequest) -> Iterator[str]:
    """Yield how uv is told of each index: the one called ``pypi`` takes the place of PyPI."""
    sources = table_at(request.project.pyproject, "tool.pdm").get("source")
    for source in sources if isinstance(sources, list) else ():
        if isinstance(source, dict) and isinstance(source.get("url"), str) and source.get("type") != "find_links":
            option = "--index-url" if source.get("name") == "pypi" else "--extra-index-url"
            yield f"{option} {source['url']}"


def _entry(package: _Package, request: LockRequest) -> ForeignEntry:
    is_named = package.git is None and package.path is None and package.url is None
    return ForeignEntry(
        name=package.name,
        version=package.version if is_named else None,
        git=f"{package.git}@{package.revision}" if package.git is not None else None,
        url=package.url,
        path=package.path if package.url is None else None,
        subdirectory=package.subdirectory,
        marker=without_extras(package.marker, (), request),
        hashes=frozenset(file.hash for file in package.files),
    )


def _stamp(request: LockRequest) -> str:
    """Return the stamp of the project (PDM, ``PyProject.content_hash``)."""
    metadata, pdm = request.project.metadata, table_at(request.project.pyproject, "tool.pdm")
    return stamp(
        {
            "sources": pdm.get("source", []),
            "dependencies": metadata.get("dependencies", []),
            "dev-dependencies": _development(request),
            "optional-dependencies": metadata.get("optional-dependencies", {}),
            "requires-python": metadata.get("requires-python", ""),
            "resolution": pdm.get("resolution", {}),
        }
    )


def _development(request: LockRequest) -> dict[str, list[Any]]:
    groups = {canonicalize_name(name): list(value) for name, value in request.project.dependency_groups.items()}
    for name, value in table_at(request.project.pyproject, "tool.pdm.dev-dependencies").items():
        groups.setdefault(canonicalize_name(name), []).extend(value if isinstance(value, list) else ())
    return {str(name): value for name, value in groups.items()}
