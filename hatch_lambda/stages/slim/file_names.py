"""Which files the code of a package names, and which libraries it links."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from hatch_lambda.core.source.files import ELF_MAGIC, begins_with
from hatch_lambda.core.source.imports import file_names, suffix_pattern

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hatch_lambda.core.model import File


_SUFFIX = re.compile(r"\.([A-Za-z0-9_]{1,12})\Z")
_NOT_NAMES = frozenset({"__init__.py", "__main__.py", "conftest.py", "setup.py"})
"""Names that messages and configuration mention without meaning a certain file."""


class Mentions:
    """The names of files that stand in strings of each distribution's code.

    Only names with a suffix that one of the *suspects* has are looked for, and only in their
    distributions: that is what makes the search fast.
    """

    def __init__(self, suspects: Iterable[File]) -> None:
        suffixes: dict[str | None, set[str]] = defaultdict(set)
        for file in suspects:
            if match := _SUFFIX.search(file.path):
                suffixes[file.distribution].add(match[1])
        patterns = {found: suffix_pattern(found) for found in map(frozenset, suffixes.values())}
        self._patterns = {name: patterns[frozenset(found)] for name, found in suffixes.items()}
        self._named: dict[tuple[str | None, str], str] = {}
        self._computed: dict[tuple[str | None, str], dict[str, str]] = defaultdict(dict)

    def concerns(self, file: File) -> bool:
        """Tell whether the names in *file* matter to any suspect."""
        return file.distribution in self._patterns

    def add(self, file: File, text: bytes) -> None:
        """Take note of the names in the source *file*, which stays."""
        for name, is_suffix in file_names(text, self._patterns[file.distribution]):
            if is_suffix:
                folder = posixpath.dirname(file.path)
                self._computed[file.distribution, name].setdefault(folder, file.path)
            else:
                self._named.setdefault((file.distribution, name), file.path)

    def of_name(self, file: File) -> str | None:
        """Return the path of code that names *file* by its base name, or None."""
        name = posixpath.basename(file.path)
        return None if name in _NOT_NAMES else self._named.get((file.distribution, name))

    def of_suffix(self, file: File) -> str | None:
        """Return the path of code, in a folder above *file*, that computes names with its suffix, or None."""
        suffix = posixpath.splitext(file.path)[1]
        for folder, path in self._computed.get((file.distribution, suffix), {}).items():
            if not folder or file.path.startswith(f"{folder}/"):
                return path
        return None


def names_folder(text: bytes, folder: str) -> bool:
    """Tell whether *text* has the base name of *folder* as a string, or as a part of a path in one."""
    name = re.escape(posixpath.basename(folder).encode())
    return re.search(rb"""['"/]%b['"/]""" % name, text) is not None


_REST = re.compile(rb"[\w.+-]*\0")


def linked(candidates: Collection[File], kept: Iterable[File]) -> set[str]:
    """Return the base names of those *candidates* that objects which stay have as a string, and so may load.

    What a linker notes as needed is such a string, as is a name that C code opens, and the name that an object
    has itself. What is found then stays, and may load others.
    """
    names = {file.path.rpartition("/")[2] for file in candidates}
    stems = {name.partition(".so")[0].encode() + b".so" for name in names}
    found: set[str] = set()
    for file in kept:
        if ".so" in file.path and begins_with(file, (ELF_MAGIC,)):
            found |= _names_in(file, stems)
    found &= names
    pending = [file for file in candidates if file.path.rpartition("/")[2] in found]
    while pending:
        more = (_names_in(pending.pop(), stems) & names) - found
        found |= more
        pending += (file for file in candidates if file.path.rpartition("/")[2] in more)
    return found


def _names_in(file: File, stems: Iterable[bytes]) -> set[str]:
    found: set[str] = set()
    with file.source.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        for stem in stems:
            position = data.find(stem)
            while position >= 0:
                if rest := _REST.match(data, position + len(stem)):
                    found.add((stem + rest[0][:-1]).decode(errors="replace"))
                position = data.find(stem, position + len(stem))
    return found
