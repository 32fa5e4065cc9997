"""Local and remote sources of a lock, and wheels that are vendored, each with what makes its content certain."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import tomli_w
from packaging.pylock import Package, PackageArchive, PackageDirectory, PackageSdist, PackageVcs, PackageWheel
from packaging.utils import parse_wheel_filename

from hatch_lambda.config.decode import inside
from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import WHEEL_LIMIT, Document
from hatch_lambda.core.model import LockedSource, LockedWheel
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.errors.secrets import masked
from hatch_lambda.stages.locks.pylock import absolute, empty, strong_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target


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
        origin = f"{masked(source.url or source.path or '')} at {source.commit_id}"
        certain: object = (source.type, source.commit_id, source.subdirectory)
        subdirectory = source.subdirectory
    else:
        assert isinstance(source, PackageSdist | PackageArchive)
        hashes = strong_hashes(source.hashes)
        origin = masked(source.url or source.path or package.index or "")
        if not hashes:
            weak = ", ".join(sorted(source.hashes)) or "none"
            raise UnlockedError(f"{origin} has no sha256 in the lock (only {weak})")
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
        origin=origin,
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
        origin=source.path,
        identity=None,
        directory=str(folder),
    )


def vendored_wheels(project: Project, target: Target, vendor: Iterable[str]) -> list[LockedWheel]:
    """Return the wheels that *vendor*, the setting, names, with the hashes that they have now.

    Raises ConfigurationError for one that is not there, that is no wheel, or that is not for *target*.
    """
    wheels: dict[str, LockedWheel] = {}
    for name in vendor:
        where = f"tool.lambda-slim.vendor: {name!r}"
        path = inside(project.root, name, "tool.lambda-slim.vendor")
        if not path.is_file():
            raise ConfigurationError(f"{where}: it is not a file", hint="a wheel is called NAME-VERSION-TAG.whl")
        try:
            distribution, version, _, tags = parse_wheel_filename((project.root / name).name)
        except ValueError as error:  # of the name, or of thousands of digits in it
            raise ConfigurationError(f"{where}: {error}", hint="a wheel is called NAME-VERSION-TAG.whl") from error
        if tags.isdisjoint(target.tags):
            raise ConfigurationError(f"{where}: it is not for {target}", hint="vendor a wheel for the target")
        if distribution in wheels:
            raise ConfigurationError(f"{where}: {distribution} is vendored twice", hint="leave one of them out")
        hint = "a wheel is a file of less than 1 GiB"
        wheel_file = Document(path=path, shown=where, family=ConfigurationError, hint=hint, limit=WHEEL_LIMIT)
        sha256 = hashlib.sha256(wheel_file.content()).hexdigest()
        wheel = PackageWheel(path=(project.root / name).as_posix(), hashes={"sha256": sha256})
        wheels[distribution] = LockedWheel(name=distribution, version=version, wheel=wheel)
    return list(wheels.values())
