"""Compare a lock with the project: the check that works for every format and needs no tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from packaging.utils import canonicalize_name

from hatch_lambda.errors.secrets import masked
from hatch_lambda.stages.locks.formats import declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.pylock import Package
    from packaging.requirements import Requirement

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target


def unmet(packages: Iterable[Package], project: Project, target: Target, extras: tuple[str, ...]) -> Iterator[str]:
    """Yield each direct requirement of the project with *extras* that is not met by what is locked, and why.

    Only presence is compared for requirements with an address, and for what the lock gives no version (a
    source tree). Requirements that a tool's own table overrides are left to the tool.
    """
    locked = {package.name: package for package in packages}
    exempt = {project.distribution, *declared(project).exempt}
    for requirement in project.requirements():
        name = canonicalize_name(requirement.name)
        if name in exempt or not _wanted(requirement, target, extras):
            continue
        shown = masked(str(requirement))
        package = locked.get(name)
        if package is None:
            yield f"{shown} is required, and not locked for {target}"
        elif (
            requirement.url is None
            and package.version is not None
            and not requirement.specifier.contains(package.version, prereleases=True)
        ):
            yield f"{shown} is required, and {name} {package.version} is locked"


def _wanted(requirement: Requirement, target: Target, extras: tuple[str, ...]) -> bool:
    if requirement.marker is None:
        return True
    environment = cast("dict[str, str]", target.markers)
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))
