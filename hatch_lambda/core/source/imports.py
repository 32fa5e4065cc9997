"""What the text of Python modules names: imports, strings, files, distributions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_IMPORT = re.compile(rb"import(?=[\s\\(*])")
_AS = rb"[\w.]++(?:[ \t]++as[ \t]++\w++)?"
_SIMPLE = re.compile(
    rb"[ \t]*+(?:from[ \t]++(?P<module>[\w.]++)[ \t]++)?import[ \t]++"
    rb"(?P<names>" + _AS + rb"(?:[ \t]*+,[ \t]*+" + _AS + rb")*+)[ \t\r]*+(?:#[^\n]*+)?"
)
"""A line that is an import and nothing else: ``from .a import b as c, d  # why``."""
_CLAUSE_BEFORE = re.compile(rb"[\w\x80-\xff.\s]*+")
_FROM_REVERSED = re.compile(rb"(?<=[\s.])morf(?![\w.])")
_PLAIN_REVERSED = re.compile(rb"\s*+(?:[^\w.\s]|\Z)")
_CONTINUED = re.compile(rb"\\\r?\n")
_COMMENT = re.compile(rb"#[^\n]*")
_NOT_CODE = re.compile(rb"(?:[ \t]*+(?:>>>|\.\.\.))|(?:\s|\\\r?\n)*+#")
_NEXT = rb"i(?!(?<![\w\x80-\xff.]i)mport[\s\\(*])"
"""Any ``i`` but that of another import: no clause goes beyond one, so that none is read twice."""
_BRACKETED = re.compile(rb"(?:\s|\\\r?\n)*+\(((?:[^)#i]++|#[^\n]*+|" + _NEXT + rb")*+)")
_BARE = re.compile(rb"((?:[^\n;#\\i]++|\\\r?\n|\\|" + _NEXT + rb")*+)")
_NAME = re.compile(rb"[\w\x80-\xff.:/-]*")
_DOTTED = re.compile(rb"[\w\x80-\xff.]*")
_FILE_NAME = re.compile(rb"[\w\x80-\xff.+-]*")
_QUOTED = re.compile(rb"(?<=['\"])[A-Za-z_][\w.]*")
_EXAMPLE = re.compile(rb"[ \t]*(?:>>>|\.\.\.)")
_QUOTES = (b"'", b'"')
_OPENINGS = (*_QUOTES, b"}")
_ENDS = (*_QUOTES, b"+")
_PLACEHOLDERS = (b"{", b"%")
_COMPUTED = (b"}", b"*", b"%")
_LONGEST_CLAUSE = 1000
"""Bytes before ``import`` that may name the module: longer ones are none."""
_LONGEST = 200
"""Bytes to either side of a word that may belong to its name: longer names are no modules."""


class Quoted(Struct, frozen=True):
    """A name at the beginning of a string, or after a placeholder in one."""

    text: str
    open_ended: bool
    """Whether the program goes on to append something: ``f"pkg.tests.{name}"``, ``"pkg.tests." + name``."""

    @property
    def module(self) -> str:
        """The dotted name that it begins with: ``a.b`` in ``"a.b:run"`` and in ``"a.b/c"``."""
        end = next((place for place, character in enumerate(self.text) if character in ":/-"), None)
        return self.text[:end].rstrip(".")


def imports(text: bytes, words: Words | None = None) -> Iterator[str]:
    """Find what the imports of *text* may load, wherever they stand, in time that grows with its length alone.

    That is ``a.b.c`` for ``from a.b import c``, ``.b.*`` for ``from .b import *``, and ``a.b`` for ``import a.b``.
    With *words*, imports on one line that contain none of them are passed over: most imports, quickly.
    """
    lines = _Lines(text)
    read = 0
    for match in _IMPORT.finditer(text):
        position = match.start()
        if position < read or (words is not None and lines.lacks(position, words)):
            continue
        if (simple := lines.simple(position)) is not None:
            read = simple.end()
            names = [part.split(None, 1)[0] for part in simple["names"].split(b",")]
            yield from _targets(simple["module"], names)
            continue
        if lines.is_skipped(position):
            continue
        before = _CONTINUED.sub(b" ", text[max(lines.logical_start(position), position - _LONGEST_CLAUSE) : position])
        reverse = before[::-1]
        clause = _CLAUSE_BEFORE.match(reverse)
        found = _FROM_REVERSED.search(reverse, 0, clause.end()) if clause is not None else None
        if found is None and not _PLAIN_REVERSED.match(reverse):
            continue
        names, read = _names(text, match.end())
        module = None if found is None else b"".join(reverse[: found.start()][::-1].split())
        yield from _targets(module, names)


def _targets(module: bytes | None, names: list[bytes]) -> Iterator[str]:
    """Yield what ``from module import names`` may load, or ``import names`` where *module* is None."""
    if module is None:
        start = b""
    elif not names:
        yield module.decode(errors="replace")
    else:
        start = module if module.endswith(b".") else module + b"."
    for name in names:
        yield (start + name).decode(errors="replace")


class _Lines:
    """What there is to know of the lines of a text, found out once for each: a line may have a thousand imports."""

    __slots__ = ("_known", "_lacks", "_logical", "_skipped", "_start", "_stop", "_text", "_tried")

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._start, self._stop = 0, -1
        self._known = self._logical = self._tried = -1
        self._lacks: bool | None = None
        self._skipped: bool | None = None

    def _go(self, position: int) -> int:
        """Return where the line of *position* begins."""
        if not self._start <= position <= self._stop:
            self._start = self._text.rfind(b"\n", 0, position) + 1
            end = self._text.find(b"\n", position)
            self._stop = end if end >= 0 else len(self._text)
            self._lacks = self._skipped = None
        return self._start

    def lacks(self, position: int, words: Words) -> bool:
        """Tell whether the line is by itself and has none of *words*."""
        start = self._go(position)
        if self._lacks is None:
            line = self._text[start : self._stop]
            is_alone = b"(" not in line and b"\\" not in line and not self._is_continued(start)
            self._lacks = is_alone and not words.search(line)
        return self._lacks

    def simple(self, position: int) -> re.Match[bytes] | None:
        """Match the line if it is one import and nothing else, as most are; tried at the line's first import only."""
        start = self._go(position)
        if start == self._tried:
            return None
        self._tried = start
        return None if self._is_continued(start) else _SIMPLE.fullmatch(self._text, start, self._stop)

    def logical_start(self, position: int) -> int:
        """Return where the line of *position* begins, or the first of those that it continues."""
        line = start = self._go(position)
        if line != self._known:
            while start > 1 and self._is_continued(start):
                start = self._text.rfind(b"\n", 0, start - 1) + 1
                if start == self._known:
                    start = self._logical
                    break
            self._known, self._logical = line, start
        return self._logical

    def is_skipped(self, position: int) -> bool:
        """Tell whether the logical line is a comment or an example."""
        start = self.logical_start(position)
        if self._skipped is None:
            self._skipped = _NOT_CODE.match(self._text, start) is not None
        return self._skipped

    def is_example(self, position: int) -> bool:
        """Tell whether the line is an example."""
        start = self._go(position)
        if self._skipped is None:
            self._skipped = _EXAMPLE.match(self._text, start) is not None
        return self._skipped

    def _is_continued(self, start: int) -> bool:
        return self._text.endswith((b"\\\n", b"\\\r\n"), 0, start)


def _names(text: bytes, position: int) -> tuple[list[bytes], int]:
    """Return the names that an import lists from *position* on, and where its clause ends."""
    match = _BRACKETED.match(text, position)
    if match is not None:
        clause = _COMMENT.sub(b"", match[1])
    else:
        match = _BARE.match(text, position)
        assert match is not None  # as it takes nothing, too
        clause = match[1]
    parts = (part.split() for part in _CONTINUED.sub(b" ", clause).split(b","))
    return [words[0].strip(b"'\")") for words in parts if words], match.end()


def quoted(text: bytes, words: Words | None = None) -> Iterator[Quoted]:
    """Find the names in strings of *text*; with *words*, those that contain one of them."""
    lines = _Lines(text)
    for match in words.finditer(text) if words is not None else _QUOTED.finditer(text):
        start, end = _extent(text, match.span(), _NAME)
        opening = text[start - 1 : start] if start else b""
        closing = text[end : end + 1]
        if opening not in _OPENINGS or text.endswith(b"startswith(", 0, start - 1):
            continue
        if lines.is_example(start):
            continue
        name = text[start:end].decode(errors="replace")
        open_ended = closing in _PLACEHOLDERS or (name.endswith(".") and closing in _QUOTES)
        if open_ended or closing in _ENDS or "." in name:
            yield Quoted(name, open_ended)


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
    lines = _Lines(text)
    for match in suffixes.finditer(text):
        end = match.start()
        if lines.is_example(end):
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


_BY_NAME = tuple(
    (word, re.compile(loader + rb"\(\s*['\"]([A-Za-z_][\w.]*)"))
    for word, loader in (
        *((b"import_module(", b"import_module"), (b"find_spec(", b"find_spec")),
        *((b"__import__(", b"__import__"), (b"lazy", rb"lazy\w{0,60}")),
    )
)
"""How a module is imported by its name, each after a word without which no text has that.

An expression that begins with a word is found many times faster than a choice among words.
"""
_METADATA_FUNCTIONS = (b"version", b"metadata", b"distribution", b"requires", b"get_distribution", b"require")
_METADATA_USE = re.compile(
    rb"\((?:" + b"|".join(rb"(?<=\b%s\()" % name for name in _METADATA_FUNCTIONS) + rb")"
    rb"\s*(?:['\"]([A-Za-z0-9][\w.-]*)|(__name__|__package__)\b)"
)
_DEFINES = re.compile(rb"\bdef \w+$")
_LONGEST_DEFINITION = 200
_NO_STATEMENT = (b"#", b">>>", b"...")
_GUARDS = (b"try:", b"with suppress", b"with contextlib.suppress")


def imports_by_name(text: bytes) -> Iterator[str]:
    """Find the modules that calls in *text* import by their names: ``import_module("a.b")``."""
    for word, loader in _BY_NAME:
        for match in loader.finditer(text) if word in text else ():
            yield match[1].decode(errors="replace")


def metadata_uses(text: bytes) -> Iterator[str]:
    """Yield the distributions whose metadata *text* asks for without being ready to do without it.

    Nothing stands for the module's own (``__name__``). One in a ``try`` is somebody's who thought of that.
    """
    if b"importlib" not in text and b"pkg_resources" not in text:
        return
    blocks = _Blocks(text)
    for match in _METADATA_USE.finditer(text):
        before = text[max(blocks.start(match.start()), match.start() - _LONGEST_DEFINITION) : match.start()]
        if blocks.is_skipped or _DEFINES.search(before) or blocks.is_guarded:
            continue
        yield (match[1] or b"").decode("utf-8", "replace").rstrip(".-")


class _Blocks:
    """The lines of a text and the blocks that they are in, by the indentation; read once, in their order."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._start, self._stop = 0, -1
        self._above: list[tuple[int, bool]] = []
        """The heads of the blocks that are open: their indentation, and whether they or one above guard."""
        self.is_guarded = False
        """Whether the line is in the body of a ``try``."""
        self.is_skipped = False
        """Whether the line is no code."""

    def start(self, position: int) -> int:
        """Go on to the line of *position*, and return where it begins."""
        while self._stop < position:
            self._start = self._stop + 1
            end = self._text.find(b"\n", self._start)
            self._stop = end if end >= 0 else len(self._text)
            self._add(self._text[self._start : self._stop])
        return self._start

    def _add(self, line: bytes) -> None:
        bare = line.strip()
        self.is_skipped = not bare or bare.startswith(_NO_STATEMENT)
        if not bare or bare.startswith(b"#"):
            return
        indent = _indent(line)
        while self._above and self._above[-1][0] >= indent:
            self._above.pop()
        self.is_guarded = bool(self._above) and self._above[-1][1]
        self._above.append((indent, self.is_guarded or bare.startswith(_GUARDS)))


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip())
