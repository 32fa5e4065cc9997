"""Whether the target's Python can import the extension modules and use the bytecode."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.inspect.audit.facts import Bytecode, Object
    from hatch_lambda.inspect.audit.subject import Subject


_MODULE = re.compile(r"(?P<stem>[^/.]+)(?:\.(?P<tag>[\w-]+))?\.(?P<kind>so|pyd)")
_CPYTHON = re.compile(r"cpython-3(?P<minor>\d+)(?P<abi>[a-z]*)-(?P<platform>[\w-]+)")
_CACHED = re.compile(r"(.*/)?__pycache__/([^/]+)\.([a-z]+)-(\d+)(?:\.opt-\w+)?\.pyc")
_CHECKED_BY_DATE = 0
_FEW = 10
"""Modules per .pyc from which on it does not matter what becomes of these."""


class _Misfit(Struct, frozen=True):
    code: str
    path: str
    why: str


def check_modules(subject: Subject) -> Iterator[Finding]:
    """Find extension modules that the target's Python passes over or cannot load, and objects for other machines.

    A distribution that has modules for the target was made for it: others beside them are dead weight. But where
    there are only others, none of it can be imported.
    """
    fits: defaultdict[str, int] = defaultdict(int)
    misfits: defaultdict[str, list[_Misfit]] = defaultdict(list)
    systems = dict(subject.facts.foreign_binaries)
    objects = {found.path: found for found in subject.facts.objects}
    for file in subject.tree:
        if file.path not in systems and file.path not in objects:
            continue
        match = _MODULE.fullmatch(file.parts[-1])
        if match is None:
            continue
        misfit = _misfit(file.path, match, subject, systems.get(file.path), objects.get(file.path))
        owner = file.distribution or subject.module_path(file.path).partition("/")[0]
        if misfit is not None:
            misfits[owner].append(misfit)
        elif file.path in objects and _is_module(objects[file.path]):
            fits[owner] += 1
    told = set()
    for owner, found in misfits.items():
        for misfit in found:
            told.add(misfit.path)
            yield Finding(
                code=misfit.code,
                severity=Severity.NOTE if fits[owner] else Severity.ERROR,
                path=misfit.path,
                message=misfit.why,
                hint="nothing on the target loads it"
                if fits[owner]
                else "install again for the target: `--platform` and `--only-binary=:all:` of pip,"
                " `--python-platform` of uv, and `--python-version` of both",
            )
    yield from _check_others(subject, told)


def _check_others(subject: Subject, told: set[str]) -> Iterator[Finding]:
    """Find what is no module and is for another system or machine."""
    others = [(path, "HL108", f"is for {system}") for path, system in subject.facts.foreign_binaries]
    if subject.architecture is not None:
        others += (
            (found.path, "HL101", f"is for {found.linkage.machine}")
            for found in subject.facts.objects
            if found.linkage and found.linkage.machine != subject.architecture.machine
        )
    for path, code, why in others:
        if path not in told:
            yield Finding(code=code, severity=Severity.NOTE, path=path, message=why, hint="nothing there can load it")


def _misfit(
    path: str, match: re.Match[str], subject: Subject, system: str | None, found: Object | None
) -> _Misfit | None:
    """Say why the target's Python cannot import the extension module at *path*, or nothing."""
    tag = match["tag"] or ""
    if system or match["kind"] == "pyd" or tag.endswith("-darwin"):
        return _Misfit("HL108", path, f"is an extension module for {system or 'another system'}")
    if found is None or not _is_module(found):
        return None
    assert found.linkage is not None
    machine = subject.architecture.machine if subject.architecture is not None else None
    if machine not in {None, found.linkage.machine}:
        return _Misfit("HL101", path, f"is an extension module for {found.linkage.machine}, not for {machine}")
    cpython = _CPYTHON.fullmatch(tag)
    if subject.runtime is not None and cpython is not None:
        minor = str(subject.runtime.python_version[1])
        if (cpython["minor"], cpython["abi"]) != (minor, "") or cpython["platform"] != f"{machine}-linux-gnu":
            wanted = f"cpython-3{minor}-{machine}-linux-gnu"
            return _Misfit("HL109", path, f"is an extension module for {tag}; {subject.runtime.name} loads {wanted}")
    return None


def _is_module(found: Object) -> bool:
    return found.linkage is not None and found.linkage.is_module


def check_bytecode(subject: Subject) -> Iterator[Finding]:
    """Find bytecode of another version, and such as the target compiles again at every cold start."""
    if subject.runtime is None:
        return
    tag = "{}{}".format(*subject.runtime.python_version)
    dated: list[Bytecode] = []
    for found in subject.facts.bytecode:
        cached = _CACHED.fullmatch(found.path)
        fits = found.magic == subject.runtime.bytecode_magic
        if cached is None:
            if not fits and f"{found.path[:-1]}" not in subject.paths:
                yield Finding(
                    code="HL111",
                    severity=Severity.ERROR,
                    path=found.path,
                    message=f"is bytecode that {subject.runtime.name} cannot load, and there is no source",
                    hint="compile it with that version, or ship the source",
                )
            continue
        if cached[3] != "cpython" or cached[4] != tag:
            yield _useless(found, f"is never read by {subject.runtime.name}: its name is of another version")
        elif not fits:
            yield _useless(found, f"is not of {subject.runtime.name}, which compiles its source at every cold start")
        elif found.flags == _CHECKED_BY_DATE and f"{cached[1] or ''}{cached[2]}.py" in subject.paths:
            dated.append(found)
    if dated:
        # One that slipped into a wheel costs nobody anything.
        sources = sum(path.endswith(".py") for path in subject.paths)
        yield Finding(
            code="HL112",
            severity=Severity.WARNING if len(dated) * _FEW > sources else Severity.NOTE,
            path=dated[0].path,
            message=f"{len(dated)} .pyc are valid only with the date that their sources had, and zips rarely keep it",
            hint="compile with `--invalidation-mode unchecked-hash`: /var/task is read-only, so what is stale is"
            " compiled at every cold start",
        )


def _useless(found: Bytecode, why: str) -> Finding:
    return Finding(code="HL112", severity=Severity.WARNING, path=found.path, message=why, hint="leave it out")
