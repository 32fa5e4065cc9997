"""Finding in Python code the names of modules and files that it may ask for, without parsing it.

A parser would tie the package to the interpreter that runs this: the syntax of 3.14 is an error to
``ast`` on 3.10, and the same input must give the same bytes everywhere. So the text is searched, and
finds more than a parser would (imports in docstrings, in functions, under TYPE_CHECKING, in ``exec``);
what is found in vain keeps a file too many, never one too few. Only examples behind ``>>>`` are skipped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_IMPORT = re.compile(rb"import(?=[\s\\(*])")
_FROM = re.compile(rb"(?<![\w.])from(?=[\s.])([\w\x80-\xff.\s]*)$")
_PLAIN = re.compile(rb"(?:^|[^\w.\s])\s*$")
_CONTINUED = re.compile(rb"\\\r?\n")
_COMMENT = re.compile(rb"#[^\n]*")
_LOGICAL_END = re.compile(rb"[\n;#]")
_NAME = re.compile(rb"[\w\x80-\xff.:/-]*")
_DOTTED = re.compile(rb"[\w\x80-\xff.]*")
_FILE_NAME = re.compile(rb"[\w\x80-\xff.+-]*")
_EXAMPLE = re.compile(rb"[ \t]*(?:>>>|\.\.\.)")
_QUOTES = (b"'", b'"')
_OPENINGS = (*_QUOTES, b"}")
_PLACEHOLDERS = (b"{", b"%")
_COMPUTED = (b"}", b"*", b"%")
_LONGEST = 200
"""Bytes to either side of a word that may belong to its name: longer names are no modules."""


class Import(Struct, frozen=True):
    """One import of a module, or of names from it."""

    module: str
    """As written: with the leading dots of a relative import."""
    names: tuple[str, ...] = ()


class Quoted(Struct, frozen=True):
    """A name at the beginning of a string, or after a placeholder in one."""

    text: str
    open_ended: bool
    """Whether the program goes on to append something: ``f"pkg.tests.{name}"``, ``"pkg.tests." + name``."""


def imports(text: bytes, words: Words | None = None) -> Iterator[Import]:
    """Find the imports of *text*, wherever they stand.

    With *words*, those on one line that contain none of them are passed over: most imports, quickly.
    """
    for match in _IMPORT.finditer(text):
        if words is not None and _lacks(text, match.start(), words):
            continue
        prefix = _logical_line_before(text, match.start())
        if _EXAMPLE.match(prefix) or prefix.lstrip().startswith(b"#"):
            continue
        if found := _FROM.search(prefix):
            module = b"".join(found[1].split()).decode(errors="replace")
            yield Import(module, tuple(_names(text, match.end())))
        elif _PLAIN.search(prefix):
            for name in _names(text, match.end()):
                yield Import(name)


def _lacks(text: bytes, position: int, words: Words) -> bool:
    start = text.rfind(b"\n", 0, position) + 1
    end = text.find(b"\n", position)
    line = text[start : end if end >= 0 else len(text)]
    if b"(" in line or b"\\" in line or text.endswith((b"\\\n", b"\\\r\n"), 0, start):
        return False
    return not words.search(line)


def _logical_line_before(text: bytes, position: int) -> bytes:
    start = text.rfind(b"\n", 0, position) + 1
    while start > 1 and text[:start].endswith((b"\\\n", b"\\\r\n")):
        start = text.rfind(b"\n", 0, start - 1) + 1
    return _CONTINUED.sub(b" ", text[start:position])


def _names(text: bytes, position: int) -> Iterator[str]:
    rest = text[position : position + 40_000]
    bare = _CONTINUED.sub(b" ", rest[:2000] if b"(" not in rest[:40] else rest).lstrip()
    if bare.startswith(b"("):
        clause = _COMMENT.sub(b"", bare[1:]).partition(b")")[0]
    else:
        clause = _LOGICAL_END.split(_CONTINUED.sub(b" ", rest), maxsplit=1)[0]
    for part in clause.split(b","):
        words = part.split()
        if words:
            yield words[0].strip(b"'\")").decode(errors="replace")


def quoted(text: bytes, words: Words) -> Iterator[Quoted]:
    """Find the names in strings of *text* that contain one of *words*."""
    for match in words.finditer(text):
        start, end = _extent(text, match.span(), _NAME)
        opening = text[start - 1 : start] if start else b""
        closing = text[end : end + 1]
        if opening not in _OPENINGS or text.endswith(b"startswith(", 0, start - 1):
            continue
        if _is_example(text, start):
            continue
        name = text[start:end].decode(errors="replace")
        open_ended = closing in _PLACEHOLDERS or (name.endswith(".") and closing in _QUOTES)
        if open_ended or closing in _QUOTES or "." in name:
            yield Quoted(name, open_ended)


def _is_example(text: bytes, position: int) -> bool:
    return _EXAMPLE.match(text, text.rfind(b"\n", 0, position) + 1) is not None


def dotted(data: bytes, words: Iterable[str]) -> Iterator[str]:
    """Find the names of modules in compiled code that are, or contain, one of *words*.

    These are large, and ``bytes.find`` is several times as fast as ``re``.
    """
    for word in words:
        needle = word.encode()
        position = data.find(needle)
        while position >= 0:
            start, end = _extent(data, (position, position + len(needle)), _DOTTED)
            name = data[start:end].decode(errors="replace")
            # Prose has the bare word too; the name of a module is a string of its own.
            alone = data[start - 1 : start] == b"\0" == data[end : end + 1]
            if word in name.split(".") and (alone or name != word):
                yield name
            position = data.find(needle, end)


def _extent(text: bytes, word: tuple[int, int], characters: re.Pattern[bytes]) -> tuple[int, int]:
    start, end = word
    before = characters.match(text[max(0, start - _LONGEST) : start][::-1])
    after = characters.match(text, end, end + _LONGEST)
    assert before is not None
    assert after is not None
    return start - before.end(), after.end()


class Words:
    """A search for whole words in bytes.

    ``re`` skips ahead to a literal only where the expression begins with one. So words that share their
    beginning share an expression, and ``in``, which is faster still, says whether it is worth a try.
    """

    __slots__ = ("_searches",)

    def __init__(self, words: Iterable[str]) -> None:
        groups: dict[bytes, list[bytes]] = {}
        for word in sorted(word.encode() for word in set(words)):
            first = next((first for first in groups if word.startswith(first)), word)
            groups.setdefault(first, []).append(word)
        self._searches = tuple((first, _whole_words(group)) for first, group in groups.items())

    def search(self, text: bytes) -> bool:
        """Tell whether *text* contains one of the words."""
        return any(first in text and pattern.search(text) for first, pattern in self._searches)

    def finditer(self, text: bytes) -> Iterator[re.Match[bytes]]:
        """Find the words in *text*, word by word."""
        for first, pattern in self._searches:
            if first in text:
                yield from pattern.finditer(text)


def _whole_words(words: list[bytes]) -> re.Pattern[bytes]:
    longest_first = (re.escape(word) for word in reversed(words))
    return re.compile(b"|".join(rb"%b(?!\w)(?<!\w%b)" % (word, word) for word in longest_first))


def file_names(text: bytes, suffixes: re.Pattern[bytes]) -> Iterator[tuple[str, bool]]:
    """Find the names of files in strings of *text*, and whether each is only the end of a name.

    A name of which a part is computed (``f"{name}.h"``, ``name + ".h"``, ``"*.h"``) is given as its suffix.
    """
    for match in suffixes.finditer(text):
        end = match.start()
        if _is_example(text, end):
            continue
        before = _FILE_NAME.match(text[max(0, end - _LONGEST) : end][::-1])
        assert before is not None
        stem = text[end - before.end() : end].decode(errors="replace")
        suffix = match[0].decode()
        opening = text[end - before.end() - 1 : end - before.end()]
        if opening in _COMPUTED or (not stem and opening in _QUOTES):
            yield suffix, True
        if stem:
            yield stem + suffix, False


def suffix_pattern(suffixes: Iterable[str]) -> re.Pattern[bytes]:
    """Compile a search for the ends of file names in strings; *suffixes* are without the dot."""
    alternatives = b"|".join(re.escape(suffix.encode()) for suffix in sorted(suffixes, reverse=True))
    return re.compile(rb"\.(?:" + alternatives + rb")(?=['\"])")
