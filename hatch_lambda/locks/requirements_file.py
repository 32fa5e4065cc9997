"""The syntax of ``requirements.txt``, as far as a lock file uses it (pip, "Requirements File Format")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.request import url2pathname

from msgspec import field
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hatch_lambda.errors import LockError
from hatch_lambda.locks.lock import shown
from hatch_lambda.locks.resolving import Pin, Pins
from hatch_lambda.redact import masked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.project import Project

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*$")
_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-zA-Z])(?:\s*=\s*|\s+|(?<=^-[a-zA-Z]))(?P<value>.*)|--[a-z-]+")
_HASH = re.compile(r"--hash[=\s]+(\S+)")
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:$|#)")
_LOCAL = re.compile(r"\.|/|file:|[A-Za-z]:[\\/]")
_DEEPEST = 50
"""Files that include one another in a row."""
_LONG = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links"}


class Contents(Pins, kw_only=True):
    """What a file and those that it includes say; filled while they are read."""

    text: str = ""
    """The first file as it stands."""
    require_hashes: bool = True
    included: set[Path] = field(default_factory=set)
    """Files that were read to their end: a second time they would say the same."""
    problems: list[str] = field(default_factory=list)
    """Lines that are not allowed in a lock file: where, and why."""


def parse_file(path: Path, project: Project, *, require_hashes: bool = True) -> Contents:
    """Read *path* and the files that it includes, collecting every problem."""
    contents = Contents(text=_text(path, project), require_hashes=require_hashes)
    _parse(path, contents.text, project, contents, [path])
    return contents


def _parse(path: Path, text: str, project: Project, contents: Contents, above: list[Path]) -> None:
    for number, line in _logical_lines(text):
        place = f"{shown(path, project)}:{number}"
        if not line.startswith("-"):
            _parse_requirement(line, path, place, project, contents)
            continue
        name, value = _option(line)
        if name == "--requirement":
            _include((path.parent / value).resolve(), value, place, project, contents, above)
        elif name == "--constraint":
            contents.options.append(f"--constraint {path.parent / value}")
        elif name == "--editable":
            _parse_local(value, path, place, project, contents)
        elif name == "--find-links" and (path.parent / value).exists():
            contents.options.append(f"--find-links {(path.parent / value).resolve().as_posix()}")
        elif name != "--require-hashes":
            contents.options.append(line)


def _include(  # noqa: PLR0913, PLR0917 - as the line says it, and as it is meant
    included: Path, value: str, place: str, project: Project, contents: Contents, above: list[Path]
) -> None:
    if included in contents.included:
        return
    if included in above:
        contents.problems.append(f"{place}: {value} includes itself")
    elif len(above) > _DEEPEST:
        contents.problems.append(f"{place}: {value} is included by more than {_DEEPEST} files in a row")
    else:
        _parse(included, _text(included, project, place), project, contents, [*above, included])
        contents.included.add(included)


def _parse_requirement(line: str, path: Path, place: str, project: Project, contents: Contents) -> None:
    text = re.split(r"\s--?[a-z]", line, maxsplit=1)[0].strip()
    if _LOCAL.match(text):
        _parse_local(text, path, place, project, contents)
        return
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        contents.problems.append(f"{place}: {masked(text)}: not a requirement")
        return
    version = _pinned_version(requirement)
    hashes = frozenset(_HASH.findall(line))
    if requirement.url is not None and requirement.url.startswith("git+"):
        if _COMMIT.search(requirement.url):
            contents.sources.append(text)
        else:
            contents.problems.append(f"{place}: {requirement.name}: from git, and not at a commit (`@` and 40 digits)")
    elif requirement.url is not None and requirement.url.startswith("file:") and not hashes:
        contents.sources.append(text)
    elif version is None and requirement.url is None:
        contents.problems.append(f"{place}: {text}: not pinned with `==`")
    elif not hashes and contents.require_hashes:
        contents.problems.append(f"{place}: {masked(text)}: has no --hash")
    else:
        name = canonicalize_name(requirement.name)
        contents.pins.append(Pin(name=name, version=version, requirement=text, hashes=hashes))


def _parse_local(value: str, path: Path, place: str, project: Project, contents: Contents) -> None:
    """Take a folder as it is, which has no hash, and pass over the project itself, which ``uv export`` lists too.

    Other tools read a path as relative to where they run, and that is mostly the project's folder.
    """
    text, _, marker = value.partition(";")
    local = re.split(r"\[|#", url2pathname(text.removeprefix("file://")), maxsplit=1)[0].strip()
    found = {(base / local).resolve(): None for base in (path.parent, project.root)}
    if project.root in found:
        return
    folder = next((folder for folder in found if folder.is_dir()), None)
    if folder is None:
        contents.problems.append(f"{place}: {masked(value)}: no such folder; depend on a wheel by `NAME @ file:...`")
    else:
        contents.sources.append(f"{folder.as_posix()}{' ; ' + marker.strip() if marker else ''}")


def _pinned_version(requirement: Requirement) -> Version | None:
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==":
        return None
    try:
        return Version(specifiers[0].version)
    except InvalidVersion:  # `==1.*`
        return None


def _option(line: str) -> tuple[str, str]:
    match = _OPTION.match(line)
    name, value = (match["name"] or match[0], match["value"] or "") if match else (line, "")
    return _LONG.get(name, name), value.strip().strip("\"'")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, comments taken off and continued lines joined."""
    start, parts = 1, list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        start = start if parts else number
        line = _COMMENT.sub("", raw).rstrip()
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            if joined := " ".join(map(str.strip, parts)).strip():
                yield start, joined
            parts.clear()
    if joined := " ".join(map(str.strip, parts)).strip():
        yield start, joined


def _text(path: Path, project: Project, place: str | None = None) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{place or shown(path, project)}: {path.name} cannot be read: {error}") from error
