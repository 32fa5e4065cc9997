"""Pieces of HTML: tables, sentences, sizes, each with everything escaped that comes from a package."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from hatch_lambda.report.text import size as in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
