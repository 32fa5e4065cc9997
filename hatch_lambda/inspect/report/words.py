"""Results in words, for a terminal, a log and a build tool's output alike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA
from hatch_lambda.core.model import Severity, Stage
from hatch_lambda.core.text import facts, hanging, size, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_lambda.core.model import Finding
    from hatch_lambda.inspect.audit.verify import Verified
    from hatch_lambda.inspect.package import Package, Result, SlimmedFolder


_Row = TypeVar("_Row")
_INDENT = 9
"""Columns that a finding's code takes."""
_PERCENT = 100
_SHOWN = 8
"""Rules and distributions that are listed, unless all are wanted."""


def finding_lines(findings: Iterable[Finding], *, notes: bool = False) -> Iterator[str]:
    """Yield a line for each warning, with its remedy; the first few of a code, or with *notes* all, and notes too."""
    told: Counter[str] = Counter()
    for finding in findings:
        if finding.severity is Severity.WARNING or (notes and finding.severity is Severity.NOTE):
            told[finding.code] += 1
            if told[finding.code] > _SHOWN and not notes:
                continue
            where = f"{finding.path}: " if finding.path else ""
            yield f"{finding.severity.value} {finding.code}: {where}{finding.message}" + (
                f" ({finding.hint})" if finding.hint else ""
            )
    for code, count in told.items():
        if count > _SHOWN and not notes:
            yield f"{Severity.WARNING.value} {code}: {count - _SHOWN} more (-v)"


def finding_tables(findings: Iterable[Finding], *, width: int | None, everything: bool) -> Iterator[list[str]]:
    """Yield the findings of each severity, grouped by their codes, with a heading first.

    Unless *everything* is wanted, there are no notes, and a code is told for a few paths only.
    """
    by_severity: dict[Severity, dict[str, list[Finding]]] = {}
    for finding in findings:
        by_severity.setdefault(finding.severity, {}).setdefault(finding.code, []).append(finding)
    for severity, codes in by_severity.items():
        if severity is Severity.NOTE and not everything:
            continue
        lines = [counted(sum(map(len, codes.values())), severity.value)]
        for code, found in codes.items():
            shown = _shown(found, everything=everything)
            told = [f"{f'{one.path}: ' if one.path else ''}{one.message}" for one in shown]
            if rest := found[len(shown) :]:
                told.append(f"and {len(rest)} more (-v)")
            told += [f"hint: {hint}" for hint in dict.fromkeys(one.hint for one in found if one.hint)]
            lines += [line for paragraph in told for line in hanging(f"  {code}  {paragraph}", _INDENT, width)]
        yield lines


def verified_line(result: Verified) -> str:
    """Return what the audit came to in one line."""
    counts = Counter(finding.severity for finding in result.findings)
    told = ", ".join(counted(counts[severity], severity.value) for severity in Severity)
    target = " on ".join(filter(None, (result.runtime, result.architecture))) or "an unknown target"
    return f"{result.path}: {told} for {target}; {_against(result.tree.size, UNZIPPED_QUOTA, 'the quota')} unzipped"


def counted(count: int, noun: str) -> str:
    """Return *count* things by their name."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def summary_line(package: Package) -> str:
    """Return what was made in one line."""
    handler = f"; its handler is {package.handler}" if package.shape == "nested" and package.handler else ""
    return (
        f"{package.path}: {size(package.size)} zipped, {size(package.unzipped)} unzipped,"
        f" {len(package.tree)} files for {package.runtime} on {package.architecture}{handler}"
    )


def tables(result: Result, *, width: int | None, everything: bool) -> Iterator[list[str]]:
    """Yield the tables of a result, each as its lines with the heading first.

    With *everything* no row is left out. What bytecode changes is told by the stages alone.
    """
    stages = [(stage.name, f"{stage.files}", size(stage.size), f"{stage.seconds:.2f}") for stage in result.stages]
    yield list(table([("stage", "files", "size", "seconds"), *stages], width))
    adding = {change.rule for change in result.changes if change.stage is Stage.BYTECODE}
    if rules := [rule for rule in result.rules if rule.name not in adding]:
        rows = [(rule.name, f"{rule.files}", size(rule.saved)) for rule in _shown(rules, everything=everything)]
        if rest := rules[len(rows) :]:
            more = sum(rule.files for rule in rest), sum(rule.saved for rule in rest)
            rows.append((_others(rest, "rule"), f"{more[0]}", size(more[1])))
        yield list(table([("rule", "files", "saved"), *rows], width))
    if distributions := result.distributions:
        lines = [(one.name, size(one.size)) for one in _shown(distributions, everything=everything)]
        if left := distributions[len(lines) :]:
            lines.append((_others(left, "distribution"), size(sum(one.size for one in left))))
        yield list(table([("distribution", "size"), *lines], width))


def slimmed_facts(result: SlimmedFolder, *, width: int | None) -> list[str]:
    """Return the lines that say what a slimmed folder is for and how large it is."""
    return list(facts([("target", _target(result)), ("unzipped", _unzipped(result))], width))


def package_facts(package: Package, *, width: int | None) -> list[str]:
    """Return the lines that identify a package and compare it with what Lambda takes."""
    rows = [
        ("target", _target(package)),
        ("handler", package.handler),
        ("unzipped", _unzipped(package)),
        ("zipped", _against(package.size, DIRECT_UPLOAD_QUOTA, "a direct upload") if package.sha256 else None),
        ("SHA-256", package.sha256),
        ("CodeSha256", package.code_sha256),
        ("content", package.content_sha256),
        *((other.kind, f"{other.path.name}: {size(other.size)}") for other in package.others),
    ]
    return list(facts([(name, text) for name, text in rows if text is not None], width))


def _shown(rows: Sequence[_Row], *, everything: bool) -> Sequence[_Row]:
    # A line that says "1 other" takes the place of the one that it hides.
    return rows if everything or len(rows) <= _SHOWN + 1 else rows[:_SHOWN]


def _others(rest: Sequence[object], noun: str) -> str:
    return f"{len(rest)} other {noun}s (-v)"


def _target(result: Result) -> str:
    names = [name for name in (result.runtime, result.architecture) if name is not None]
    return " on ".join(names) or "any, as far as the wheels tell"


def _unzipped(result: Result) -> str:
    return _against(result.unzipped, UNZIPPED_QUOTA, "Lambda's limit")


def _against(amount: int, quota: int, name: str) -> str:
    return f"{size(amount)}, {amount * _PERCENT / quota:.0f} % of {name} ({size(quota)})"
