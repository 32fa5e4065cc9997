"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from hatch_lambda.report import charts
from hatch_lambda.report.text import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatch_lambda.report.document import Comparison, Growth, Report

_PERCENT = 100
_SHOWN_FOLDERS = 30
_Cell = tuple[str, object]
"""What a cell shows, as HTML, and what it is sorted by."""


def page(report: Report) -> bytes:
    """Return the page that shows *report*."""
    from plotly.offline import get_plotlyjs

    asset = files(__package__).joinpath("assets")
    style, script = (asset.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    plotly = get_plotlyjs()
    facts = report.package
    title = " ".join(filter(None, (facts.name or facts.file, facts.version)))
    parts = {
        "title": _text(title),
        "policy": _policy(plotly, script),
        "style": style,
        "chips": "".join(f"<li>{_text(chip)}</li>" for chip in _chips(report)),
        "cards": _cards(report),
        "findings": _findings(report),
        "stages": _stages(report),
        "rules": _rules(report),
        "distributions": _distributions(report),
        "imports": _imports(report),
        "comparison": _comparison(report.comparison),
        "digests": _digests(report),
        "generator": _text(f"Made by {report.generator}. The page needs no network."),
        "data": _json(_data(report)),
        "plotly": plotly,
        "script": script,
    }
    return Template(asset.joinpath("page.html").read_text(encoding="utf-8")).substitute(parts).encode()


def _policy(*scripts: str) -> str:
    """Allow these scripts and nothing else: not even a name that got past the escaping could load or run a thing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _data(report: Report) -> dict[str, Any]:
    built = report.package.name is not None
    return {
        "contents": charts.contents(report),
        "removed": charts.removed(report),
        "imports": charts.imports(report.imports or ()),
        "growth": charts.growth(report.comparison.distributions) if report.comparison else None,
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
    return filter(None, (facts.runtime, facts.architecture, facts.file))


def _cards(report: Report) -> str:
    facts = report.package
    saved = sum(rule.bytes_saved for rule in report.rules)
    cards = [
        _card("Zipped", size(facts.bytes), (facts.bytes, facts.direct_upload_quota_bytes, "a direct upload")),
        _card("Unzipped", size(facts.unzipped_bytes), (facts.unzipped_bytes, facts.unzipped_quota_bytes, "the limit")),
        _card("Files", f"{facts.files:,}", note=f"of {len(report.distributions)} distributions"),
    ]
    if report.stages:
        before = facts.unzipped_bytes + saved
        share = f"{saved * _PERCENT / before:.0f} % of {size(before)}" if saved else "nothing to take"
        cards.append(_card("Removed", size(saved), note=share))
    return "".join(cards)


def _card(name: str, value: str, meter: tuple[int, int, str] | None = None, note: str = "") -> str:
    bar = ""
    if meter is not None:
        amount, quota, what = meter
        note = f"{amount * _PERCENT / quota:.0f} % of {what}, {size(quota)}"
        bar = f'<meter min="0" max="{quota}" high="{quota}" optimum="0" value="{amount}">{_text(note)}</meter>'
    return f"<div><dt>{name}</dt><dd>{_text(value)}{bar}<small>{_text(note)}</small></dd></div>"


def _findings(report: Report) -> str:
    if not report.findings:
        body = '<p class="empty">No findings.</p>'
    else:
        entries = (
            f'<li><span class="badge {"remark" if found.severity == "note" else found.severity}">'
            f"{found.severity} {_text(found.code)}</span>"
            f"<span>{f'<code>{_text(found.path)}</code>: ' if found.path else ''}{_text(found.message)}</span>"
            + (f'<span class="why">{_text(found.hint)}</span>' if found.hint else "")
            + "</li>"
            for found in report.findings
        )
        body = f'<ul class="findings panel">{"".join(entries)}</ul>'
    return f'<section aria-labelledby="findings-title"><h2 id="findings-title">Findings</h2>{body}</section>'


def _stages(report: Report) -> str:
    if not report.stages:
        return _nothing("Another tool made this package: what happened before is not known.")
    rows = [
        [(_text(stage.name), stage.name), (f"{stage.files:,}", stage.files), (size(stage.bytes), stage.bytes)]
        for stage in report.stages
    ]
    return _table(["Stage", "Files", "Size"], rows)


def _rules(report: Report) -> str:
    if not report.rules:
        return _nothing("No rule took anything, as far as is known.")
    rows: list[list[_Cell]] = [
        [
            (f'{_text(rule.name)}<span class="why">{_text(rule.reason)}</span>', rule.name),
            (f"{rule.files:,}", rule.files),
            (size(rule.bytes_saved), rule.bytes_saved),
        ]
        for rule in report.rules
    ]
    return _table(["Rule", "Files", "Saved"], rows)


def _distributions(report: Report) -> str:
    if not report.distributions:
        return _nothing("No distribution is in the package.")
    rows: list[list[_Cell]] = [
        [
            (_text(one.name), one.name),
            (_text(one.version or "?"), one.version or ""),
            (_text(one.licence or "not said"), one.licence or ""),
            (f"{one.files:,}", one.files),
            (size(one.bytes), one.bytes),
            (size(one.zipped_bytes), one.zipped_bytes),
            (size(one.removed_bytes) if one.removed_bytes else "none", one.removed_bytes),
        ]
        for one in report.distributions
    ]
    names = ["Distribution", "Version", "Licence", "Files", "Size", "Zipped", "Removed"]
    return _table(names, rows, text={2}, sortable=True)


def _imports(report: Report) -> str:
    if report.imports is None:
        return _nothing("Not measured. `hatch-lambda coldstart` measures it, and `--coldstart FILE` shows it here.")
    if not report.imports:
        return _nothing("No import was seen.")
    total = sum(time.self_ms for time in report.imports)
    return (
        f'<p class="note">{total:.0f} ms while the handler is imported, by distribution.</p>'
        '<div class="panel chart" id="imports-chart" role="img" aria-label="Bars of import times"></div>'
        + _table(
            ["Distribution", "Own, ms", "With all that it imports, ms"],
            [
                [
                    (_text(time.name), time.name),
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
        return _nothing("Nothing to compare with. The next report in the same folder says here what grew.")
    counts = (
        f"{comparison.added:,} files came, {comparison.removed:,} went, {comparison.changed:,} changed"
        f" since {comparison.file} ({size(comparison.bytes)} zipped, {size(comparison.unzipped_bytes)} unzipped)."
    )
    note = f'<p class="note">{_text(counts)}</p>'
    if not comparison.distributions and not comparison.folders:
        return note
    chart = '<div class="panel chart" id="growth-chart" role="img" aria-label="Bars of what grew and shrank"></div>'
    has_chart = any(one.before != one.after for one in comparison.distributions)
    return (
        note
        + (chart if has_chart else "")
        + _growth("Distribution", comparison.distributions)
        + _growth("Folder", comparison.folders[:_SHOWN_FOLDERS])
    )


def _growth(what: str, changes: Sequence[Growth]) -> str:
    rows: list[list[_Cell]] = []
    for one in changes:
        grown = one.after - one.before
        versions = ""
        if one.version_before != one.version_after:
            versions = (
                f'<span class="why">{_text(one.version_before or "new")} → {_text(one.version_after or "gone")}</span>'
            )
        colour = "more" if grown > 0 else "less"
        rows.append(
            [
                (_text(one.name) + versions, one.name),
                (size(one.before), one.before),
                (size(one.after), one.after),
                (f'<span class="{colour}">{charts.signed(grown)}</span>', grown),
            ]
        )
    return _table([what, "Before", "After", "Difference"], rows, sortable=True) if rows else ""


def _digests(report: Report) -> str:
    facts = report.package
    rows = {
        "SHA-256": facts.sha256,
        "CodeSha256": facts.code_sha256,
        "Content": facts.content_sha256,
        **report.inputs,
    }
    return "".join(f"<dt>{_text(name)}</dt><dd><code>{_text(value)}</code></dd>" for name, value in rows.items())


def _table(
    names: Sequence[str],
    rows: Iterable[Sequence[_Cell]],
    *,
    text: frozenset[int] | set[int] = frozenset(),
    sortable: bool = False,
) -> str:
    def heading(column: int, name: str) -> str:
        kind = ' class="text"' if column in text else ""
        return f'<th scope="col"{kind}>{f"<button type=button>{name}</button>" if sortable else name}</th>'

    def cell(column: int, shown: str, value: object) -> str:
        key = f' data-value="{_text(str(value))}"' if sortable else ""
        if column == 0:
            return f'<th scope="row"{key}>{shown}</th>'
        return f"<td{' class=text' if column in text else ''}{key}>{shown}</td>"

    head = "".join(heading(column, name) for column, name in enumerate(names))
    body = "".join(f"<tr>{''.join(cell(column, *one) for column, one in enumerate(row))}</tr>" for row in rows)
    return (
        '<div class="panel" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _nothing(text: str) -> str:
    """Say why there is nothing; what stands in backquotes is a command."""
    pieces = text.split("`")
    shown = (f"<code>{_text(piece)}</code>" if number % 2 else _text(piece) for number, piece in enumerate(pieces))
    return f'<p class="empty">{"".join(shown)}</p>'


def _text(text: str) -> str:
    return html.escape(text)


def _json(document: object) -> str:
    """Return JSON that may stand in a script element, whatever is in it."""
    return json.dumps(document, separators=(",", ":")).replace("<", "\\u003c")
