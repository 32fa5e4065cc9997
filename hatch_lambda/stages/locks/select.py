"""Select from a lock what a target needs, and leave out what is excluded."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.pylock import PackageArchive, PackageWheel, PylockSelectError, PylockValidationError
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from hatch_lambda.core.model import LockedSource, LockedWheel
from hatch_lambda.core.text import listed
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats import declared
from hatch_lambda.stages.locks.freshness import unmet
from hatch_lambda.stages.locks.lock import chosen_names, normalized, shown
from hatch_lambda.stages.locks.pylock import applies, strong_hashes
from hatch_lambda.stages.locks.sources import UnlockedError, as_source

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.pylock import Package, PackageDirectory, PackageSdist, PackageVcs, Pylock

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import LockSettings
    from hatch_lambda.config.target import Target
    from hatch_lambda.stages.locks.lock import Lock, LockTerms


if TYPE_CHECKING:
    Locked = LockedWheel | LockedSource

if TYPE_CHECKING:
    _Source = PackageVcs | PackageDirectory | PackageArchive | PackageWheel | PackageSdist

_REMEDY = (
    "choose another version of it, or another `runtime` or `architecture` in [tool.lambda-slim];"
    " or build a wheel of it and depend on that"
)


class _Unusable(Exception):  # noqa: N818 - it never leaves this module
    """Carry why one distribution cannot be installed."""


def select(lock: Lock, project: Project, target: Target, terms: LockTerms) -> tuple[Locked, ...]:
    """Return what to install on *target*, sorted by name, without the project itself: wheels, and what to build.

    The choice is PEP 751's: markers first, then the best tag, then the source. Raises one LockError that lists every
    distribution that has neither for the target, after a check that the lock fits the project.
    """
    where = shown(lock.path, project)
    _check_target(lock.pylock, where, target)
    groups = frozenset() if lock.has_groups_chosen else chosen_groups(lock.pylock, project, terms.settings)
    extras = {*terms.settings.extras, *map(canonicalize_name, terms.settings.extras)}
    applicable = [
        package
        for package in lock.pylock.packages
        if applies(package, target, extras, groups) and not _is_project(package, lock, project)
    ]
    names = [package.name for package in applicable]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LockError(
            f"{where}: locked more than once for {target}:{listed(twice)}",
            hint=f"the markers of its entries overlap; run {lock.maker}",
        )
    if not lock.vouched and (stale := sorted(set(unmet(applicable, project, target, terms.settings.extras)))):
        raise LockError(
            f"{where}: the project has changed since it was locked:{listed(stale)}", hint=f"run {lock.maker}"
        )
    chosen = [_attempt(package, lock, target, terms) for package in applicable]
    problems = sorted(str(entry) for entry in chosen if isinstance(entry, _Unusable))
    if problems:
        raise LockError(
            f"{where}: no wheel for {target}:{listed(problems, limit=50)}",
            hint=_REMEDY
            if terms.in_source_tree
            else f"{_REMEDY}; what is outside the project cannot travel in its sdist: build by `uv build --wheel`",
        )
    usable = [entry for entry in chosen if not isinstance(entry, _Unusable)]
    return tuple(sorted(usable, key=lambda locked: locked.name))


def chosen_groups(pylock: Pylock, project: Project, settings: LockSettings) -> frozenset[str]:
    """Return the groups to install: the chosen ones, and those that stand for the project's own dependencies.

    PEP 751 lets a tool put ``project.dependencies`` into a group of its making that is named in
    ``default-groups`` (PDM does: ``default``). A default group that is a real one of the project is for its
    developers, and is not taken unless it was chosen.
    """
    real = normalized((*project.dependency_groups, *declared(project).groups))
    synthetic = [name for name in pylock.default_groups or () if canonicalize_name(name) not in real and name != "dev"]
    chosen = chosen_names(settings, {*project.dependency_groups, *(pylock.dependency_groups or ())} - set(synthetic))
    return frozenset([*chosen, *map(canonicalize_name, chosen), *([] if settings.only_groups else synthetic)])


def _check_target(pylock: Pylock, where: str, target: Target) -> None:
    python = target.runtime.python
    if pylock.requires_python is not None and not pylock.requires_python.contains(python):
        raise LockError(
            f"{where}: made for Python {pylock.requires_python}; {target.runtime.name} has {python}",
            hint="set another `runtime` in [tool.lambda-slim], or lock for this Python",
        )
    try:
        list(replace(pylock, packages=[]).select(environment=target.markers, tags=target.tags))
    except PylockSelectError as error:
        raise LockError(
            f"{where}: not made for {target}; it is for:{listed(map(str, pylock.environments or ()))}",
            hint="lock for Linux, or for every platform",
        ) from error


def _is_project(package: Package, lock: Lock, project: Project) -> bool:
    if package.directory is not None:
        return os.path.realpath(lock.path.parent / package.directory.path) == os.fspath(project.root)
    return "name" in project.metadata and package.name == project.distribution


def _attempt(package: Package, lock: Lock, target: Target, terms: LockTerms) -> Locked | _Unusable:
    try:
        chosen = _choose(package, lock.pylock, target, lock.path.parent)
    except (_Unusable, UnlockedError) as problem:
        version = f" {package.version}" if package.version is not None else ""
        return _Unusable(f"{package.name}{version}: {problem}")
    if isinstance(chosen, LockedSource) and not terms.may_build:
        return _Unusable(f'{chosen.shown}: there is {chosen.origin} to build, and `sdist` is "never"')
    return chosen


def _choose(package: Package, pylock: Pylock, target: Target, base: Path) -> Locked:
    """Choose the wheel of one distribution, or its source; the markers have been looked at before."""
    python = target.runtime.python
    if package.requires_python is not None and not package.requires_python.contains(python):
        raise _Unusable(f"needs Python {package.requires_python}, and {target.runtime.name} has {python}")
    alone = replace(pylock, packages=[replace(package, marker=None)], environments=None)
    try:
        ((_, source),) = alone.select(environment=target.markers, tags=target.tags)
    except PylockSelectError:
        raise _Unusable(_available(package, target)) from None
    wheel = _as_wheel(source, target)
    if wheel is None:
        return as_source(package, source, base)
    if not strong_hashes(wheel.hashes):
        weak = ", ".join(sorted(wheel.hashes))
        raise _Unusable(f"{wheel.filename} has no sha256 in the lock (only {weak})")
    version = package.version or parse_wheel_filename(wheel.filename)[1]
    return LockedWheel(name=package.name, version=version, wheel=wheel, index=package.index)


def _as_wheel(source: _Source, target: Target) -> PackageWheel | None:
    """Return *source* as a wheel, if it is one: an archive that is called ``.whl`` is (uv's direct references)."""
    if isinstance(source, PackageWheel):
        return source
    if not isinstance(source, PackageArchive):
        return None
    wheel = PackageWheel(url=source.url, path=source.path, size=source.size, hashes=source.hashes)
    try:
        name = wheel.filename
    except PylockValidationError:  # its address ends with no name
        return None
    if not name.endswith(".whl"):
        return None
    try:
        tags = parse_wheel_filename(name)[-1]
    except InvalidWheelFilename as error:
        raise _Unusable(f"has only {name}, which is no name of a wheel") from error
    if not tags & set(target.tags):
        raise _Unusable(f"has only {name}")
    return wheel


def _available(package: Package, target: Target) -> str:
    """Say what there is instead of a wheel for the target: the tags, those for its machine first."""
    tags = {"-".join(wheel.filename.removesuffix(".whl").split("-")[-3:]) for wheel in package.wheels or ()}
    machine = target.architecture.machine
    order = sorted(tags, key=lambda tag: (machine not in tag or "linux" not in tag, tag))
    more = f" and {len(order) - 8} more" if len(order) > 8 else ""  # noqa: PLR2004
    return f"it has wheels for {', '.join(order[:8])}{more}"
