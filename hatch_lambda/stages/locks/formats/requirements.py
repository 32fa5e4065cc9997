"""``requirements.txt``: read here, and resolved to addresses by uv."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from msgspec import field
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.text import command_in_header, listed
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.errors.secrets import masked
from hatch_lambda.stages.locks.lock import Declared, Lock, lock_document, shown
from hatch_lambda.stages.locks.resolve import Pin, Pins, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import LockRequest


MAKER = "`uv pip compile --universal --generate-hashes pyproject.toml -o requirements.txt`"
ROW = ("`uv export`, `uv pip compile`, pip-tools", "no", "directly, with `-r`, `-c` and `--hash`")


def declared(project: Project) -> Declared:  # noqa: ARG001 - LockFormat
    """Return nothing: the format is no tool's own."""
    return Declared()


def unlocked(project: Project) -> str | None:  # noqa: ARG001 - LockFormat
    """Name nothing, for the same reason."""
    return None


def read(request: LockRequest) -> Lock:
    """Read a ``requirements.txt`` all of whose lines are pinned, and hashed unless the settings let that pass.

    Raises LockError for lines that are not, for what uv cannot find, and where no file has a listed hash.
    """
    settings = request.settings
    if settings.groups or settings.only_groups:
        raise ConfigurationError(
            f"tool.lambda-slim.{'groups' if settings.groups else 'only-groups'}: {request.shown} knows no dependency"
            " groups",
            hint="make the file with the groups in it (`uv export --group NAME`) and leave the setting out, "
            "or use uv.lock or pylock.toml",
        )
    contents = parse_file(request.path, request.project, require_hashes=settings.require_hashes)
    if contents.problems:
        raise LockError(
            f"{request.shown}: not every line is pinned and hashed:{listed(contents.problems)}",
            hint=f"a lock file is made by {request.maker} or `uv export --format requirements.txt`; "
            "`uv lock` makes a uv.lock, which is taken instead",
        )
    command = command_in_header(contents.text)
    unhashed = sorted(str(pin.name) for pin in contents.pins if not pin.hashes)
    return Lock(
        path=request.path,
        pylock=resolve(request, contents),
        findings=_warned(request, unhashed) if unhashed else (),
        stands_alone=contents.stands_alone,
        asks_an_index=True,
        maker=f"`{command}`" if command else request.maker,
    )


def _warned(request: LockRequest, names: list[str]) -> tuple[Finding, ...]:
    return (
        Finding(
            code="HL060",
            severity=Severity.WARNING,
            message=f"{request.shown}: no hashes are listed for {', '.join(names)}:"
            " whatever the index holds under these versions is taken",
            hint=f"make it with hashes: {request.maker}",
        ),
    )


_OPTION = re.compile(r"(?P<name>--[a-z-]+|-[a-zA-Z])(?:\s*=\s*|\s+|(?<=^-[a-zA-Z]))(?P<value>.*)|--[a-z-]+")
_HASH = re.compile(r"--hash[=\s]+(\S+)")
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:$|#)")
_LOCAL = re.compile(r"\.|/|file:|[A-Za-z]:[\\/]")
_DEEPEST = 50
"""Files that include one another; people write three."""
_LONG = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links"}


class Contents(Pins, kw_only=True):
    """What a file and those that it includes say; filled while they are read."""

    text: str = ""
    """The first file as it stands."""
    require_hashes: bool = True
    above: list[Path] = field(default_factory=list)
    """The file that is being read, after those that include it."""
    read: set[Path] = field(default_factory=set)
    """The files that were read, however often they are included."""
    options_given: bool = False
    """Whether a line is an option: it may name another file or folder, or where uv looks for such."""
    problems: list[str] = field(default_factory=list)
    """Lines that are not allowed in a lock file: where, and why."""

    @property
    def stands_alone(self) -> bool:
        """Whether nothing but what is pinned decides: no option either."""
        return not self.options_given and super().stands_alone


def parse_file(path: Path, project: Project, *, require_hashes: bool = True) -> Contents:
    """Read *path* and the files that it includes, each once, collecting every problem."""
    contents = Contents(text=_text(path, project), require_hashes=require_hashes, read={path})
    _parse(path, contents.text, project, contents)
    return contents


def _parse(path: Path, text: str, project: Project, contents: Contents) -> None:
    contents.above.append(path)
    for number, line in _logical_lines(text):
        place = f"{shown(path, project)}:{number}"
        if not line.startswith("-"):
            _parse_requirement(line, path, place, project, contents)
            continue
        name, value = _option(line)
        contents.options_given |= name != "--require-hashes"
        if name == "--requirement":
            _include(value, path, place, project, contents)
        elif name == "--constraint":
            if "://" in value:
                contents.options.append(f"--constraint {value}")
            else:
                _check_constraints(_beside(path, value), place, project, set())
                contents.options.append(f"--constraint {path.parent / value}")
        elif name == "--editable":
            _parse_local(value, path, place, project, contents)
        elif name == "--find-links" and os.path.lexists(_beside(path, value)):
            contents.options.append(f"--find-links {_beside(path, value).as_posix()}")
        elif name != "--require-hashes":
            contents.options.append(line)
    contents.above.pop()


def _include(value: str, path: Path, place: str, project: Project, contents: Contents) -> None:
    included = _beside(path, value)
    if included in contents.above:
        contents.problems.append(f"{place}: {value} includes itself")
    elif len(contents.above) == _DEEPEST:
        contents.problems.append(f"{place}: {value} is the {_DEEPEST + 1}th file of those that include one another")
    elif included not in contents.read:
        contents.read.add(included)
        _parse(included, _text(included, project, place), project, contents)


def _check_constraints(path: Path, place: str, project: Project, read: set[Path]) -> None:
    """Refuse constraints that uv, which reads them itself, could read without end: those that include a file twice."""
    if path in read:
        raise LockError(f"{place}: {path.name} is included more than once", hint="include it once")
    read.add(path)
    if len(read) > _DEEPEST:
        raise LockError(f"{place}: more than {_DEEPEST} files of constraints", hint="put them into one")
    for number, line in _logical_lines(_text(path, project, place)):
        if line.startswith("-"):
            name, value = _option(line)
            if name in {"--requirement", "--constraint"}:
                _check_constraints(_beside(path, value), f"{shown(path, project)}:{number}", project, read)


def _beside(path: Path, value: str) -> Path:
    """Return what *value* in the file *path* names, with links followed as far as they lead anywhere."""
    return Path(os.path.realpath(path.parent / value))


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
    elif requirement.url is not None and _names_folder(requirement.url) and not hashes:
        contents.add_folder(text)
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
    found = {Path(os.path.realpath(base / local)): None for base in (path.parent, project.root)}
    if project.root in found:
        return
    folder = next((folder for folder in found if folder.is_dir()), None)
    if folder is None:
        contents.problems.append(f"{place}: {masked(value)}: no such folder; depend on a wheel by `NAME @ file:...`")
    else:
        contents.add_folder(f"{folder.as_posix()}{' ; ' + marker.strip() if marker else ''}")


def _names_folder(url: str) -> bool:
    """Tell whether *url* is that of a folder on this machine, which has no hash; an archive has one."""
    parts = urlsplit(url)
    return parts.scheme == "file" and Path(url2pathname(parts.path)).is_dir()


def _pinned_version(requirement: Requirement) -> Version | None:
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==":
        return None
    try:
        return Version(specifiers[0].version)
    except ValueError:  # `==1.*`, or thousands of digits
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
        line = _without_comment(raw).rstrip()
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            if joined := " ".join(map(str.strip, parts)).strip():
                yield start, joined
            parts.clear()
    if joined := " ".join(map(str.strip, parts)).strip():
        yield start, joined


def _without_comment(line: str) -> str:
    """Return *line* up to a ``#`` at its start or after a space, as pip takes it."""
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return line if at < 0 else line[:at]


def _text(path: Path, project: Project, place: str | None = None) -> str:
    where = shown(path, project) if place is None else f"{place}: {path.name}"
    return lock_document(path, where, "name a file of requirements that can be read").text(by_mark=True)
