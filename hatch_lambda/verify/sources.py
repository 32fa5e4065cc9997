"""What Python source says to an audit: which modules it imports, and whose metadata it cannot do without.

The text is searched, not parsed: the syntax is the target's, not that of the interpreter that runs this.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORT = re.compile(rb"import[ \t(*\\]")
_FROM = re.compile(rb"[ \t]*(?:\S.*[:;][ \t]*)?from[ \t]+([\w.]+)[ \t]+import[ \t]*\(?([^#;]*)")
_PLAIN = re.compile(rb"[ \t]*(?:\S.*[:;][ \t]*)?import[ \t]+([\w., \t]+)")
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
_QUOTED = re.compile(rb"['\"]([A-Za-z_][\w.]*)(?=['\"+:./])")
_ASKERS = (b"version", b"metadata", b"distribution", b"requires", b"get_distribution", b"require")
_ASKS = re.compile(
    rb"\((?:" + b"|".join(rb"(?<=\b%s\()" % name for name in _ASKERS) + rb")"
    rb"\s*(?:['\"]([A-Za-z0-9][\w.-]*)|(__name__|__package__)\b)"
)
_DEFINES = re.compile(rb"\bdef \w+$")
_LONGEST_DEFINITION = 200
_NOT_CODE = (b"#", b">>>", b"...")
_GUARDS = (b"try:", b"with suppress", b"with contextlib.suppress")


def imported(text: bytes) -> Iterator[str]:
    """Yield the absolute names of modules, or of names in modules, that *text* imports, some more than once."""
    end = 0
    for match in _IMPORT.finditer(text):
        if match.start() < end:  # the line was read
            continue
        start = text.rfind(b"\n", 0, match.start()) + 1
        end = text.find(b"\n", match.end())
        end = end if end >= 0 else len(text)
        line = text[start:end]
        if found := _FROM.match(line):
            yield from _from(found[1].decode("utf-8", "replace"), found[2])
        elif found := _PLAIN.match(line):
            for part in found[1].split(b","):
                if words := part.split():
                    yield words[0].decode("utf-8", "replace")
    for word, loader in _BY_NAME:
        for match in loader.finditer(text) if word in text else ():
            yield match[1].decode("utf-8", "replace")


def _from(module: str, clause: bytes) -> Iterator[str]:
    """Yield what ``from module import clause`` names: the module alone where the names are on other lines."""
    if module.startswith("."):
        return
    names = [part.split()[0] for part in clause.replace(b")", b"").split(b",") if part.split()]
    if not names or b"*" in names or b"\\" in names:
        yield module
    else:
        yield from (f"{module}.{name.decode('utf-8', 'replace')}" for name in names)


def named(text: bytes) -> Iterator[str]:
    """Yield what stands in strings of *text* and may be the name of a module."""
    for match in _QUOTED.finditer(text):
        yield match[1].decode("utf-8", "replace").rstrip(".")


def asked(text: bytes) -> Iterator[str]:
    """Yield the distributions whose metadata *text* asks for without being ready to do without it.

    Nothing stands for the module's own (``__name__``). An ask in a ``try`` is somebody's who thought of that.
    """
    if b"importlib" not in text and b"pkg_resources" not in text:
        return
    blocks = _Blocks(text)
    for match in _ASKS.finditer(text):
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
        self.is_skipped = not bare or bare.startswith(_NOT_CODE)
        if not bare or bare.startswith(b"#"):
            return
        indent = _indent(line)
        while self._above and self._above[-1][0] >= indent:
            self._above.pop()
        self.is_guarded = bool(self._above) and self._above[-1][1]
        self._above.append((indent, self.is_guarded or bare.startswith(_GUARDS)))


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip())
