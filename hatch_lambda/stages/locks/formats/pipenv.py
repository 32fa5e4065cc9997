"""``Pipfile.lock``: JSON, with hashes and the addresses of the indexes, for the Python that Pipenv ran with."""

from __future__ import annotations

import os.path
import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from hatch_lambda.core.text import listed
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats.foreign import (
    ForeignEntry,
    check_stamp,
    convert,
    finish,
    pinned,
    stamp,
    without_extras,
)
from hatch_lambda.stages.locks.lock import Declared, chosen_names, lock_document, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import Lock, LockRequest


MAKER = "`pipenv lock`"
ROW = ("Pipenv, run with the target's Python version", "categories; `dev`", "directly")
_DEFAULT_SOURCE = "677b60c1a49dfc760b986894670446dcacdb27ad9bc1887652c674e5bc90bc5e"
"""The stamp of the source that a ``Pipfile`` without one has (plette, ``DEFAULT_SOURCE_TOML``): the lock names it."""
_NO_GROUP = frozenset({"source", "packages", "dev-packages", "requires", "scripts", "pipfile", "pipenv"})
_COMPACT = (",", ":")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


class _Entry(msgspec.Struct, frozen=True):
    version: str | None = None
    hashes: list[str] = []
    markers: str = ""
    extras: list[str] = []
    git: str | None = None
    ref: str | None = None
    subdirectory: str | None = None
    path: str | None = None
    file: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether it is at a version on an index."""
        return self.git is None and not (self.path or self.file)

    @property
    def is_certain(self) -> bool:
        """Whether it says what to take: Pipenv lists what only another Python needs without a version."""
        return not self.is_named or (self.version is not None and self.version.startswith("=="))


class _Source(msgspec.Struct, frozen=True):
    url: str
    name: object = None
    verify_ssl: object = None


class _Meta(msgspec.Struct, frozen=True):
    hash: dict[str, str]
    sources: list[_Source] = []


def declared(project: Project) -> Declared:  # noqa: ARG001 - LockFormat
    """Return nothing: Pipenv's tables are in the ``Pipfile``."""
    return Declared()


def unlocked(project: Project) -> str | None:
    """Name the ``Pipfile`` if it asks for anything; raises LockError for one that cannot be read."""
    pipfile = _pipfile(project.root, project)
    return "the Pipfile" if pipfile and pipfile.get("packages") else None


def read(request: LockRequest) -> Lock:
    """Read a ``Pipfile.lock``: ``default``, and the categories that are chosen as groups (``develop`` is ``dev``).

    Raises LockError for a stale one, and for an entry without a version that the target needs: Pipenv locks for
    the one Python that it runs with.
    """
    document = request.document.json()
    document = document if isinstance(document, dict) else {}
    meta = convert(request, document.get("_meta"), _Meta)
    pipfile = _pipfile(request.path.parent, request.project)
    if pipfile is not None:  # else the lock is all there is
        check_stamp(request, meta.hash.get("sha256", ""), [_stamp(pipfile, meta)])
    categories = {"dev": "develop", **{name: name for name in document if name not in {"_meta", "default", "develop"}}}
    names = [categories[name] for name in chosen_names(request.settings, categories)]
    entries: list[ForeignEntry] = []
    unlocked: list[str] = []
    for category in names if request.settings.only_groups else ["default", *names]:
        for name, value in convert(request, document.get(category, {}), dict[str, _Entry]).items():
            entry = _entry(name, value, request)
            if value.is_certain:
                entries.append(entry)
            elif entry.marker is None or entry.marker.evaluate(cast("dict[str, str]", request.project.target.markers)):
                unlocked.append(name)
    if unlocked:
        major, minor = request.project.target.runtime.python_version
        raise LockError(
            f"{request.shown}: Pipenv locked it for another Python, for which these were not needed:"
            f"{listed(sorted(set(unlocked)))}",
            hint=f"run `pipenv lock --python {major}.{minor}`",
        )
    pins = pinned(request, entries, _indexes(request, meta))
    return finish(request, pins, stands_alone=False)  # it is compared with the Pipfile


def _indexes(request: LockRequest, meta: _Meta) -> Iterator[str]:
    """Yield how uv is told of each index: the first takes the place of the default one."""
    environment = request.uv.environment
    for number, source in enumerate(meta.sources):
        url = _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), source.url)
        yield f"{'--extra-index-url' if number else '--index-url'} {url}"


def _entry(name: str, entry: _Entry, request: LockRequest) -> ForeignEntry:
    local = None if entry.git is not None else entry.path or entry.file
    is_url = local is not None and "://" in local
    return ForeignEntry(
        name=name,
        version=entry.version.removeprefix("==") if entry.is_named and entry.version is not None else None,
        git=f"{entry.git.removeprefix('git+')}@{entry.ref}" if entry.git is not None else None,
        url=local if is_url else None,
        path=None if is_url else local,
        subdirectory=entry.subdirectory if entry.git is not None else None,
        marker=without_extras(entry.markers, (), request),
        hashes=frozenset(entry.hashes),
    )


def _pipfile(folder: Path, project: Project) -> dict[str, Any] | None:
    """Return the ``Pipfile`` in *folder*; None where there is none."""
    path = folder / "Pipfile"
    hint = "correct the file, or remove it"
    return lock_document(path, shown(path, project), hint).toml() if os.path.lexists(path) else None


def _stamp(pipfile: Mapping[str, Any], meta: _Meta) -> str:
    """Return the stamp of a ``Pipfile`` (plette, ``Pipfile.get_hash``), whose lock has *meta*."""
    locked = map(msgspec.structs.asdict, meta.sources)
    default = [source for source in locked if stamp(source, _COMPACT) == _DEFAULT_SOURCE]
    content = {
        "_meta": {"sources": pipfile.get("source", default), "requires": pipfile.get("requires", {})},
        "default": pipfile.get("packages", {}),
        "develop": pipfile.get("dev-packages", {}),
        **{name: value for name, value in pipfile.items() if name not in _NO_GROUP},
    }
    return stamp(content, _COMPACT)
