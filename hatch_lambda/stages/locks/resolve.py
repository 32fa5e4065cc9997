"""Find the files of pinned versions on the indexes, for locks that carry hashes and no addresses.

Such a lock says which hashes are good, and not where the files are. uv finds them, and every file whose hash the lock
does not list is dropped afterwards: uv itself would admit an sdist that nobody vetted. As hashes are compared, every
index may be asked for the best match without the danger of dependency confusion.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field

from hatch_lambda.core.codec import LOCK_LIMIT, decode_text, read_regular
from hatch_lambda.core.text import listed
from hatch_lambda.errors import CommandError, LockError
from hatch_lambda.stages.locks.pylock import applies, empty, parse, rebase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.pylock import Package, PackageArchive, PackageSdist, PackageWheel, Pylock
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from hatch_lambda.stages.locks.lock import LockRequest


if TYPE_CHECKING:
    _F = TypeVar("_F", PackageSdist, PackageWheel)


class Pin(Struct, frozen=True, kw_only=True):
    """One distribution at one version, with the hashes that its files may have."""

    name: NormalizedName
    version: Version | None
    """None for what comes from an address."""
    requirement: str
    """Name, version or address, and marker, for uv."""
    hashes: frozenset[str]
    """Each is ``algorithm:hex``; none where the lock lists none and that is allowed."""


class Pins(Struct, kw_only=True):
    """What a lock pins, and what else uv has to know to find it."""

    pins: list[Pin] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Requirements of folders and commits, which have no hash."""
    has_folders: bool = False
    """Whether any of them is of a folder."""
    options: list[str] = field(default_factory=list)
    """For uv: indexes, folders with wheels, and the like, with paths made absolute."""

    @property
    def stands_alone(self) -> bool:
        """Whether nothing but what is pinned decides; see :class:`~hatch_lambda.stages.locks.lock.Lock`."""
        return not self.has_folders and all(pin.hashes for pin in self.pins)

    def add_folder(self, requirement: str) -> None:
        """Take a folder, whatever is in it."""
        self.sources.append(requirement)
        self.has_folders = True


def resolve(request: LockRequest, pins: Pins) -> Pylock:
    """Return what is pinned as a lock with addresses, its local paths relative to the folder of the lock.

    Raises LockError for what uv cannot find, and where no file has a listed hash.
    """
    if not pins.pins and not pins.sources:
        return empty()
    with tempfile.TemporaryDirectory(dir=request.work) as name:
        pylock = rebase(_resolve(request, pins, Path(name)), Path(name), request.path.parent)
    return _vetted(pylock, pins.pins, request)


def _resolve(request: LockRequest, pins: Pins, folder: Path) -> Pylock:
    """Let uv find the files of the pinned versions, and nothing else (``--no-deps``)."""
    source, result = folder / "requirements.txt", folder / "pylock.toml"
    lines = [*dict.fromkeys(pins.options), *(pin.requirement for pin in pins.pins), *pins.sources]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    major, minor = request.project.target.runtime.python_version
    try:
        request.uv.run(
            *("pip", "compile", "--no-deps", "--universal", "--generate-hashes", "--no-header", "--no-annotate"),
            *("--quiet", "--no-python-downloads", "--index-strategy=unsafe-best-match"),
            *(f"--python-version={major}.{minor}", "--format=pylock.toml", "--output-file", result),
            *request.settings.install_args,
            source,
            cwd=request.project.root,
            UV_HTTP_RETRIES="1",
        )
    except CommandError as error:
        raise LockError(
            f"{request.shown}: uv cannot find what it pins (the file carries no addresses, so the index is "
            f"asked); uv says:\n{error.tail()}",
            hint="check the network and the credentials; a uv.lock or pylock.toml carries the addresses and needs"
            " no index here",
        ) from error
    return parse(decode_text(read_regular(result, LOCK_LIMIT)), f"{request.shown}, as uv resolves it")


def _vetted(pylock: Pylock, pins: Iterable[Pin], request: LockRequest) -> Pylock:
    """Keep the files that have a listed hash, and of their hashes the listed ones."""
    by_version: dict[tuple[NormalizedName, Version | None], set[str]] = defaultdict(set)
    for pin in pins:
        by_version[pin.name, pin.version] |= pin.hashes
    packages, missing = [], []
    for package in pylock.packages:
        if package.directory is not None or package.vcs is not None:
            packages.append(package)
            continue
        of_address = package.archive is not None
        kept = _with_listed_files(package, by_version[package.name, None if of_address else package.version])
        if kept.wheels or kept.sdist or kept.archive:
            packages.append(kept)
        elif applies(package, request.project.target):
            missing.append(f"{package.name} {package.version or ''}".rstrip())
    if missing:
        raise LockError(
            f"{request.shown}: no file that uv finds has a hash that is listed for:{listed(missing)}",
            hint="the files on the index have changed, or the hashes are of another index; "
            "find out which before you make the lock file again",
        )
    return replace(pylock, packages=packages)


def _with_listed_files(package: Package, allowed: set[str]) -> Package:
    if not allowed:
        return package
    return replace(
        package,
        wheels=_with_listed_hash(package.wheels or (), allowed) or None,
        sdist=next(iter(_with_listed_hash([package.sdist] if package.sdist else [], allowed)), None),
        archive=_listed(package.archive, allowed),
    )


def _listed(archive: PackageArchive | None, allowed: set[str]) -> PackageArchive | None:
    hashes = {name: value for name, value in archive.hashes.items() if f"{name}:{value}" in allowed} if archive else {}
    return replace(archive, hashes=hashes) if archive is not None and hashes else None


def _with_listed_hash(files: Sequence[_F], allowed: set[str]) -> list[_F]:
    kept: list[_F] = []
    for file in files:
        hashes = {name: value for name, value in file.hashes.items() if f"{name}:{value}" in allowed}
        vetted = replace(file, hashes=hashes)
        if hashes and vetted not in kept:  # uv lists a file twice that it finds in a folder twice
            kept.append(vetted)
    return kept
