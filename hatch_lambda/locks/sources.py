"""What of a lock has to be built: sdists, archives, commits and local folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import tomli_w
from packaging.pylock import Package, PackageArchive, PackageDirectory, PackageSdist, PackageVcs

from hatch_lambda.cache import digest
from hatch_lambda.locks.pylock import absolute, empty, strong_hashes
from hatch_lambda.model import LockedSource
from hatch_lambda.redact import masked


class UnlockedError(ValueError):
    """Say why the content of a source is not certain."""


def as_source(package: Package, source: object, base: Path) -> LockedSource:
    """Return *package* as what is built from *source*; local paths are relative to *base*.

    Raises UnlockedError for an archive without a hash that makes it certain, and for a folder that is not there.
    """
    if isinstance(source, PackageDirectory):
        return _folder(package, source, base)
    alone = Package(name=package.name, version=package.version, index=package.index)
    subdirectory = None
    if isinstance(source, PackageVcs):
        alone = replace(alone, vcs=replace(source, path=absolute(source.path, base)))
        place = f"{masked(source.url or source.path or '')} at {source.commit_id}"
        certain: object = (source.type, source.commit_id, source.subdirectory)
        subdirectory = source.subdirectory
    else:
        assert isinstance(source, PackageSdist | PackageArchive)
        hashes = strong_hashes(source.hashes)
        place = masked(source.url or source.path or package.index or "")
        if not hashes:
            weak = ", ".join(sorted(source.hashes)) or "none"
            raise UnlockedError(f"{place} has no sha256 in the lock (only {weak})")
        own = replace(source, path=absolute(source.path, base), hashes=hashes)
        if isinstance(own, PackageArchive):
            alone = replace(alone, archive=own)
            subdirectory = own.subdirectory
        else:
            alone = replace(alone, sdist=own)
        certain = (sorted(hashes.items()), subdirectory)
    return LockedSource(
        name=package.name,
        version=str(package.version) if package.version is not None else None,
        place=place,
        identity=digest(package.name, certain),
        pinned=tomli_w.dumps(replace(empty(), packages=[alone]).to_dict()),
        subdirectory=subdirectory,
    )


def _folder(package: Package, source: PackageDirectory, base: Path) -> LockedSource:
    folder = Path(absolute(source.path, base), source.subdirectory or "")
    if not any((folder / name).is_file() for name in ("pyproject.toml", "setup.py")):
        what = "in it is no project" if folder.is_dir() else "it is not there"
        raise UnlockedError(f"it is the folder {source.path}, and {what}")
    return LockedSource(
        name=package.name,
        version=None,
        place=source.path,
        identity=None,
        directory=str(folder),
    )
