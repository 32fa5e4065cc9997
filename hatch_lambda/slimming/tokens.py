"""Cutting Python code into tokens, on any host alike.

The standard library's ``tokenize`` knows the syntax of the interpreter that runs it, and has changed with it; the
same input must give the same bytes everywhere. What this makes of code that is none does not matter.
"""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

_PREFIX = rb"(?P<prefix>[rRbBuUfFtT]{0,2})"
_STRING = (
    rb'"""(?P<a>[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*)"""'
    rb"|'''(?P<b>[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*)'''"
    rb'|"(?P<c>[^"\\\n]*(?:\\.[^"\\\n]*)*)"'
    rb"|'(?P<d>[^'\\\n]*(?:\\.[^'\\\n]*)*)'"
)
_TOKEN = re.compile(
    rb"(?P<skip>[ \t\r\f]+|\#[^\n]*|\\\r?\n)"
    rb"|(?P<newline>\n)"
    rb"|(?P<string>" + _PREFIX + rb"(?:" + _STRING + rb"))"
    rb"|(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*)"
    rb"|(?P<number>[0-9][\w.]*)"
    rb"|(?P<operator>:=|->|[=!<>]=|(?:\*\*|//|>>|<<|[-+*/%&|^@])=|\*\*|.)",
    re.DOTALL,
)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    STRING = "string"
    COMPUTED = "computed"
    """A string whose value only the program knows, or that is none of characters: ``f"{x}"``, ``b"x"``."""
    NUMBER = "number"
    OPERATOR = "operator"
    NEWLINE = "newline"
    """The end of a line that is not inside of brackets."""


class Token(Struct, frozen=True):
    """A word of the language, or the value of a string."""

    kind: Kind
    text: str
    line: int
    depth: int
    """Brackets that it is in; an opening and a closing one are outside of themselves."""

    def is_name(self, *names: str) -> bool:
        """Tell whether it is one of *names*, or any name where none is given."""
        return self.kind is Kind.NAME and (not names or self.text in names)

    def is_operator(self, *texts: str) -> bool:
        """Tell whether it is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in texts


def tokenize(text: bytes) -> list[Token]:
    """Return the tokens of *text*, without comments; one newline ends it."""
    tokens: list[Token] = []
    line, depth = 1, 0
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match[0]
        # The last group to close is the outer one; only it has a meaning here.
        if kind == "newline":
            if not depth:
                tokens.append(Token(Kind.NEWLINE, "", line, 0))
        elif kind == "string":
            tokens.append(_string(match, line, depth))
        elif kind != "skip":
            word = found.decode(errors="replace")
            depth = max(0, depth - (word in _CLOSING))
            tokens.append(Token(Kind(kind), word, line, depth))
            depth += word in _OPENING
        line += found.count(b"\n")
    tokens.append(Token(Kind.NEWLINE, "", line, 0))
    return tokens


def _string(match: re.Match[bytes], line: int, depth: int) -> Token:
    prefix = match["prefix"].lower()
    content = next(match[group] for group in "abcd" if match[group] is not None)
    formatted = b"{" in content and (b"f" in prefix or b"t" in prefix)
    escaped = b"\\" in content and b"r" not in prefix
    known = not (formatted or escaped or b"b" in prefix)
    return Token(Kind.STRING if known else Kind.COMPUTED, content.decode(errors="replace"), line, depth)
