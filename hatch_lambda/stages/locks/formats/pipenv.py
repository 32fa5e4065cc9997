"""``Pipfile.lock``: JSON, with hashes and the addresses of the indexes, for the Python that Pipenv ran with."""

from __future__ import annotations

import os.path
import re
from typing import TYPE_CHECKING, Any, cast

import msgspec
from packaging.utils import canonicalize_name

from hatch_lambda.core.text import listed
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats.foreign import check_stamp, convert, finish, requirement, stamp, without_extras
from hatch_lambda.stages.locks.formats.foreign import version as parsed
from hatch_lambda.stages.locks.lock import chosen_names, lock_document, shown
from hatch_lambda.stages.locks.resolve import Pin, Pins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.markers import Marker

    from hatch_lambda.stages.locks.lock import Lock, Request


MAKER = "`pipenv lock`"
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


class _Source(msgspec.Struct, frozen=True):
    url: str
    name: object = None
    verify_ssl: object = None


class _Meta(msgspec.Struct, frozen=True):
    hash: dict[str, str]
    sources: list[_Source] = []


def read(request: Request) -> Lock:
    """Read a ``Pipfile.lock``: ``default``, and the categories that are chosen as groups (``develop`` is ``dev``).

    Raises LockError for a stale one, and for an entry without a version that the target needs: Pipenv locks for
    the one Python that it runs with.
    """
    document = request.document(MAKER).json()
    document = document if isinstance(document, dict) else {}
    meta = convert(request, document.get("_meta"), _Meta, MAKER)
    _check(request, meta)
    categories = {"dev": "develop", **{name: name for name in document if name not in {"_meta", "default", "develop"}}}
    names = [categories[name] for name in chosen_names(request.settings, categories)]
    pins = Pins()
    environment = request.uv.environment
    for number, source in enumerate(meta.sources):
        url = _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), source.url)
        pins.options.append(f"{'--extra-index-url' if number else '--index-url'} {url}")
    unlocked: list[str] = []
    for category in names if request.settings.only_groups else ["default", *names]:
        for name, value in convert(request, document.get(category, {}), dict[str, Any], MAKER).items():
            _pin(name, convert(request, value, _Entry, MAKER), pins, unlocked, request)
    if unlocked:
        major, minor = request.project.target.runtime.python_version
        raise LockError(
            f"{request.shown}: Pipenv locked it for another Python, for which these were not needed:"
            f"{listed(sorted(set(unlocked)))}",
            hint=f"run `pipenv lock --python {major}.{minor}`",
        )
    pins.pins = list({pin.requirement: pin for pin in pins.pins}.values())
    return finish(request, pins, MAKER, stands_alone=False)  # it is compared with the Pipfile


def _pin(name: str, entry: _Entry, pins: Pins, unlocked: list[str], request: Request) -> None:
    marker: Marker | None = without_extras(entry.markers, (), request)
    tail = f" ; {marker}" if marker is not None else ""
    local = entry.path or entry.file
    if entry.git is not None:
        address = entry.git if entry.git.startswith("git+") else f"git+{entry.git}"
        part = f"#subdirectory={entry.subdirectory}" if entry.subdirectory else ""
        pins.sources.append(f"{name} @ {address}@{entry.ref}{part}{tail}")
    elif local is not None:
        address = local if "://" in local else (request.path.parent / local).resolve().as_uri()
        if entry.hashes:
            pin = f"{name} @ {address}{tail}"
            pins.pins.append(
                Pin(name=canonicalize_name(name), version=None, requirement=pin, hashes=frozenset(entry.hashes))
            )
        elif (request.path.parent / local).resolve() != request.project.root:
            pins.add_folder(f"{name} @ {address}{tail}")
    elif entry.version is None or not entry.version.startswith("=="):
        if marker is None or marker.evaluate(cast("dict[str, str]", request.project.target.markers)):
            unlocked.append(name)
    else:
        version = entry.version.removeprefix("==")
        pins.pins.append(
            Pin(
                name=canonicalize_name(name),
                version=parsed(request, version, MAKER),
                requirement=requirement(name, version, marker),
                hashes=frozenset(entry.hashes),
            )
        )


def _check(request: Request, meta: _Meta) -> None:
    """Compare the stamp with the ``Pipfile``; where there is none, the lock is all there is."""
    path = request.path.with_name("Pipfile")
    if not os.path.lexists(path):
        return
    pipfile = lock_document(path, shown(path, request.project), "correct the file").toml()
    check_stamp(request, meta.hash.get("sha256", ""), [_stamp(pipfile, meta)], MAKER)


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
