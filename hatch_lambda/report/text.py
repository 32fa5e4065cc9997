"""Numbers and findings in words, for a terminal, a log and a build tool's output alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.model import Finding
    from hatch_lambda.report import Package

_KILO = 1000


def size(count: int) -> str:
    """Return a number of bytes as people say it: ``61.2 MB`` (10^6 bytes)."""
    if count < _KILO:
        return f"{count} B"
    if count < _KILO * _KILO:
        return f"{count / _KILO:.1f} kB"
    return f"{count / _KILO / _KILO:.1f} MB"


def finding_lines(findings: Iterable[Finding], *, notes: bool = False) -> Iterator[str]:
    """Yield a line for each warning, with its remedy; with *notes* for each note too."""
    for finding in findings:
        if finding.severity is Severity.WARNING or (notes and finding.severity is Severity.NOTE):
            where = f"{finding.path}: " if finding.path else ""
            yield f"{finding.severity.value} {finding.code}: {where}{finding.message}" + (
                f" ({finding.hint})" if finding.hint else ""
            )


def summary_line(package: Package) -> str:
    """Return what was made in one line."""
    return (
        f"{package.path}: {size(package.size)} zipped, {size(package.tree.size)} unzipped,"
        f" {len(package.tree)} files for {package.runtime} on {package.architecture}"
    )
