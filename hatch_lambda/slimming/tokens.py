"""Cutting Python code into tokens, on any host alike.

The standard library's ``tokenize`` knows the syntax of the interpreter that runs it, and has changed with it; the
same input must give the same bytes everywhere. What this makes of code that is none does not matter.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = rb"(?P<prefix>[rRbBuUfFtT]{0,2})"
_DOUBLE = rb'"""(?P<a>[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+)"""|'
_SINGLE = rb"'''(?P<b>[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+)'''|"
_ON_ONE_LINE = rb'"(?P<c>[^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"|' + rb"'(?P<d>[^'\\\n]*+(?:\\.[^'\\\n]*+)*+)'"


def _tokens(triple: bytes) -> re.Pattern[bytes]:
    """Compile the search for a token, where strings in three quotes may be such as *triple*."""
    return re.compile(
        rb"(?P<skip>[ \t\r\f]+|\#[^\n]*|\\\r?\n)"
        rb"|(?P<newline>\n)"
        rb"|(?P<string>" + _PREFIX + rb"(?:" + triple + _ON_ONE_LINE + rb"))"
        rb"|(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*)"
        rb"|(?P<number>[0-9][\w.]*)"
        # A quote without another is no Python; the rest of its line is not searched for more of the kind.
        rb"|(?P<operator>:=|->|[=!<>]=|(?:\*\*|//|>>|<<|[-+*/%&|^@])=|\*\*|[\"'](?:[^\\\n]|\\.)*+|.)",
        re.DOTALL,
    )


_TOKENS = {
    b"": _tokens(_DOUBLE + _SINGLE),
    b'"': _tokens(_SINGLE),
    b"'": _tokens(_DOUBLE),
    b"\"'": _tokens(b""),
}
"""By the quotes of which three were seen to begin a string that never ends: no other is tried with the same end."""
_CONTENT = frozenset("abcd")
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
    for match in _matches(text):
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


def _matches(text: bytes) -> Iterator[re.Match[bytes]]:
    unended, position = b"", 0
    while True:
        for match in _TOKENS[unended].finditer(text, position):
            yield match
            if (found := _unended(match)) not in unended:
                unended, position = bytes(sorted(unended + found)), match.end()
                break
        else:
            return


def _unended(match: re.Match[bytes]) -> bytes:
    """Return the quote of an empty string that has a third behind it, since the one in three of them has no end."""
    quote = match[0][-1:]
    is_empty = match["c"] == b"" or match["d"] == b""
    return quote if is_empty and match.string.startswith(quote, match.end()) else b""


def _string(match: re.Match[bytes], line: int, depth: int) -> Token:
    prefix = match["prefix"].lower()
    content = next(found for group, found in match.groupdict().items() if group in _CONTENT and found is not None)
    formatted = b"{" in content and (b"f" in prefix or b"t" in prefix)
    escaped = b"\\" in content and b"r" not in prefix
    known = not (formatted or escaped or b"b" in prefix)
    return Token(Kind.STRING if known else Kind.COMPUTED, content.decode(errors="replace"), line, depth)
