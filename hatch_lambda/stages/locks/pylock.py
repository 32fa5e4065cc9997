"""``pylock.toml``: the format, and the normal form of the others (PEP 751)."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import tomli_w
from packaging.pylock import Package, PackageWheel, Pylock, PylockValidationError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.core.codec import DocumentError, parse_toml, refuse_strange_texts
from hatch_lambda.errors import LockError
from hatch_lambda.errors.secrets import masked, public

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.pylock import PackageArchive, PackageDirectory, PackageSdist, PackageVcs

    from hatch_lambda.config.target import Target
    from hatch_lambda.core.model import LockedWheel


if TYPE_CHECKING:
    _Place = PackageWheel | PackageSdist | PackageArchive | PackageDirectory | PackageVcs

if TYPE_CHECKING:
    _P = TypeVar("_P", bound=_Place)

STRONG_HASHES = frozenset({"sha256", "sha384", "sha512", "blake2b"})
"""Algorithms that make a file's content certain; PEP 751 asks for at least one hash and allows weak ones."""
_IS_WEB = re.compile("https?://")


def parse(text: str, where: str) -> Pylock:
    """Parse and validate; every problem is a LockError that names the file and the place in it."""
    try:
        document = parse_toml(text)
        refuse_strange_texts(document)
        return Pylock.from_dict(document)
    except DocumentError as error:
        raise LockError(f"{where}: {error}", hint="make it again with the tool that wrote it") from error
    except RecursionError as error:
        raise LockError(f"{where}: a marker is nested too deeply", hint="make it again") from error
    except PylockValidationError as error:
        place = f"{error.context}: " if error.context else ""
        raise LockError(
            f"{where}: not a valid pylock.toml: {masked(place + error.message)}",
            hint="make it again with the tool that wrote it",
        ) from error


def applies(package: Package, target: Target, extras: Iterable[str] = (), groups: Iterable[str] = ()) -> bool:
    """Evaluate the marker of *package*, in which extras and groups may stand (PEP 751)."""
    if package.marker is None:
        return True
    environment = cast("dict[str, str]", target.markers)
    return package.marker.evaluate(
        {**environment, "extras": frozenset(extras), "dependency_groups": frozenset(groups)},
        context="lock_file",
    )


def names_of(requirements: Iterable[str]) -> frozenset[str]:
    """Return the normalized names of *requirements* (PEP 508)."""
    return frozenset(canonicalize_name(Requirement(text).name) for text in requirements)


def empty() -> Pylock:
    """Return the lock of a project that depends on nothing."""
    return Pylock(lock_version=Version("1.0"), created_by="hatch-lambda", packages=[])


def dump(pylock: Pylock) -> str:
    """Write *pylock* as TOML: the packages sorted, and no user name or password in any address.

    An sdist carries it, and secrets must not travel; uv finds them again where the user keeps them.
    """
    packages = sorted(
        pylock.packages,
        key=lambda package: (package.name, str(package.version), str(package.marker)),
    )
    return tomli_w.dumps(_public(dict(replace(pylock, packages=packages).to_dict())))


def pinned(wheels: Sequence[LockedWheel], base: Path) -> str:
    """Write a lock of exactly *wheels*, for ``uv pip install -r pylock.toml``.

    It has no markers and no ``requires-python``, so that the host cannot influence what is installed; local
    paths are made absolute against *base*, the folder of the user's lock. Weak hashes are left out.
    """
    packages = [
        Package(
            name=locked.name,
            version=locked.version,
            index=locked.index,
            wheels=[
                replace(
                    locked.wheel,
                    path=absolute(locked.wheel.path, base),
                    hashes=strong_hashes(locked.wheel.hashes),
                )
            ],
        )
        for locked in sorted(wheels, key=lambda locked: locked.name)
    ]
    return tomli_w.dumps(replace(empty(), packages=packages).to_dict())


def strong_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    """Return those of *hashes* whose algorithm makes the content certain."""
    return {name: value for name, value in sorted(hashes.items()) if name.lower() in STRONG_HASHES}


def rebase(pylock: Pylock, base: Path, onto: Path) -> Pylock:
    """Make the local paths of *pylock*, which are relative to *base*, relative to *onto*.

    ``file:`` addresses become paths too: a lock must not say where on the machine the project lies.
    """
    return replace(pylock, packages=[_rebase(package, base, onto) for package in pylock.packages])


def _rebase(package: Package, base: Path, onto: Path) -> Package:
    index = package.index
    return replace(
        package,
        index=None if index is not None and index.startswith("file:") else index,
        vcs=_moved(package.vcs, base, onto),
        directory=_moved(package.directory, base, onto),
        archive=_moved(package.archive, base, onto),
        sdist=_moved(package.sdist, base, onto),
        wheels=[_moved(wheel, base, onto) for wheel in package.wheels] if package.wheels is not None else None,
    )


def _moved(place: _P | None, base: Path, onto: Path) -> Any:
    if place is None:
        return None
    url = getattr(place, "url", None)
    path = place.path
    if path is None and url is not None and url.startswith("file:"):
        path = url2pathname(urlsplit(url).path)
    if path is None:
        return place
    moved = {"path": _relative(absolute(path, base), onto)}
    return replace(place, **(moved if url is None or not url.startswith("file:") else {**moved, "url": None}))


def absolute(path: str | None, base: Path) -> Any:
    """Return *path*, which is relative to *base*, as an absolute one; None stays None."""
    return None if path is None else Path(os.path.normpath(base / path)).as_posix()


def _relative(path: str, base: Path) -> str:
    try:
        return Path(os.path.relpath(path, base)).as_posix()
    except ValueError:  # another drive of Windows
        return path


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_public(entry) for entry in value]
    return public(value) if isinstance(value, str) and _IS_WEB.match(value) else value
