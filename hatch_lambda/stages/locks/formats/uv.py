"""``uv.lock``: read through ``uv export``, and its freshness through ``uv lock --check``."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from hatch_lambda.config.project import table_at
from hatch_lambda.core.codec import convert
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.text import first_error
from hatch_lambda.errors import CommandError, LockError
from hatch_lambda.stages.locks.lock import (
    Declared,
    Lock,
    chosen_names,
    excluded_names,
    lock_document,
    normalized,
    shown,
)
from hatch_lambda.stages.locks.pylock import parse, rebase

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import LockRequest


MAKER = "`uv lock`"
ROW = ("`uv lock`", "yes", "through `uv export`; also in the root of a workspace")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CERTAIN = frozenset({"registry", "url", "git", "subdirectory"})
_FOLDERS = frozenset({"directory", "editable", "virtual"})
"""Kinds of sources; what is of another depends on more than the lock."""


class _Package(Struct, frozen=True):
    """What of a package in the lock tells whether its content is certain."""

    source: dict[str, Any] = {}
    sdist: dict[str, Any] | None = None
    wheels: list[dict[str, Any]] = []


class _Document(Struct, frozen=True):
    package: list[_Package] = []


class _Verdict(Enum):
    FRESH = "fresh"
    STALE = "stale"
    UNKNOWN = "unknown"


class _Opinion(Struct, frozen=True):
    """What uv thinks of the lock, and where it is not content, what it said."""

    verdict: _Verdict
    error: CommandError | None = None


def declared(project: Project) -> Declared:
    """Return the names that uv's settings override or leave out."""
    table = table_at(project.pyproject, "tool.uv")
    lines = (line for key in ("override-dependencies", "exclude-dependencies") for line in table.get(key, ()))
    return Declared(exempt=normalized(named[0] for line in lines if (named := _NAME.match(str(line).strip()))))


def unlocked(project: Project) -> str | None:  # noqa: ARG001 - LockFormat
    """Name nothing: uv reads the standard tables."""
    return None


def read(request: LockRequest) -> Lock:
    """Read a ``uv.lock``, exporting it while uv checks that it fits the project.

    Raises LockError for a lock that is stale or unreadable. Where uv cannot tell, a finding says so.
    uv records no hashes for wheels in a local folder (``find-links``): it computes them when it exports, so
    for those the hash says what the folder holds now.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        checking = pool.submit(_check, request) if request.terms.in_source_tree else None
        exporting = pool.submit(_export, request)
        stands_alone = _stands_alone(request.path)  # which takes as long as uv does
        exported = exporting.result()
        opinion = checking.result() if checking is not None else _Opinion(_Verdict.UNKNOWN)
    # A stale lock is also the likely reason of an export that failed, so it is told first.
    if opinion.verdict is _Verdict.STALE and opinion.error is not None:
        raise LockError(
            f"{request.shown}: the project has changed since it was locked; uv says:\n{opinion.error.tail()}",
            hint=f"run {_maker(request)}",
        )
    if isinstance(exported, CommandError):
        raise LockError(
            f"{request.shown}: uv cannot export it:\n{exported.tail()}", hint=f"try {_maker(request)}"
        ) from exported
    folder = request.path.parent
    return Lock(
        path=request.path,
        pylock=rebase(parse(exported, f"{request.shown}, as uv exports it"), folder, folder),
        findings=(_unchecked(request, opinion.error),) if opinion.error is not None else (),
        stands_alone=stands_alone,
        asks_an_index=False,
        maker=_maker(request),
        has_groups_chosen=True,
        vouched=opinion.verdict is _Verdict.FRESH,
    )


def create(request: LockRequest) -> None:
    """Make ``uv.lock`` by ``uv lock``; LockError shows what uv says where it cannot."""
    try:
        request.uv.run("lock", "--quiet", "--no-python-downloads", cwd=request.path.parent)
    except CommandError as error:
        raise LockError(
            f"there is no lock file, and `uv lock` cannot make one:\n{error.tail()}",
            hint='fix what uv complains of, or name a lock file: `lock = "..."` in [tool.lambda-slim]',
        ) from error


def _stands_alone(path: Path) -> bool:
    """Tell whether there is no folder in the lock but the project's own, and no file that it has no hash of.

    Such a file is in a local folder, with whatever content it has when uv looks.
    """
    try:
        document = convert(lock_document(path, path.name, "").toml(), _Document)
    except (LockError, msgspec.ValidationError):  # uv will tell
        return False
    return all(
        all(kind in _CERTAIN or (kind in _FOLDERS and place == ".") for kind, place in package.source.items())
        and all("hash" in file for file in (*package.wheels, *([package.sdist] if package.sdist is not None else [])))
        for package in document.package
    )


def _export(request: LockRequest) -> str | CommandError:
    """Return the lock as ``pylock.toml``, its paths relative to the folder of the lock; 20 ms."""
    chosen = [f"--extra={extra}" for extra in request.settings.extras]
    if not request.settings.keep_dependencies:
        chosen += [f"--prune={name}" for name in sorted(excluded_names(request.settings))]
    option = "--only-group" if request.settings.only_groups else "--group"
    chosen += [f"{option}={name}" for name in chosen_names(request.settings, request.project.dependency_groups)]
    if request.path.parent != request.project.root:
        chosen.append(f"--package={request.project.metadata.get('name') or request.project.distribution}")
    try:
        return request.uv.run(
            "export",
            "--frozen",
            "--format=pylock.toml",
            "--no-emit-project",
            "--no-default-groups",
            "--no-header",
            "--quiet",
            *chosen,
            cwd=request.path.parent,
        )
    except CommandError as error:
        return error


def _check(request: LockRequest) -> _Opinion:
    """Ask uv whether the lock fits the project: 30 ms with an interpreter at hand.

    Without one uv looks for it, which takes five times as long, and a second where pyenv's shims are in its way.
    The network is kept out at first: a lock that fits needs none, even if uv's cache is empty. uv asks it
    only to resolve again, or to learn what a source tree depends on; then a second run with the network
    decides, and no network means no verdict.
    """
    command = ("lock", "--check", "--quiet", "--no-python-downloads")
    # What the user has chosen for uv stays chosen.
    if request.python is not None and "UV_PYTHON" not in request.uv.environment:
        opinion = _ask(request, (*command, f"--python={request.python}"))
        if opinion.error is None or not _misfit(opinion.error):
            return opinion  # else it does not fit the project, or does not run
    return _ask(request, command)


def _ask(request: LockRequest, command: tuple[str, ...]) -> _Opinion:
    try:
        request.uv.run(*command, "--offline", cwd=request.path.parent)
    except CommandError as error:
        if (verdict := _verdict(error)) is _Verdict.STALE or _misfit(error):
            return _Opinion(verdict, error)
    else:
        return _Opinion(_Verdict.FRESH)
    try:
        request.uv.run(*command, cwd=request.path.parent, UV_HTTP_RETRIES="0")
    except CommandError as error:
        return _Opinion(_verdict(error), error)
    return _Opinion(_Verdict.FRESH)


def _verdict(error: CommandError) -> _Verdict:
    if "needs to be updated" in error.output:
        return _Verdict.STALE
    offline = "network was disabled" in error.output or "network connectivity is disabled" in error.output
    unsolvable = "No solution found" in error.output
    return _Verdict.STALE if unsolvable and not offline else _Verdict.UNKNOWN


def _misfit(error: CommandError) -> bool:
    """Tell whether uv got as far as an interpreter: there is none, it does not run, or it does not fit the project."""
    return _verdict(error) is _Verdict.UNKNOWN and "interpreter" in error.output


def _maker(request: LockRequest) -> str:
    folder = request.path.parent
    return MAKER if folder == request.project.root else f"{MAKER} in {shown(folder, request.project)}"


def _unchecked(request: LockRequest, error: CommandError) -> Finding:
    return Finding(
        code="HL012",
        severity=Severity.NOTE,
        message=f"{request.shown}: uv could not check that it is up to date: {first_error(error)}",
        hint="the direct requirements of the project were compared with it instead",
    )
