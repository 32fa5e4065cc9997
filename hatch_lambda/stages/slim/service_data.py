"""The data of which a program uses a small part: what of it stays, as ``services.toml`` and the project say."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from hatch_lambda.core.codec import first_twice, load
from hatch_lambda.core.source.calls import Calls, Request, requests
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from hatch_lambda.core.model import File
    from hatch_lambda.core.source.files import Texts


_KEY = "tool.lambda-slim.data"

Choice = str | tuple[str, ...]
"""The names to keep, or ``"auto"``."""


class Library(Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True, rename="kebab"):
    """A library with data for each of many names: an entry of ``services.toml``, which describes the keys."""

    name: Annotated[str, Meta(min_length=1)]
    distribution: Annotated[str, Meta(min_length=1)]
    what: Annotated[str, Meta(min_length=1)]
    items: Annotated[tuple[Annotated[str, Meta(pattern=r"\A[^{}]+\{\}[^{}]+\Z")], ...], Meta(min_length=1)]
    always: frozenset[str]
    parents: Annotated[str, Meta(min_length=1)] | None = None
    takes_along: dict[str, tuple[str, ...]] = {}
    own: frozenset[str] = frozenset()
    mentions: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    in_each_file: bool = False
    functions: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    aliases: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Check that how code asks is described as a whole, or not at all; raises ValueError."""
        calls = (self.mentions, self.modules, self.functions, self.parameters, self.receivers)
        if any(calls) and not all(calls):
            raise ValueError("`mentions`, `modules`, `functions`, `parameters` and `receivers` need one another")
        if not all(calls) and (self.in_each_file or self.aliases):
            raise ValueError("`in-each-file` and `aliases` need `functions`")

    @cached_property
    def calls(self) -> Calls | None:
        """How code asks for a name; None where it cannot be found."""
        if not self.functions:
            return None
        return Calls(
            mentions=tuple(map(str.encode, self.mentions)),
            modules=tuple(map(str.encode, self.modules)),
            in_each_file=self.in_each_file,
            functions=self.functions,
            parameters=self.parameters,
            receivers=self.receivers,
        )

    @cached_property
    def _ends(self) -> tuple[tuple[str, str], ...]:
        """What is before and after a name in the paths of its files."""
        return tuple((before, after) for before, _, after in (text.partition("{}") for text in self.items))

    def item(self, file: File) -> str | None:
        """Return the name that *file* belongs to, or None."""
        if file.project:
            return None
        for before, after in self._ends:
            if file.path.startswith(before):
                rest = file.path[len(before) :]
                name, found, tail = rest.partition(after)
                if found and name and "/" not in name and (after == "/" or not tail):
                    return name
        return None

    def known_as(self, name: str) -> str:
        """Return the name that the data has for *name*."""
        return self.aliases.get(name, name)

    def with_others(self, names: Iterable[str]) -> frozenset[str]:
        """Return *names*, those that always stay, and those that they need."""
        pending = {*names, *self.always}
        found: set[str] = set()
        while pending:
            name = pending.pop()
            found.add(name)
            needed = {other for glob, others in self.takes_along.items() if fnmatchcase(name, glob) for other in others}
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


class Libraries(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``services.toml``."""

    library: tuple[Library, ...]

    def __post_init__(self) -> None:
        """Refuse two libraries of one name; raises ValueError."""
        if twice := first_twice(library.name for library in self.library):
            raise ValueError(f"two libraries have the name {twice!r}")


@cache
def libraries() -> dict[str, Library]:
    """Return the libraries by the keys of ``[tool.lambda-slim.data]``."""
    return {library.name: library for library in load("stages/slim/services.toml", Libraries).library}


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
            "\n".join(problems), hint=f"names are those of the {library.what}s in {library.items[0].partition('{}')[0]}"
        )
