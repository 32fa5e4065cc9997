"""Which distributions must stay in one folder: those that load one another's libraries, and those with one package."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_lambda.core.elf.linkage import linkage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_lambda.pipeline.shapes.shape import Ingredients


PROJECT = ""
"""The owner of the project's own files."""

_INITS = frozenset({"__init__.py", "__init__.pyc"})
_OPEN_PACKAGES = (b"extend_path", b"declare_namespace")
"""Words in the ``__init__.py`` of a package that looks for its modules in every folder of ``sys.path``."""

Owners = dict[str, str]
"""Whose each path is."""


def owners_of(ingredients: Ingredients) -> Owners:
    """Return whose each file is: a distribution's, or the project's."""
    owners = {file.path: file.distribution or "(no distribution)" for file in ingredients.dependencies}
    return owners | dict.fromkeys((file.path for file in ingredients.own), PROJECT)


def clusters(ingredients: Ingredients) -> list[frozenset[str]]:
    """Return the owners in groups that must not be torn apart, each owner in one group, sorted."""
    owners = owners_of(ingredients)
    libraries: defaultdict[str, set[str]] = defaultdict(set)
    for path, owner in owners.items():
        name = path.rpartition("/")[2]
        if ".so" in name:
            libraries[name].add(owner)
    inits: dict[str, bytes] = {}
    wanted: list[tuple[str, tuple[str, ...]]] = []
    shared = shared_packages(owners)
    for packed in ingredients.dependency_entries():
        path, name = packed.entry.name, packed.entry.name.rpartition("/")[2]
        if name in libraries:
            wanted.append((owners[path], _needed(packed.content, name)))
        elif name in _INITS and path.rpartition("/")[0] in shared:
            inits[path] = packed.content
    inits |= {file.path: file.source.read_bytes() for file in ingredients.own if file.parts[-1] in _INITS}
    ties = [_providers(owner, names, libraries) for owner, names in wanted]
    ties += [group for folder, group in shared.items() if not _is_open(folder, inits)]
    return _joined(set(owners.values()), ties)


def shared_packages(owners: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the regular packages of which several owners have files, each with these owners."""
    regular = {path.rpartition("/")[0] for path in owners if path.rpartition("/")[2] in _INITS}
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for path, owner in owners.items():
        folder = path.rpartition("/")[0]
        while folder:
            if folder in regular:
                groups[folder].add(owner)
            folder = folder.rpartition("/")[0]
    return {folder: group for folder, group in groups.items() if len(group) > 1}


def _needed(content: bytes, name: str) -> tuple[str, ...]:
    """Return the libraries that an object asks for: a damaged one, which nothing can load, for none."""
    try:
        found = linkage(memoryview(content), name)
    except ValueError:
        return ()
    return found.needed if found is not None else ()


def _is_open(folder: str, inits: Mapping[str, bytes]) -> bool:
    texts = [inits[f"{folder}/{name}"] for name in _INITS if f"{folder}/{name}" in inits]
    return any(word in text for text in texts for word in _OPEN_PACKAGES)


def _providers(owner: str, names: Iterable[str], libraries: Mapping[str, set[str]]) -> set[str]:
    """Return *owner* and who has the libraries that it loads and does not bring itself."""
    others = [libraries[name] for name in names if name in libraries and owner not in libraries[name]]
    return {owner}.union(*others)


def _joined(owners: set[str], ties: Iterable[set[str]]) -> list[frozenset[str]]:
    groups = {owner: {owner} for owner in owners}
    for tie in ties:
        together: set[str] = set().union(*(groups[owner] for owner in tie))
        for owner in together:
            groups[owner] = together
    return sorted({frozenset(group) for group in groups.values()}, key=sorted)
