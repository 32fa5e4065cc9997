"""``pdm.lock``: files with hashes, and the groups that need them; extras are groups, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from packaging.utils import canonicalize_name

from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.exclude import names_of
from hatch_lambda.stages.locks.formats.foreign import (
    LockedFile,
    check_stamp,
    finish,
    read_toml,
    requirement,
    stamp,
    table,
    without_extras,
)
from hatch_lambda.stages.locks.formats.foreign import version as parsed
from hatch_lambda.stages.locks.lock import chosen_names
from hatch_lambda.stages.locks.resolve import Pin, Pins

if TYPE_CHECKING:
    from hatch_lambda.stages.locks.lock import Lock, Request


MAKER = "`pdm lock`"


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


def read(request: Request) -> Lock:
    """Read a ``pdm.lock``.

    Raises LockError for a stale one, and for one that does not tell groups (``--no-inherit-metadata``).
    """
    document = read_toml(request, _Document, MAKER)
    metadata = document.metadata
    check_stamp(request, metadata.content_hash.removeprefix("sha256:"), [_stamp(request)], MAKER)
    if "inherit_metadata" not in metadata.strategy:
        raise LockError(
            f"{request.shown}: it does not tell the groups and markers of what it locks",
            hint="run `pdm lock --strategy inherit_metadata`",
        )
    available = [*table(request, "dependency-groups"), *table(request, "tool", "pdm", "dev-dependencies")]
    groups = set(map(canonicalize_name, chosen_names(request.settings, available)))
    if not request.settings.only_groups:
        groups |= {canonicalize_name("default"), *map(canonicalize_name, request.settings.extras)}
    if missing := sorted(groups - set(map(canonicalize_name, metadata.groups))):
        raise LockError(
            f"{request.shown}: not locked for {', '.join(missing)}",
            hint=f"run `pdm lock --group {','.join(missing)}`",
        )
    pins = Pins()
    for source in table(request, "tool", "pdm").get("source", ()):
        if isinstance(source, dict) and isinstance(source.get("url"), str) and source.get("type") != "find_links":
            pins.options.append(f"{_option(source.get('name'))} {source['url']}")
    for package in document.package:
        if not groups.isdisjoint(map(canonicalize_name, package.groups)):
            _pin(package, pins, request)
    pins.pins = list({pin.requirement: pin for pin in pins.pins}.values())
    graph: dict[str, set[str]] = {}
    for package in document.package:  # one with extras stands there twice
        graph.setdefault(canonicalize_name(package.name), set()).update(names_of(package.dependencies))
    return finish(request, pins, MAKER, graph, stands_alone=pins.stands_alone)


def _option(name: object) -> str:
    """Return how uv is told of an index: the one called ``pypi`` takes the place of PyPI."""
    return "--index-url" if name == "pypi" else "--extra-index-url"


def _pin(package: _Package, pins: Pins, request: Request) -> None:
    name = canonicalize_name(package.name)
    marker = without_extras(package.marker, (), request)
    tail = f" ; {marker}" if marker is not None else ""
    part = f"#subdirectory={package.subdirectory}" if package.subdirectory else ""
    hashes = frozenset(file.hash for file in package.files)
    if package.git is not None:
        pins.sources.append(f"{name} @ git+{package.git}@{package.revision}{part}{tail}")
    elif package.path is not None and not hashes:
        folder = (request.path.parent / package.path).resolve()
        if folder != request.project.root:
            pins.add_folder(f"{name} @ {folder.as_uri()}{tail}")
    elif package.path is not None or package.url is not None:
        address = package.url or (request.path.parent / str(package.path)).resolve().as_uri()
        pins.pins.append(Pin(name=name, version=None, requirement=f"{name} @ {address}{part}{tail}", hashes=hashes))
    else:
        text = requirement(name, package.version, marker)
        pins.pins.append(
            Pin(name=name, version=parsed(request, package.version, MAKER), requirement=text, hashes=hashes)
        )


def _stamp(request: Request) -> str:
    """Return the stamp of the project (PDM, ``PyProject.content_hash``)."""
    metadata, pdm = request.project.metadata, table(request, "tool", "pdm")
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


def _development(request: Request) -> dict[str, list[Any]]:
    groups = {canonicalize_name(name): list(value) for name, value in table(request, "dependency-groups").items()}
    for name, value in table(request, "tool", "pdm", "dev-dependencies").items():
        groups.setdefault(canonicalize_name(name), []).extend(value)
    return {str(name): value for name, value in groups.items()}
