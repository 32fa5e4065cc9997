"""Which files the Python code of their own distribution names, and so may read at run time."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_lambda.slimming.names import file_names, suffix_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.model import File

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
