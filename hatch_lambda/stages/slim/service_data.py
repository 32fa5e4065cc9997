"""The data of which a program uses a small part: what of it stays, as ``services.toml`` and the project say."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hatch_lambda.core.codec import load
from hatch_lambda.core.source.calls import Calls, Request, requests
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from hatch_lambda.core.model import File
    from hatch_lambda.core.source.files import Texts


_KEY = "tool.lambda-slim.data"

Choice = str | tuple[str, ...]
"""The names to keep, or ``"auto"``."""


class Library(Struct, frozen=True, kw_only=True):
    """A library with data for each of many names."""

    name: str
    distribution: str
    what: str
    items: tuple[tuple[str, str], ...]
    """What is before and after a name in the paths of its files."""
    always: frozenset[str]
    parents: str | None
    takes_along: tuple[tuple[str, tuple[str, ...]], ...]
    own: frozenset[str]
    calls: Calls | None
    """How code asks for a name, where it can be found."""
    aliases: tuple[tuple[str, str], ...]

    def item(self, file: File) -> str | None:
        """Return the name that *file* belongs to, or None."""
        if file.project:
            return None
        for before, after in self.items:
            if file.path.startswith(before):
                rest = file.path[len(before) :]
                name, found, tail = rest.partition(after)
                if found and name and "/" not in name and (after == "/" or not tail):
                    return name
        return None

    def known_as(self, name: str) -> str:
        """Return the name that the data has for *name*."""
        return dict(self.aliases).get(name, name)

    def with_others(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names*, those that always stay, and those that they need."""
        pending = {*names, *self.always}
        found: set[str] = set()
        while pending:
            name = pending.pop()
            found.add(name)
            needed = {other for glob, others in self.takes_along if fnmatchcase(name, glob) for other in others}
            if self.parents and self.parents in name:
                needed.add(name.rpartition(self.parents)[0])
            pending |= needed - found
        return frozenset(found)


class Selection(Struct, frozen=True, kw_only=True):
    """What of a library's data stays."""

    library: Library
    choice: Choice
    names: frozenset[str] | None
    """The names that stay; None for all."""
    asked: tuple[Request, ...]
    """Where code asks for names."""

    @property
    def unsure(self) -> str | None:
        """The path of the code that could ask for anything, so that all stays."""
        if self.names is not None:
            return None
        return next(request.path for request in self.asked if request.names is None)

    def judge(self, name: str) -> tuple[bool, str]:
        """Tell whether the data of *name* stays, and why."""
        setting = f"`data.{self.library.name}`"
        if self.names is None:
            return True, f"{self.unsure} computes the name of a {self.library.what}"
        if name in self.names:
            if self.choice != "auto" and name in self.choice:
                return True, f"{setting} names it"
            for request in self.asked:
                if self.choice == "auto" and request.names and name in map(self.library.known_as, request.names):
                    return True, f"{request.path} asks for it"
            return True, f"the others need it, or {self.library.name} itself does"
        return False, f"{setting} does not name it" if self.choice != "auto" else "no code asks for it"


@cache
def libraries() -> dict[str, Library]:
    """Return the libraries by the keys of ``[tool.lambda-slim.data]``."""
    return {entry["name"]: _library(entry) for entry in load("stages/slim/services.toml", dict[str, Any])["library"]}


def _library(entry: dict[str, Any]) -> Library:
    calls = None
    if "functions" in entry:
        calls = Calls(
            mentions=tuple(word.encode() for word in entry["mentions"]),
            modules=tuple(word.encode() for word in entry["modules"]),
            in_each_file=entry.get("in-each-file", False),
            functions=tuple(entry["functions"]),
            parameters=tuple(entry["parameters"]),
            receivers=tuple(entry["receivers"]),
        )
    return Library(
        name=entry["name"],
        distribution=entry.get("distribution", entry["name"]),
        what=entry["what"],
        items=tuple((before, after) for before, _, after in (text.partition("{}") for text in entry["items"])),
        always=frozenset(entry["always"]),
        parents=entry.get("parents"),
        takes_along=tuple((glob, tuple(names)) for glob, names in entry.get("takes-along", {}).items()),
        own=frozenset(entry.get("own", ())),
        calls=calls,
        aliases=tuple(entry.get("aliases", {}).items()),
    )


def select(data: Iterable[tuple[str, Choice]], kept: Collection[File], texts: Texts) -> Iterator[Selection]:
    """Decide, for each library that *data* has a choice for and that is there, what stays beside *kept* code.

    Raises ConfigurationError for a name that the library does not have.
    """
    for key, choice in data:
        library = libraries()[key]
        installed = {name for file in kept if (name := library.item(file))}
        if not installed:
            continue
        asked = tuple(asks(library, kept, texts))
        if not isinstance(choice, str):
            _check_names(library, choice, installed)
            names: frozenset[str] | None = library.with_others(choice)
        elif any(request.names is None for request in asked):
            names = None
        else:
            names = library.with_others(library.known_as(name) for request in asked for name in request.names or ())
        yield Selection(library=library, choice=choice, names=names, asked=asked)


def asks(library: Library, files: Iterable[File], texts: Texts) -> Iterator[Request]:
    """Find where code asks *library* for data; its own, and that of those who hand names on, does not count."""
    if library.calls is not None:
        asking = (file for file in files if file.project or file.distribution not in library.own)
        yield from requests(asking, library.calls, texts)


def _check_names(library: Library, choice: tuple[str, ...], installed: Collection[str]) -> None:
    problems: list[str] = []
    for name in choice:
        if name not in installed:
            import difflib

            close = difflib.get_close_matches(library.known_as(name).lower(), sorted(installed), n=1, cutoff=0.5)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            where = f"{_KEY}.{library.name}: the installed {library.distribution}"
            problems.append(f"{where} has no {library.what} {name!r}{meant}")
    if problems:
        raise ConfigurationError(
            "\n".join(problems), hint=f"names are those of the {library.what}s in {library.items[0][0]}"
        )
