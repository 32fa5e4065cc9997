"""Which distributions are missed, and which nobody would miss."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_lambda.core.dist_info import DistInfoPath
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.inspect.audit.subject import Unused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_lambda.inspect.audit.subject import Subject


def check_metadata(subject: Subject) -> Iterator[Finding]:
    """Find modules that ask for the metadata of a distribution that is there without it."""
    described = {
        info.distribution
        for info in filter(None, map(DistInfoPath.parse, subject.paths))
        if info.rest in {"METADATA", "PKG-INFO"}
    }
    present = {file.distribution for file in subject.tree if file.distribution is not None}
    present |= {_top(subject, path) for path in subject.paths}
    for use in subject.facts.metadata_uses:
        name = canonicalize_name(use.distribution) or _top(subject, use.path)
        if name in present and name not in described:
            yield Finding(
                code="HL110",
                severity=Severity.ERROR,
                path=use.path,
                message=f"asks for the metadata of {name}, which is in the package without it: PackageNotFoundError",
                hint=f'keep {name}\'s *.dist-info/METADATA: dist-info = "minimal", or keep-dist-info',
            )


def find_unused(subject: Subject) -> list[Unused]:
    """Return the distributions that no import from the project's modules reaches, largest first.

    Imports are searched in text, for whole distributions: what one of them imports somewhere counts for all of it.
    Compiled modules import what their distribution requires; plug-ins with entry points are found by others.
    """
    facts = subject.facts
    if "" not in facts.imports:
        return []
    owners = _Owners(subject)
    sizes: Counter[str] = Counter()
    for file in subject.tree:
        if file.distribution:
            sizes[file.distribution] += file.size
    compiled = {owners.by_path.get(found.path) for found in facts.objects}
    reached = {"", *facts.plugins}
    pending = list(reached)
    while pending:
        name = pending.pop()
        found = set(facts.requires.get(name, ())) & set(sizes) if name in compiled else set()
        found |= owners.of(facts.imports.get(name, ()))
        pending += found - reached
        reached |= found
    users = required_by(facts.requires)
    unused = [
        Unused(name=name, size=size, required_by=tuple(user for user in users.get(name, ()) if user in sizes))
        for name, size in sizes.items()
        if name in owners.importable - reached
    ]
    return sorted(unused, key=lambda item: (-item.size, item.name))


def required_by(requires: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return who requires each distribution."""
    users: defaultdict[str, list[str]] = defaultdict(list)
    for user in sorted(requires):
        for name in requires[user]:
            users[name].append(user)
    return dict(users)


def check_unused(subject: Subject) -> Iterator[Finding]:
    """Find distributions that could be left out."""
    for item in subject.unused:
        users = f" (required by {', '.join(item.required_by)})" if item.required_by else ""
        yield Finding(
            code="HL120",
            severity=Severity.NOTE,
            message=f"no import from the project reaches {item.name}: leaving it out saves {item.size:,} bytes{users}",
            hint="imports are searched in the text: what is imported by a computed name is not seen",
        )


class _Owners:
    """The distributions that have each module; of a namespace package, those that have a part of it."""

    def __init__(self, subject: Subject) -> None:
        self.by_path: dict[str, str] = {}
        self.importable: set[str] = set()
        self._folders: defaultdict[str, set[str]] = defaultdict(set)
        for file in subject.tree:
            if file.distribution and file.path.endswith((".py", ".so", ".pyc")):
                path = subject.module_path(file.path)
                self.by_path[path] = file.distribution
                self.importable.add(file.distribution)
                folder, _, name = path.rpartition("/")
                self._folders[folder].add(file.distribution)
                if not name.endswith(".py"):
                    self.by_path[f"{folder}/{name.partition('.')[0]}.py".lstrip("/")] = file.distribution
        for folder, owners in [*self._folders.items()]:
            while folder := folder.rpartition("/")[0]:
                self._folders[folder] |= owners

    def of(self, names: Iterable[str]) -> set[str]:
        """Return the distributions that have what *names* stand for, or the modules around it."""
        found: set[str] = set()
        for name in set(names):
            path = name.replace(".", "/")
            while path:
                owner = self.by_path.get(f"{path}.py") or self.by_path.get(f"{path}/__init__.py")
                owners = {owner} if owner else self._folders.get(path)
                if owners:
                    found |= owners
                    break
                path = path.rpartition("/")[0]
        return found


def _top(subject: Subject, path: str) -> str:
    return canonicalize_name(subject.module_path(path).partition("/")[0].partition(".")[0])
