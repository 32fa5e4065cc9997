"""Compare a lock with the project: the check that works for every format and needs no tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from packaging.utils import canonicalize_name

from hatch_lambda.core.text import listed
from hatch_lambda.errors import LockError
from hatch_lambda.errors.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from packaging.pylock import Package
    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_freshness(  # noqa: PLR0913 - each is of another owner
    packages: Iterable[Package], *, where: str, mend: str, project: Project, target: Target, extras: Collection[str]
) -> None:
    """Raise LockError unless what is locked meets every direct requirement of the project with these *extras*.

    Only presence is compared for requirements with an address, and for what the lock gives no version (a
    source tree). Requirements that ``[tool.uv]`` overrides are left to uv.
    """
    locked = {package.name: package for package in packages}
    problems = sorted(set(_unmet(locked, project, target, extras)))
    if problems:
        raise LockError(
            f"{where}: the project has changed since it was locked:{listed(problems)}",
            hint=f"run {mend}",
        )


def _unmet(
    locked: Mapping[NormalizedName, Package], project: Project, target: Target, extras: Collection[str]
) -> Iterator[str]:
    exempt = {canonicalize_name(project.distribution), *_overridden(project)}
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


def _wanted(requirement: Requirement, target: Target, extras: Collection[str]) -> bool:
    if requirement.marker is None:
        return True
    environment = cast("dict[str, str]", target.markers)
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def _overridden(project: Project) -> Iterator[NormalizedName]:
    """Yield the names for which uv does not follow the project's own words."""
    tool = project.pyproject.get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    for key in ("override-dependencies", "exclude-dependencies"):
        for line in table.get(key, ()) if isinstance(table, dict) else ():
            if named := _NAME.match(str(line).strip()):
                yield canonicalize_name(named[0])
