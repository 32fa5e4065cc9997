"""The comparison with the report of an earlier package: what grew, and by how much."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hatch_lambda.report.document import Comparison, Growth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.report.document import Report

OTHERS = "(others)"
"""Stands for the files of no distribution, which are the project's own in a package that was built here."""
_TOP = 2
"""Folders of a path that are compared: ``scipy`` and ``scipy/linalg``."""


def compare(previous: Report, now: Report) -> Comparison | None:
    """Say what changed from *previous* to *now*.

    A package that is the same says again what it said before, so that writing a report twice changes nothing.
    """
    if previous.package.sha256 == now.package.sha256:
        return previous.comparison
    before = {file.path: file for file in previous.files}
    after = {file.path: file for file in now.files}
    return Comparison(
        file=previous.package.file,
        sha256=previous.package.sha256,
        bytes=previous.package.bytes,
        unzipped_bytes=previous.package.unzipped_bytes,
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[path].sha256 != after[path].sha256 for path in before.keys() & after.keys()),
        distributions=_distributions(previous, now),
        folders=list(_grown(_folders(previous), _folders(now))),
    )


def _distributions(previous: Report, now: Report) -> list[Growth]:
    versions = [{one.name: one.version for one in report.distributions} for report in (previous, now)]
    before, after = _owners(previous), _owners(now)
    names = {*before, *after}
    every = (
        Growth(
            name=name,
            before=before[name],
            after=after[name],
            version_before=versions[0].get(name),
            version_after=versions[1].get(name),
        )
        for name in names
    )
    changed = (one for one in every if one.before != one.after or one.version_before != one.version_after)
    return sorted(changed, key=_most_first)


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Growth]:
    names = {*before, *after}
    every = (Growth(name=name, before=before.get(name, 0), after=after.get(name, 0)) for name in names)
    yield from sorted((one for one in every if one.before != one.after), key=_most_first)


def _owners(report: Report) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for file in report.files:
        sizes[file.distribution or OTHERS] += file.bytes
    return sizes


def _folders(report: Report) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for file in report.files:
        *folders, _ = file.path.split("/")
        for depth in range(1, min(_TOP, len(folders)) + 1):
            sizes["/".join(folders[:depth])] += file.bytes
    return sizes


def _most_first(one: Growth) -> tuple[int, str]:
    return -abs(one.after - one.before), one.name
