"""What a terminal would obey, written out."""

from __future__ import annotations

import re

_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys, but for tabs and the ends of lines, or that let text be read in another order."""


def printable(text: str) -> str:
    """Return *text* with every character written out that a terminal would obey."""
    if text.isprintable():
        return text
    return _UNSHOWN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
