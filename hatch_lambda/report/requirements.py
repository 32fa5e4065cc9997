"""Who requires whom among the distributions of a package, by their own metadata."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.markers import Environment

    from hatch_lambda.report.inventory import Metadata


def graph(
    project: str | None, metadata: Mapping[str, Metadata], environment: Environment
) -> dict[str | None, list[str]]:
    """Return the distributions that each one requires, sorted; under None, those that the package itself does.

    A requirement of an extra counts if somebody asks for that extra. Without the *project*'s metadata the package
    requires every distribution that no other does.
    """
    names = set(metadata)
    extras: defaultdict[str, set[str]] = defaultdict(set)
    requirements = {name: list(_requirements(one)) for name, one in metadata.items()}
    edges: dict[str | None, set[str]] = {name: set() for name in names}
    changed = True
    while changed:
        changed = False
        for name in sorted(names):
            for requirement in requirements[name]:
                needed = str(canonicalize_name(requirement.name))
                if needed not in names or not _applies(requirement, extras[name], environment):
                    continue
                if needed not in edges[name] or not requirement.extras <= extras[needed]:
                    changed = True
                    edges[name].add(needed)
                    extras[needed] |= requirement.extras
    edges[None] = {project} & names if project is not None else set()
    for name in sorted(names, key=lambda name: (bool(_above(name, edges)), name)):
        if name not in _below(edges[None], edges):
            edges[None].add(name)
    return {name: sorted(needed) for name, needed in edges.items()}


def _requirements(one: Metadata) -> Iterator[Requirement]:
    for text in one.raw.get("requires_dist", []):
        with suppress(InvalidRequirement):  # written before there was a standard
            yield Requirement(text)


def _applies(requirement: Requirement, extras: Iterable[str], environment: Environment) -> bool:
    if requirement.marker is None:
        return True
    given: dict[str, Any] = {**environment}
    return any(requirement.marker.evaluate({**given, "extra": extra}) for extra in ("", *extras))


def _above(name: str, edges: Mapping[str | None, set[str]]) -> list[str]:
    return [other for other, needed in edges.items() if other is not None and name in needed]


def _below(starts: Iterable[str], edges: Mapping[str | None, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += edges[name]
    return found
