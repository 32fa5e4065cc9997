"""Read what ``-X importtime`` writes, and tell whose the time is."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_lambda.model import File

STANDARD_LIBRARY = "(standard library)"
PROJECT = "(project)"

_LINE = re.compile(r"^import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)\s*$", re.MULTILINE)
_INDENT = 2
_ENDINGS = (".py", "/__init__.py", ".pyc", "/__init__.pyc")
_MILLION = 1_000_000


class Import(Struct):
    """A module that was imported, and the modules that it imported first."""

    module: str
    own: float
    """Seconds of its own code."""
    total: float
    """With what it imported first."""
    inner: list[Import] = field(default_factory=list)


class Cost(Struct, frozen=True, kw_only=True):
    """What the imports of a distribution take."""

    owner: str
    own: float
    total: float
    """With what these modules import of other distributions."""


def read_imports(text: str) -> list[Import]:
    """Return the outermost imports that *text* tells of, each with those inside it."""
    waiting: dict[int, list[Import]] = {}
    for own, total, indent, module in _LINE.findall(text):
        depth = len(indent) // _INDENT
        inner = waiting.pop(depth + 1, [])
        found = Import(module, int(own) / _MILLION, int(total) / _MILLION, inner)
        waiting.setdefault(depth, []).append(found)
    return waiting.get(0, [])


def costs(imports: Iterable[Import], owners: Mapping[str, str]) -> list[Cost]:
    """Return what the imports take by their owner, most first."""
    own: defaultdict[str, float] = defaultdict(float)
    total: defaultdict[str, float] = defaultdict(float)

    def visit(item: Import, above: frozenset[str]) -> None:
        owner = owner_of(item.module, owners)
        own[owner] += item.own
        if owner not in above:
            total[owner] += item.total
        for inner in item.inner:
            visit(inner, above | {owner})

    for item in imports:
        visit(item, frozenset())
    return sorted(
        (Cost(owner=owner, own=seconds, total=total[owner]) for owner, seconds in own.items()),
        key=lambda cost: (-cost.own, cost.owner),
    )


def module_owners(files: Iterable[File], handler: str) -> dict[str, str]:
    """Return whose each module among *files* is: its distribution's, the project's, or that of the folder at the top.

    The project's are those beside the module of the *handler*, and those at the top that no distribution lists.
    """
    owners: dict[str, str] = {}
    own = re.split(r"[./]", handler)[0]
    for file in sorted(files, key=lambda file: file.distribution is None):
        module = _module(file.path)
        if module is not None:
            top = module.partition(".")[0]
            is_project = top == own or "/" not in file.path
            owners.setdefault(module, file.distribution or (PROJECT if is_project else top))
    return owners


def owner_of(module: str, owners: Mapping[str, str]) -> str:
    """Return whose *module* is: what is in no package is the standard library's."""
    while module:
        if module in owners:
            return owners[module]
        module = module.rpartition(".")[0]
    return STANDARD_LIBRARY


def modules(imports: Iterable[Import]) -> Iterator[str]:
    """Yield the names of all that was imported."""
    for item in imports:
        yield item.module
        yield from modules(item.inner)


def _module(path: str) -> str | None:
    stem = None
    for ending in _ENDINGS:
        if path.endswith(ending) and "__pycache__" not in path:
            stem = path.removesuffix(ending)
    if stem is None and path.endswith(".so"):
        folder, slash, name = path.rpartition("/")
        stem = folder + slash + name.partition(".")[0]
    return stem.replace("/", ".") if stem else None
