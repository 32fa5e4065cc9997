"""Plain text in columns: lines that end where their last word ends, and fit a terminal of a given width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = 2
_NARROWEST = 12
"""Characters below which a column is not squeezed: an unreadable line is worse than one that wraps."""


def table(rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right.

    Where that is wider than *width*, the words of the first column are folded; None means any width.
    """
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        widths[0] = max(_NARROWEST, min(widths[0], width - sum(widths[1:]) - _GAP * (len(widths) - 1)))
    for first, *others in rows:
        *above, last = _folded(first, widths[0])
        yield from above
        cells = [f"{text:>{size}}" for text, size in zip(others, widths[1:], strict=True)]
        yield (" " * _GAP).join([f"{last:<{widths[0]}}", *cells]).rstrip()


def facts(rows: Sequence[tuple[str, str]], width: int | None = None) -> Iterator[str]:
    """Yield the lines of names with their values, which are folded below themselves."""
    indent = max((len(name) for name, _ in rows), default=0) + _GAP
    room = None if width is None else max(_NARROWEST, width - indent)
    for name, value in rows:
        first, *others = _folded(value, room)
        yield f"{name:<{indent}}{first}".rstrip()
        yield from (" " * indent + line for line in others)


def hanging(text: str, indent: int, width: int | None = None) -> list[str]:
    """Return the lines of a paragraph in which all but the first are indented by *indent*.

    Words that are too long for a line, such as paths, stay whole, so that they can be copied.
    """
    if width is None or len(text) <= width:
        return [text]
    leading = len(text) - len(text.lstrip())
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * max(indent, leading),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _folded(text: str, width: int | None) -> list[str]:
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_on_hyphens=False)
