"""Whether the target's loader can load the shared objects."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.codec import load
from hatch_lambda.core.elf.linkage import family
from hatch_lambda.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.core.elf.linkage import Linkage
    from hatch_lambda.inspect.audit.facts import Object
    from hatch_lambda.inspect.audit.subject import Subject


_ON_PATH = ("", "lib")
"""Folders of the package, and of layers below ``/opt``, in Lambda's LD_LIBRARY_PATH: /var/lang/lib:/lib64:/usr/lib64:
/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib (AWS, "Defined runtime environment variables")."""
_OLD_GLIBC = (2, 35)


def check_linking(subject: Subject) -> Iterator[Finding]:
    """Find objects that need what neither the package nor the runtime has, and such that no loader maps there."""
    machine = subject.architecture.machine if subject.architecture is not None else None
    loadable = [found for found in subject.facts.objects if found.linkage and machine in {None, found.linkage.machine}]
    imported = _imported(loadable)
    libraries = _Libraries(subject)
    for found in subject.facts.objects:
        if found.linkage is None:
            yield _finding("HL106", Severity.WARNING, found, f"not an object that a loader can read: {found.problem}")
    for found in loadable:
        link = found.linkage
        assert link is not None
        yield from _check_versions(found, link, subject, libraries)
        yield from _check_libraries(found, link, libraries, matters=found.path in imported)
        yield from _check_segments(found, link, subject)


def _imported(objects: Iterable[Object]) -> set[str]:
    """Return the paths of modules and of all that they load. Others, such as plug-ins, may be there in vain."""
    named: defaultdict[str, list[Object]] = defaultdict(list)
    for found in objects:
        if found.linkage:
            for name in {posixpath.basename(found.path), found.linkage.soname}:
                named[name].append(found)
    pending = [found for found in objects if found.linkage and found.linkage.is_module]
    imported = {found.path for found in pending}
    while pending:
        link = pending.pop().linkage
        for other in (other for name in (link.needed if link else ()) for other in named[name]):
            if other.path not in imported:
                imported.add(other.path)
                pending.append(other)
    return imported


def _check_versions(found: Object, link: Linkage, subject: Subject, libraries: _Libraries) -> Iterator[Finding]:
    if subject.runtime is None:
        return
    unnumbered = _system_libraries().unnumbered
    for library, version in link.versions:
        name, number = family(unnumbered.get(version, version))
        most = subject.runtime.system.versions.get(name)
        if most is None or number <= most or libraries.in_package(found.path, link, library):
            continue
        yield _finding(
            "HL102",
            Severity.ERROR,
            found,
            f"needs {version} of {library}; {subject.runtime.name} has {name}_{'.'.join(map(str, most))}"
            f" ({subject.runtime.amazon_linux})",
            f"take a wheel for manylinux_2_{subject.runtime.glibc[1]} or older, or a newer runtime",
        )


def _check_libraries(found: Object, link: Linkage, libraries: _Libraries, *, matters: bool) -> Iterator[Finding]:
    missing: list[str] = []
    unknown: list[str] = []
    for library in link.needed:
        if library in libraries.certain or libraries.in_package(found.path, link, library):
            continue
        if where := libraries.elsewhere(library):
            yield _finding(
                "HL105",
                Severity.NOTE,
                found,
                f"needs {library}, which is at {where}, where the loader does not look for it",
                "it works if something loads that one first",
            )
        else:
            (missing if library in libraries.missing else unknown).append(library)
    if missing:
        yield _finding(
            "HL103",
            Severity.ERROR if matters else Severity.WARNING,
            found,
            f"needs {', '.join(missing)}, which no Lambda runtime has",
            "take a distribution that does without (opencv-python-headless for opencv-python), or add a layer that"
            " has it and name it in tool.lambda-slim.layers",
        )
    if unknown:
        yield _finding(
            "HL104",
            Severity.WARNING if matters else Severity.NOTE,
            found,
            f"needs {', '.join(unknown)}, which is not in the package, and nothing says that the runtime has it",
            "add it, or try the package on Lambda",
        )


def _check_segments(found: Object, link: Linkage, subject: Subject) -> Iterator[Finding]:
    if link.misaligned and (subject.runtime is None or subject.runtime.glibc < _OLD_GLIBC):
        yield _finding(
            "HL106",
            Severity.ERROR,
            found,
            "the runtime's loader does not map it: its segments are not aligned",
            "another tool, such as GNU strip or patchelf, broke it: take the wheel's own",
        )
    if link.executable_stack:
        yield _finding("HL107", Severity.NOTE, found, "asks for an executable stack, which newer systems refuse")


class _SystemLibraries(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``amazon_linux.toml``."""

    certain: frozenset[str]
    missing: frozenset[str]
    unnumbered: dict[str, str]


@cache
def _system_libraries() -> _SystemLibraries:
    return load("inspect/audit/amazon_linux.toml", _SystemLibraries)


class _Libraries:
    """Where a library can be found."""

    def __init__(self, subject: Subject) -> None:
        self.certain = _system_libraries().certain
        self.missing = _system_libraries().missing
        self._paths = subject.paths | {path for path in subject.elsewhere if path.startswith("lib/")}
        self._named: dict[str, str] = {}
        for path in sorted((*subject.paths, *subject.elsewhere), reverse=True):
            self._named[posixpath.basename(path)] = path
        for found in subject.facts.objects:
            if found.linkage and found.linkage.soname:
                self._named.setdefault(found.linkage.soname, found.path)
        self._inherited = self._inherit(subject.facts.objects)

    def in_package(self, path: str, link: Linkage, library: str) -> bool:
        """Tell whether the loader finds *library* in the package or in a layer, for the object at *path*."""
        own = link.runpath or (*link.rpath, *self._inherited.get(path, ()))
        return self._find(path, own, library) is not None

    def elsewhere(self, library: str) -> str | None:
        """Return the path of a file that is *library* by its name or its soname."""
        return self._named.get(library)

    def _find(self, path: str, folders: Iterable[str], library: str) -> str | None:
        for folder in (*(_expand(folder, path) for folder in folders), *_ON_PATH):
            candidate = posixpath.normpath(posixpath.join(folder, library))
            if candidate in self._paths:
                return candidate
        return None

    def _inherit(self, objects: Iterable[Object]) -> dict[str, tuple[str, ...]]:
        """Return the folders of DT_RPATH that each library has from those that load it (ld.so(8))."""
        links = {found.path: found.linkage for found in objects if found.linkage}
        inherited: defaultdict[str, set[str]] = defaultdict(set)
        pending = [path for path, link in links.items() if link.rpath and not link.runpath]
        while pending:
            path = pending.pop()
            link = links[path]
            if link.runpath:
                continue
            own = {_expand(folder, path) for folder in link.rpath} | inherited[path]
            for library in link.needed:
                target = self._find(path, sorted(own), library)
                if target in links and not own <= inherited[target]:
                    inherited[target] |= own
                    pending.append(target)
        return {path: tuple(sorted(folders)) for path, folders in inherited.items()}


def _expand(folder: str, path: str) -> str:
    """Return a folder of an RPATH as a path in the package, for the object at *path*."""
    here = posixpath.dirname(path)
    return posixpath.normpath(folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", here or "."))


def _finding(code: str, severity: Severity, found: Object, message: str, hint: str | None = None) -> Finding:
    return Finding(code=code, severity=severity, path=found.path, message=message, hint=hint)
