"""Pieces of HTML: tables, sentences, sizes, each with everything escaped that comes from a package."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from hatch_lambda.core.text import size as in_words
from hatch_lambda.inspect.report.charts import contents, growth, imports, removed, signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatch_lambda.inspect.report.document import Comparison, Growth, Report


Cell = tuple[str, object]
"""What a cell shows, as HTML, and what it is sorted by."""


def section(title: str, body: str) -> str:
    """Make a part of the page."""
    identity = title.partition(",")[0].lower().replace(" ", "-")
    return f'<section aria-labelledby="{identity}"><h2 id="{identity}">{title}</h2>{body}</section>'


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    words: tuple[int, ...] = (),
    sortable: bool = False,
) -> str:
    """Make a table whose first column names its rows; the columns *words* are no numbers.

    One that is *sortable* is sorted by the column whose heading is pressed.
    """

    def heading(column: int, name: str) -> str:
        kind = ' class="text"' if column in words else ""
        return f'<th scope="col"{kind}>{f"<button type=button>{name}</button>" if sortable else name}</th>'

    def cell(column: int, shown: str, value: object) -> str:
        key = f' data-value="{escaped(str(value))}"' if sortable else ""
        if column == 0:
            return f'<th scope="row"{key}>{shown}</th>'
        return f"<td{' class=text' if column in words else ''}{key}>{shown}</td>"

    head = "".join(heading(column, name) for column, name in enumerate(names))
    body = "".join(f"<tr>{''.join(cell(column, *one) for column, one in enumerate(row))}</tr>" for row in rows)
    return (
        '<div class="panel" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def nothing(text: str) -> str:
    """Say why there is nothing to show."""
    return f'<p class="empty">{prose(text)}</p>'


def size(count: int) -> str:
    """Return a number of bytes as people say it, in one piece."""
    return in_words(count).replace(" ", "\N{NO-BREAK SPACE}")


def prose(text: str) -> str:
    """Show a sentence in which code stands in backquotes."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escaped(text)
    return "".join(
        f"<code>{escaped(piece)}</code>" if number % 2 else escaped(piece) for number, piece in enumerate(pieces)
    )


def escaped(text: str) -> str:
    """Show *text* as it is, whatever it holds."""
    return html.escape(text)


def as_json(document: object) -> str:
    """Return JSON that may stand in a script element, whatever is in it."""
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")


_PERCENT = 100
_SHOWN_FOLDERS = 30


def page(report: Report) -> bytes:
    """Return the page that shows *report*."""
    from plotly.offline import get_plotlyjs

    asset = files(__package__).joinpath("assets")
    style, script = (asset.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    plotly = get_plotlyjs()
    facts = report.package
    title = " ".join(filter(None, (facts.name or facts.file, facts.version)))
    parts = {
        "title": escaped(title),
        "policy": _policy(plotly, script),
        "style": style,
        "chips": "".join(f"<li>{escaped(chip)}</li>" for chip in _chips(report)),
        "cards": _cards(report),
        "findings": section("Findings", _findings(report)),
        "stages": section("Stages", _stages(report)) if report.stages else "",
        "rules": section("What slimming took, and why", _rules(report)) if report.stages else "",
        "distributions": section("Distributions", _distributions(report)),
        "imports": section("Import times", _imports(report)),
        "comparison": section("Since the previous package", _comparison(report.comparison)),
        "digests": _digests(report),
        "generator": escaped(f"Made by {report.generator}. The page needs no network."),
        "data": as_json(_data(report, title)),
        "plotly": plotly,
        "script": script,
    }
    return Template(asset.joinpath("page.html").read_text(encoding="utf-8")).substitute(parts).encode()


def _policy(*scripts: str) -> str:
    """Allow these scripts and nothing else: not even a name that got past the escaping could load or run a thing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _data(report: Report, title: str) -> dict[str, Any]:
    built = report.package.name is not None
    return {
        "contents": contents(report, title),
        "removed": removed(report),
        "imports": imports(report.imports or ()),
        "growth": growth(report.comparison.distributions) if report.comparison else None,
        "about": {
            "contents": "Every file of the package, unzipped, by distribution and folder.",
            "removed": "What slimming and stripping took, by rule, distribution and folder.",
        },
        "nothing": {
            "contents": "The package is empty.",
            "removed": "Nothing was removed."
            if built
            else "Only a build knows what it removed: `hatch-lambda build --report DIR` tells it.",
        },
    }


def _chips(report: Report) -> Iterable[str]:
    facts = report.package
    return filter(None, (facts.runtime, facts.architecture, facts.file if facts.name else None))


def _cards(report: Report) -> str:
    facts = report.package
    saved = sum(rule.bytes_saved for rule in report.rules)
    cards = [
        _card("Zipped", size(facts.bytes), (facts.bytes, facts.direct_upload_quota_bytes, "a direct upload")),
        _card("Unzipped", size(facts.unzipped_bytes), (facts.unzipped_bytes, facts.unzipped_quota_bytes, "the limit")),
        _card("Files", f"{facts.files:,}", note=f"of {len(report.distributions)} distributions"),
    ]
    if report.stages:
        before = report.stages[0].size
        share = f"{saved * _PERCENT / before:.0f} % of {size(before)}" if saved else "nothing to take"
        cards.append(_card("Removed", size(saved), note=share))
    return "".join(cards)


def _card(name: str, value: str, meter: tuple[int, int, str] | None = None, note: str = "") -> str:
    bar = ""
    if meter is not None:
        amount, quota, what = meter
        note = f"{amount * _PERCENT / quota:.0f} % of {what}, {size(quota)}"
        bar = f'<meter max="{max(amount, quota)}" high="{quota}" optimum="0" value="{amount}">{escaped(note)}</meter>'
    return f"<div><dt>{name}</dt><dd>{escaped(value)}{bar}<small>{escaped(note)}</small></dd></div>"


def _findings(report: Report) -> str:
    if not report.findings:
        return nothing("No findings.")
    entries = (
        f'<li><span class="badge {found.severity}">{found.severity} {escaped(found.code)}</span>'
        f"<span>{f'<code>{escaped(found.path)}</code>: ' if found.path else ''}{prose(found.message)}</span>"
        + (f'<span class="why">{prose(found.hint)}</span>' if found.hint else "")
        + "</li>"
        for found in report.findings
    )
    return f'<ul class="findings panel">{"".join(entries)}</ul>'


def _stages(report: Report) -> str:
    rows = [
        [(escaped(stage.name), stage.name), (f"{stage.files:,}", stage.files), (size(stage.size), stage.size)]
        for stage in report.stages
    ]
    return table(["Stage", "Files", "Size"], rows)


def _rules(report: Report) -> str:
    if not report.rules:
        return nothing("No rule took anything.")
    rows: list[list[Cell]] = [
        [
            (f'{escaped(rule.name)}<span class="why">{prose(rule.reason)}</span>', rule.name),
            (f"{rule.files:,}", rule.files),
            (size(rule.bytes_saved), rule.bytes_saved),
        ]
        for rule in report.rules
    ]
    return table(["Rule", "Files", "Saved"], rows)


def _distributions(report: Report) -> str:
    if not report.distributions:
        return nothing("No distribution is in the package.")
    names = ["Distribution", "Version", "Licence", "Files", "Size", "Zipped", *(["Removed"] if report.stages else [])]
    rows: list[list[Cell]] = [
        [
            (escaped(one.name), one.name),
            (escaped(one.version or "?"), one.version or ""),
            (escaped(one.licence or "not said"), one.licence or ""),
            (f"{one.files:,}", one.files),
            (size(one.bytes), one.bytes),
            (size(one.zipped_bytes), one.zipped_bytes),
            (size(one.removed_bytes), one.removed_bytes),
        ][: len(names)]
        for one in report.distributions
    ]
    return table(names, rows, words=(2,), sortable=True)


def _imports(report: Report) -> str:
    if report.imports is None:
        return nothing("Not measured. `hatch-lambda coldstart` measures it, and `--coldstart FILE` shows it here.")
    if not report.imports:
        return nothing("No import was seen.")
    total = sum(time.self_ms for time in report.imports)
    return (
        f'<p class="note">{total:.0f} ms while the handler is imported, by distribution.</p>'
        + _chart("imports", "Import times by distribution, longest first")
        + table(
            ["Distribution", "Own, ms", "Cumulative, ms"],
            [
                [
                    (escaped(time.owner), time.owner),
                    (f"{time.self_ms:.1f}", time.self_ms),
                    (f"{time.cumulative_ms:.1f}", time.cumulative_ms),
                ]
                for time in report.imports
            ],
            sortable=True,
        )
    )


def _comparison(comparison: Comparison | None) -> str:
    if comparison is None:
        return nothing("Nothing to compare with. The next report in the same folder says here what grew.")
    counts = (
        f"{comparison.added:,} file{'s' * (comparison.added != 1)} came, {comparison.removed:,} went,"
        f" {comparison.changed:,} changed"
        f" since {comparison.file} ({size(comparison.bytes)} zipped, {size(comparison.unzipped_bytes)} unzipped)."
    )
    note = f'<p class="note">{escaped(counts)}</p>'
    if not comparison.distributions and not comparison.folders:
        return note
    has_chart = any(one.before != one.after for one in comparison.distributions)
    return (
        note
        + (_chart("growth", "Distributions that grew or shrank, most first") if has_chart else "")
        + _growth("Distribution", comparison.distributions)
        + _growth("Folder", comparison.folders[:_SHOWN_FOLDERS])
    )


def _chart(name: str, label: str) -> str:
    return f'<div class="panel chart" role="img" aria-label="{label}"><div id="{name}-chart"></div></div>'


def _growth(what: str, changes: Sequence[Growth]) -> str:
    rows: list[list[Cell]] = []
    for one in changes:
        grown = one.after - one.before
        versions = ""
        if one.version_before != one.version_after:
            step = f"{one.version_before or 'new'} → {one.version_after or 'gone'}"
            versions = f'<span class="why">{escaped(step)}</span>'
        colour = "more" if grown > 0 else "less"
        rows.append(
            [
                (escaped(one.name) + versions, one.name),
                (size(one.before), one.before),
                (size(one.after), one.after),
                (f'<span class="{colour}">{signed(grown)}</span>', grown),
            ]
        )
    return table([what, "Before", "After", "Difference"], rows, sortable=True) if rows else ""


def _digests(report: Report) -> str:
    facts = report.package
    rows = {
        "SHA-256": facts.sha256,
        "CodeSha256": facts.code_sha256,
        "Content": facts.content_sha256,
        **report.inputs,
    }
    return "".join(f"<dt>{escaped(name)}</dt><dd><code>{escaped(value)}</code></dd>" for name, value in rows.items())
