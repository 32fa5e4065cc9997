"""Leave distributions out, and with them what only they needed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import LockError
from hatch_lambda.stages.locks.formats import declared
from hatch_lambda.stages.locks.lock import excluded_names, normalized, runtime_packages
from hatch_lambda.stages.locks.pylock import names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.pylock import Package

    from hatch_lambda.config.settings import LockSettings
    from hatch_lambda.config.target import Target
    from hatch_lambda.stages.locks.lock import Lock, LockRequest


def exclude(lock: Lock, request: LockRequest) -> Lock:
    """Return *lock* without what the settings leave out.

    What only that needed goes as well, unless ``keep-dependencies`` is set: the graph is that of the lock. Raises
    LockError for a lock that does not tell it.
    """
    settings = request.settings
    names = excluded_names(settings)
    packages = list(lock.pylock.packages)
    present = sorted({str(package.name) for package in packages if package.name in names})
    if settings.keep_dependencies or not present:
        left = [package for package in packages if package.name not in names]
    else:
        graph = {str(package.name): _needs(package) for package in packages}
        if not any(needed is not None for needed in graph.values()) and len(packages) > 1:
            raise LockError(
                f"{request.shown}: it does not tell what depends on what, so what only {', '.join(present)} needed"
                " cannot be found",
                hint="set `keep-dependencies = true` in [tool.lambda-slim] and name everything in `exclude-packages`,"
                " or lock with uv, Poetry or PDM",
            )
        kept = _reachable({name: needed or frozenset() for name, needed in graph.items()}, names, request)
        left = [package for package in packages if package.name in kept]
    return msgspec.structs.replace(lock, pylock=dataclasses.replace(lock.pylock, packages=left))


def _reachable(graph: Mapping[str, frozenset[str]], excluded: frozenset[str], request: LockRequest) -> set[str]:
    """Return what is still needed: by the project itself, or by what nothing in the lock needs."""
    own = normalized(requirement.name for requirement in request.project.requirements())
    direct = own | declared(request.project).direct
    needed = frozenset().union(*graph.values()) if graph else frozenset()
    pending = [name for name in graph if name in direct or name not in needed]
    kept: set[str] = set()
    while pending:
        name = pending.pop()
        if name in graph and name not in kept and name not in excluded:
            kept.add(name)
            pending += graph[name]
    return kept


def _needs(package: Package) -> frozenset[str] | None:
    """Return what *package* depends on; None where the lock does not tell (PEP 751 leaves it open)."""
    if package.dependencies is not None:
        return normalized(str(entry["name"]) for entry in package.dependencies if "name" in entry)
    told = (package.tool or {}).get("pdm", {}).get("dependencies")
    return None if told is None else names_of(told)


def moving(settings: LockSettings, target: Target) -> tuple[Finding, ...]:
    """Warn of what the settings leave to the runtime."""
    if not settings.exclude_runtime_packages:
        return ()
    names = ", ".join(runtime_packages())
    found = Finding(
        code="HL061",
        severity=Severity.WARNING,
        message=f"what {target.runtime.name} brings is left out ({names}): its versions are not those"
        " of the lock; they depend on the runtime and the region, AWS documents none and changes them without notice",
        hint="ship your own where you rely on a version: leave `exclude-runtime-packages` out",
    )
    return (found,)
