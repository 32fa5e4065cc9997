"""``poetry.lock`` as Poetry 2 writes it: files with hashes, and for each group the marker under which it needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.errors import LockError
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
    from packaging.markers import Marker

    from hatch_lambda.stages.locks.lock import Lock, Request


MAKER = "`poetry lock`"
_MAIN = "main"


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


def read(request: Request) -> Lock:
    """Read a ``poetry.lock``; only the files whose hashes it lists are taken, from the indexes that it names.

    Raises LockError for one that Poetry 1 wrote, which does not say which group needs what, and for a stale one.
    """
    version = str(read_toml(request, _Version, MAKER).metadata.get("lock-version", "0"))
    if parsed(request, version, MAKER) < Version("2.1"):
        raise LockError(
            f"{request.shown}: written by a Poetry before 2.0 (lock-version {version}), it does not tell the groups"
            " of what it locks",
            hint=f"run {MAKER} with Poetry 2, or `uv tool run --from 'poetry>=2' poetry lock`",
        )
    document = read_toml(request, _Document, MAKER)
    check_stamp(request, document.metadata.content_hash, _stamps(request), MAKER)
    available = [*table(request, "tool", "poetry", "group"), *table(request, "dependency-groups")]
    available += ["dev"] if table(request, "tool", "poetry", "dev-dependencies") else []
    groups = set(map(canonicalize_name, chosen_names(request.settings, available)))
    if not request.settings.only_groups:
        groups.add(canonicalize_name(_MAIN))
    pins = Pins()
    for package in document.package:
        if groups.isdisjoint(map(canonicalize_name, package.groups)):
            continue
        _pin(package, _marker(package, groups, request), pins, request)
    graph = {str(canonicalize_name(package.name)): list(package.dependencies) for package in document.package}
    return finish(request, pins, MAKER, graph, stands_alone=pins.stands_alone)


def _pin(package: _Package, marker: Marker | None, pins: Pins, request: Request) -> None:
    source, name = package.source, canonicalize_name(package.name)
    tail = f" ; {marker}" if marker is not None else ""
    part = f"#subdirectory={source.subdirectory}" if source is not None and source.subdirectory else ""
    hashes = frozenset(file.hash for file in package.files)
    if source is not None and source.type == "git":
        pins.sources.append(f"{name} @ git+{source.url}@{source.resolved_reference}{part}{tail}")
    elif source is not None and source.type == "directory":
        folder = (request.path.parent / source.url).resolve()
        pins.add_folder(f"{name} @ {folder.as_uri()}{tail}")
    elif source is not None and source.type in {"url", "file"}:
        address = source.url if source.type == "url" else (request.path.parent / source.url).resolve().as_uri()
        pins.pins.append(Pin(name=name, version=None, requirement=f"{name} @ {address}{part}{tail}", hashes=hashes))
    else:
        if source is not None:
            pins.options.append(f"--extra-index-url {source.url}")
        text = requirement(name, package.version, marker)
        pins.pins.append(
            Pin(name=name, version=parsed(request, package.version, MAKER), requirement=text, hashes=hashes)
        )


def _marker(package: _Package, groups: set[Any], request: Request) -> Marker | None:
    """Return when any of the chosen *groups* needs it; a group for which no marker is given always does."""
    markers = package.markers
    if isinstance(markers, dict):
        told = {canonicalize_name(group): text for group, text in markers.items()}
        needed = groups.intersection(map(canonicalize_name, package.groups))
        markers = "" if needed - set(told) else " or ".join(f"({told[group]})" for group in sorted(needed))
    return without_extras(markers, request.settings.extras, request)


def _stamps(request: Request) -> list[str]:
    """Return the stamps that fit the project: since Poetry 2.3 ``dependency-groups`` are part of it."""
    groups = table(request, "dependency-groups")
    return [_stamp(request, groups), *([_stamp(request, {})] if groups else [])]


def _stamp(request: Request, groups: dict[str, Any]) -> str:
    metadata, poetry = request.project.metadata, table(request, "tool", "poetry")
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
