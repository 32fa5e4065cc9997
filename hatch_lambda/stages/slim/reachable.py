"""Which of the modules that could go are imported by code that stays."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hatch_lambda.core.dist_info import at_top
from hatch_lambda.core.source.files import Texts, is_binary_module, is_module, is_source, module_name, package_name
from hatch_lambda.core.source.imports import Quoted, Words, dotted, imports, quoted
from hatch_lambda.stages.slim.file_names import Mentions, names_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hatch_lambda.core.model import File


_ENTRY_POINT = re.compile(rb"=[ \t]*([\w.]+)")


class Candidate(Struct, frozen=True, kw_only=True):
    """A file that goes unless something that stays reaches it."""

    file: File
    folder: str
    """The folder for whose sake it would go, such as ``numpy/linalg/tests``."""

    @property
    def word(self) -> str:
        """What any import from outside of the folder has to say."""
        return self.folder.rpartition("/")[2]


def reached(candidates: Iterable[Candidate], kept: Iterable[File], texts: Texts, mentions: Mentions) -> dict[str, str]:
    """Return the paths of those *candidates* that *kept* files reach, each with the reason.

    Modules are reached by imports and by strings that name them, and then reach others themselves. Other
    files are reached by code of the same distribution that names them, or their folder. What comes to stay
    adds to *mentions*, which already knows of *kept*.
    """
    index = _Index.of(candidates)
    scan = _Scan(index, texts, mentions)
    scan.run(tuple(kept))
    return scan.found


class _Index(Struct, frozen=True, kw_only=True):
    """The candidates by the names that code calls them."""

    by_path: Mapping[str, Candidate]
    modules: Mapping[str, tuple[str, ...]]
    """Paths by dotted name."""
    folders: Mapping[str, tuple[str, ...]]
    """Paths of the modules directly in a folder, by the folder's path."""

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> _Index:
        by_path = {candidate.file.path: candidate for candidate in candidates}
        modules: dict[str, list[str]] = defaultdict(list)
        folders: dict[str, list[str]] = defaultdict(list)
        for path, candidate in by_path.items():
            if is_module(candidate.file):
                modules[module_name(path)].append(path)
                folders[path.rpartition("/")[0]].append(path)
        return cls(
            by_path=by_path,
            modules={name: tuple(paths) for name, paths in modules.items()},
            folders={name: tuple(paths) for name, paths in folders.items()},
        )

    def resolve(self, target: str, *, whole_folder: bool = False) -> Iterator[str]:
        """Find the candidates that importing the absolute name *target* loads: it and the packages above.

        A folder without ``__init__`` is a package too; its modules stay as one, so that it exists.
        """
        parts = target.split(".")
        for length in range(1, len(parts) + 1):
            yield from self.modules.get(".".join(parts[:length]), ())
        if whole_folder or target not in self.modules:
            yield from self.folders.get("/".join(parts), ())

    def resolve_below(self, target: str, distribution: str | None) -> Iterator[str]:
        """Find what *target* names where a folder of the distribution is a root of imports (vendored code)."""
        for name, paths in self.modules.items():
            if name.endswith(f".{target}") and self.by_path[paths[0]].file.distribution == distribution:
                yield from paths


class _Scan(Struct, dict=True):
    """The walk from the files that stay to the candidates, and what it has found."""

    index: _Index
    texts: Texts
    mentions: Mentions
    found: dict[str, str] = field(default_factory=dict)
    folders: dict[tuple[str | None, str], str] = field(default_factory=dict)
    """The paths of code that names a folder, by its distribution and the folder."""
    pending: list[File] = field(default_factory=list)

    roots: frozenset[str] = frozenset()
    """The names at the top of the package, from which absolute imports start."""

    @cached_property
    def candidate_words(self) -> frozenset[str]:
        return frozenset(candidate.word for candidate in self.index.by_path.values())

    @cached_property
    def words(self) -> Words:
        return Words(self.candidate_words)

    def run(self, kept: tuple[File, ...]) -> None:
        tops = (*(file.path for file in kept), *self.index.by_path)
        self.roots = frozenset(path.partition("/")[0].partition(".")[0] for path in tops)
        own: dict[str | None, set[str]] = defaultdict(set)
        for candidate in self.index.by_path.values():
            own[candidate.file.distribution].add(candidate.word)
        for file in kept:
            inside = not self.candidate_words.isdisjoint(file.parts[:-1])
            if inside and is_module(file):
                self._keep(self._packages_above(file.path), f"the package of {file.path}")
            if is_source(file):
                text = self.texts.of(file)
                if inside or self.words.search(text):
                    self._scan_source(file, text)
            elif is_binary_module(file):
                self._scan_binary(file, sorted(own.get(file.distribution, ())))
            elif at_top(file.path, "entry_points.txt") is not None:
                self._scan_entry_points(file)
        self._follow()
        while self._reach_named():
            self._follow()

    def _scan_binary(self, file: File, words: Sequence[str]) -> None:
        """Look for what a compiled module of the candidates' own distribution imports."""
        for name in dotted(file.source.read_bytes(), words) if words else ():
            self._reach_name(file, name)

    def _scan_entry_points(self, file: File) -> None:
        for match in _ENTRY_POINT.finditer(file.source.read_bytes()):
            self._keep(self.index.resolve(match[1].decode()), f"an entry point in {file.path}")

    def _follow(self) -> None:
        """Scan what was found, and what that finds, to the end."""
        while self.pending:
            file = self.pending.pop(0)
            if is_source(file):
                text = self.texts.of(file)
                self.mentions.add(file, text)
                self._scan_source(file, text)

    def _reach_named(self) -> bool:
        """Keep the files that code names by their base name, or whose folder it names."""
        before = len(self.found)
        inside = [
            (candidate.file, self.texts.of(candidate.file))
            for path in self.found
            if is_source((candidate := self.index.by_path[path]).file)
        ]
        for path, candidate in self.index.by_path.items():
            if path in self.found:
                continue
            if by := self.mentions.of_name(candidate.file):
                self._keep([path], f"named in a string of {by}")
            elif not is_module(candidate.file) and (
                by := self._named_folder(candidate) or _by_subfolder(candidate, inside)
            ):
                self._keep([path], f"its folder is named in a string of {by}")
        return len(self.found) > before

    def _named_folder(self, candidate: Candidate) -> str | None:
        """Return the path of code beside the candidate's folder, or one level below, that names it."""
        return self.folders.get((candidate.file.distribution, candidate.folder))

    def _scan_source(self, file: File, text: bytes) -> None:
        reason = f"imported by {file.path}"
        inside = not self.candidate_words.isdisjoint(file.parts[:-1])
        for name in imports(text, None if inside else self.words):
            target = _absolute(name, file)
            found = list(self.index.resolve(target.removesuffix(".*")))
            if target.endswith(".*"):
                found += self._starred(target.removesuffix(".*"))
            if not found and self._may_be_below(target):
                found = list(self.index.resolve_below(target, file.distribution))
            self._keep(found, reason)
        for string in quoted(text, self.words):
            self._reach_string(file, string)

    def _may_be_below(self, target: str) -> bool:
        parts = target.split(".")
        return parts[0] not in self.roots and not self.candidate_words.isdisjoint(parts)

    def _starred(self, package: str) -> Iterator[str]:
        """Find what ``from package import *`` may load: ``__all__`` can name modules."""
        for path in self.index.modules.get(package, ()):
            file = self.index.by_path[path].file
            if is_source(file) and b"__all__" in self.texts.of(file):
                yield from self.index.folders.get(package.replace(".", "/"), ())

    def _reach_string(self, file: File, name: Quoted) -> None:
        reason = f"named in a string of {file.path}"
        if "/" in name.text or name.text in self.candidate_words:
            self._name_folders(file, name.text)
        if "/" in name.text:
            return
        text = name.text.partition(":")[0]
        target = text.rstrip(".")
        if text.startswith("."):
            target = _absolute(target, file)
        elif "." not in target and name.open_ended:
            return
        self._keep(self.index.resolve(target, whole_folder=name.open_ended), reason)

    def _name_folders(self, file: File, text: str) -> None:
        """Note that *file* names the folder at *text*, seen from its own folder or the one above."""
        here = posixpath.dirname(file.path)
        words = text.split("/")
        for start in (here, posixpath.dirname(here)):
            for length in range(1, len(words) + 1):
                folder = posixpath.normpath(posixpath.join(start, *words[:length]))
                self.folders.setdefault((file.distribution, folder), file.path)

    def _reach_name(self, file: File, name: str) -> None:
        reason = f"named in the compiled module {file.path}"
        if name in self.candidate_words:
            # A relative import leaves the names apart from one another: any module there may be meant.
            self._keep(self.index.resolve(_absolute(f".{name}", file), whole_folder=True), reason)
        target = _absolute(name, file) if name.startswith(".") else name
        self._keep(self.index.resolve(target.rstrip(".")), reason)

    def _keep(self, paths: Iterable[str], reason: str) -> None:
        for path in paths:
            if path in self.found:
                continue
            candidate = self.index.by_path[path]
            self.found[path] = reason
            self.pending.append(candidate.file)
            if is_module(candidate.file):
                self._keep(self._packages_above(path), f"the package of {path}")

    def _packages_above(self, path: str) -> Iterator[str]:
        folder = path.rpartition("/")[0]
        while folder:
            for other in self.index.folders.get(folder, ()):
                if other.rpartition("/")[2].startswith("__init__."):
                    yield other
            folder = folder.rpartition("/")[0]


def _by_subfolder(candidate: Candidate, inside: Iterable[tuple[File, bytes]]) -> str | None:
    """Return the path of a module that stays, above the candidate's own folder, that names that folder."""
    folder = posixpath.dirname(candidate.file.path)
    for file, text in inside:
        here = posixpath.dirname(file.path)
        if folder.startswith(f"{here}/") and names_folder(text, folder):
            return file.path
    return None


def _absolute(name: str, file: File) -> str:
    """Resolve *name*, with leading dots if relative, against the package that *file* is in."""
    rest = name.lstrip(".")
    level = len(name) - len(rest)
    if not level:
        return name
    parts = package_name(file.path).split(".")
    base = ".".join(parts[: max(0, len(parts) - level + 1)])
    return _join(base, rest)


def _join(base: str, name: str) -> str:
    return f"{base}.{name}" if base and name else base or name
