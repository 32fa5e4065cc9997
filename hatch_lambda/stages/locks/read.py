"""Find a project's lock file and read it, whichever format it has."""

from __future__ import annotations

import os
import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from hatch_lambda.core.codec import SETTINGS_LIMIT, DocumentError, check_regular, decode_text, parse_toml, read_regular
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.text import did_you_mean
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.stages.locks.exclude import exclude
from hatch_lambda.stages.locks.formats.pdm import read as read_pdm
from hatch_lambda.stages.locks.formats.pipenv import read as read_pipenv
from hatch_lambda.stages.locks.formats.poetry import read as read_poetry
from hatch_lambda.stages.locks.formats.pylock import read as read_pylock
from hatch_lambda.stages.locks.formats.requirements import read as read_requirements
from hatch_lambda.stages.locks.formats.uv import create
from hatch_lambda.stages.locks.formats.uv import read as read_uv
from hatch_lambda.stages.locks.lock import RESOLVED_NAME, Lock, LockTerms, Request, resolved_name, shown
from hatch_lambda.stages.locks.pylock import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.uv import Uv


_log = logger(__name__)

FORMATS: Mapping[str, Callable[[Request], Lock]] = {
    "uv.lock": read_uv,
    "pylock.toml": read_pylock,
    "poetry.lock": read_poetry,
    "pdm.lock": read_pdm,
    "Pipfile.lock": read_pipenv,
    "requirements.txt": read_requirements,
}
"""How to read each format, by the name that its file usually has; the first that is found is taken."""

_WAYS_OUT = (
    "run `uv lock` and commit the lock file; where SAM builds a copy of the project without it, as of a workspace's"
    " member, use `sam build --build-in-source`, or let `ProjectRootDirectory`, `ContextPath` and `WorkingDirectory` in"
    " the function's Metadata name the folders; `require-lock = false` in [tool.lambda-slim] makes one all the same"
)


def read(project: Project, terms: LockTerms, uv: Uv, workspace: Path, python: Path | None = None) -> Lock:
    """Return the project's lock in its normal form; *workspace* is a folder for what is made on the way.

    *python* is an interpreter of the target's version, for uv, where one is at hand.

    Raises LockError where there is no lock and none may be made, where it is stale, and where it cannot be
    read, and ConfigurationError where the settings name a file, an extra or a group that is not there.
    """
    _check_extras(terms.settings.extras, project)
    found = discover(project, terms)
    _log.debug("the lock of %s is %s", project.root, found.path if found is not None else "still to be made")
    if found is None:
        path = workspace_root(project) / "uv.lock"
        request = Request(path=path, project=project, terms=terms, uv=uv, workspace=workspace)
        return _create(request) if _has_requirements(project) else _none(request)
    request = Request(path=found.path, project=project, terms=terms, uv=uv, workspace=workspace, python=python)
    lock = exclude(format_of(found.path)(request), request)
    # What an sdist carries was compared with the project when it was resolved, and may be that of a folder alone.
    vouched = lock.vouched or (terms.function is not None and found.path.name == resolved_name(terms.function))
    return replace(lock, findings=(*_passed_over(found, project), *lock.findings), vouched=vouched)


def format_of(path: Path) -> Callable[[Request], Lock]:
    """Return how to read the lock file *path*, which its name tells."""
    if is_pylock(path):
        return FORMATS["pylock.toml"]
    if path.name in FORMATS:
        return FORMATS[path.name]
    if path.suffix == ".txt":
        return FORMATS["requirements.txt"]
    raise ConfigurationError(
        f"tool.lambda-slim.lock: {path.name!r} is not the name of a lock file that can be read"
        f"{did_you_mean(path.name, FORMATS)}",
        hint="formats: uv.lock, pylock.toml, pylock.NAME.toml, poetry.lock, pdm.lock, Pipfile.lock, requirements.txt"
        " (any name in .txt)",
    )


def _create(request: Request) -> Lock:
    terms, settings = request.terms, request.settings
    if settings.require_lock or not terms.may_create:
        why = " and `require-lock` is set" if settings.require_lock else ", and a build does not make one"
        where = "" if request.path.parent == request.project.root else f" in {request.path.parent}"
        raise LockError(f"{request.project.root}: there is no lock file{why}", hint=f"run `uv lock`{where}")
    if terms.unattended is not None and settings.require_lock is None:
        raise LockError(
            f"{request.project.root}: there is no lock file, and {terms.unattended} says that nobody watches: one"
            " that is made now may choose other versions than were tested, and nobody would see it",
            hint=_WAYS_OUT,
        )
    create(request)
    lock = read_uv(replace(request, terms=replace(terms, in_source_tree=False)))
    made = Finding(
        code="HL010",
        severity=Severity.WARNING,
        message=f"there was no lock file: {request.shown} was made",
        hint="commit it, so that every build installs the same",
    )
    return replace(lock, findings=(made, *lock.findings), vouched=True)


def _none(request: Request) -> Lock:
    """Return the lock of a project without dependencies, which needs no file."""
    tool = request.project.pyproject.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    if isinstance(poetry, dict) and set(poetry.get("dependencies", ())) - {"python"}:
        raise LockError(
            f"{request.project.root}: there is no lock file for [tool.poetry.dependencies]",
            hint="run `poetry lock`",
        )
    return Lock(path=request.path, pylock=empty(), findings=(), stands_alone=False, vouched=True)


def _has_requirements(project: Project) -> bool:
    """Tell whether the project depends on anything; a dynamic list counts, for nobody knows it yet."""
    dynamic = project.metadata.get("dynamic", ())
    return bool(project.requirements()) or "dependencies" in dynamic


def _check_extras(chosen: Iterable[str], project: Project) -> None:
    """Refuse an extra that the project does not have, before a tool does so in its own words."""
    tool = project.pyproject.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    table = {
        **(poetry.get("extras", {}) if isinstance(poetry, dict) else {}),
        **project.metadata.get("optional-dependencies", {}),
    }
    unknown = "optional-dependencies" in project.metadata.get("dynamic", ())
    names = {canonicalize_name(name) for name in table}
    for name in chosen:
        if canonicalize_name(name) not in names and not unknown:
            raise ConfigurationError(
                f"tool.lambda-slim.extras: the project has no extra {name!r}{did_you_mean(name, table)}"
            )


def _passed_over(found: Discovery, project: Project) -> tuple[Finding, ...]:
    if not found.passed_over:
        return ()
    others = ", ".join(shown(path, project) for path in found.passed_over)
    taken = shown(found.path, project)
    return (
        Finding(
            code="HL011",
            severity=Severity.NOTE,
            message=f"of several lock files, {taken} was taken, and not {others}",
            hint=f'`lock = "{found.passed_over[0].name}"` in [tool.lambda-slim] would choose another',
        ),
    )


_PYLOCK_NAME = re.compile(r"pylock\.(?:[^.]+\.)?toml")
"""PEP 751, "File Name"."""

_RESOLVED = RESOLVED_NAME.removesuffix(".toml")
"""How the name of each lock begins that an sdist carries."""


class Discovery(Struct, frozen=True, kw_only=True):
    """The lock file that was taken, and others that were there."""

    path: Path
    passed_over: tuple[Path, ...] = ()


def discover(project: Project, terms: LockTerms) -> Discovery | None:
    """Return the lock file to read, or None where there is none.

    The lock that an sdist carries goes before all else, for it was resolved from the user's choice.
    Raises LockError where the choice is not clear, and ConfigurationError where the chosen file is not there.
    """
    resolved = project.root / resolved_name(terms.function)
    if not terms.in_source_tree and resolved.is_file():
        return Discovery(path=resolved)
    if terms.settings.file is not None:
        return Discovery(path=_chosen(project, terms.settings.file))
    candidates = [
        path
        for path in (
            workspace_root(project) / "uv.lock",
            _pylock(project.root),
            *(project.root / name for name in ("poetry.lock", "pdm.lock", "Pipfile.lock")),
            project.root / "requirements.txt",
        )
        if path is not None and os.path.lexists(path)
    ]
    if not candidates:
        return None
    _require_file(candidates[0], candidates[0].name)
    return Discovery(path=candidates[0], passed_over=tuple(candidates[1:]))


def is_pylock(path: Path) -> bool:
    """Tell whether *path* has one of the names that PEP 751 gives to its files."""
    return _PYLOCK_NAME.fullmatch(path.name) is not None


def workspace_root(project: Project) -> Path:
    """Return the folder whose ``uv.lock`` covers the project: its own, or its uv workspace's.

    The nearest folder above that has a workspace decides, as in uv: a project that it leaves out stands
    on its own.
    """
    own = _uv_table(project.pyproject)
    if "workspace" in own or own.get("managed") is False:
        return project.root
    for folder in project.root.parents:
        try:
            text = decode_text(read_regular(folder / "pyproject.toml", SETTINGS_LIMIT))
            workspace = _uv_table(parse_toml(text)).get("workspace")
        except (OSError, DocumentError):
            continue
        if isinstance(workspace, dict):
            relative = project.root.relative_to(folder).as_posix()
            member = _matches(relative, workspace.get("members"))
            return folder if member and not _matches(relative, workspace.get("exclude")) else project.root
    return project.root


def _uv_table(pyproject: Mapping[str, Any]) -> Mapping[str, Any]:
    tool = pyproject.get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def _matches(relative: str, patterns: object) -> bool:
    globs = [glob for glob in patterns if isinstance(glob, str)] if isinstance(patterns, list) else []
    return any(fnmatchcase(relative, posixpath.normpath(glob)) for glob in globs)


def _require_file(path: Path, shown: str) -> None:
    """Raise LockError for what has a lock's name and is no file: tools would wait for it, or make another lock."""
    try:
        check_regular(path.stat())
    except (OSError, DocumentError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise LockError(f"{shown}: {why}", hint="put a lock file there, or remove it") from error


def _chosen(project: Project, lock: str) -> Path:
    path = project.root / lock
    if not path.is_file():
        raise ConfigurationError(
            f"tool.lambda-slim.lock: there is no file {lock!r} in {project.root}",
            hint="its path is relative to the project",
        )
    return path.parent.resolve() / path.name


def _pylock(root: Path) -> Path | None:
    if os.path.lexists(root / "pylock.toml"):
        return root / "pylock.toml"
    named = sorted(
        path for path in root.glob("pylock.*.toml") if is_pylock(path) and not path.name.startswith(_RESOLVED)
    )
    if len(named) > 1 and not (root / "uv.lock").is_file():
        names = ", ".join(path.name for path in named)
        raise LockError(
            f"several lock files: {names}",
            hint=f'choose one: `lock = "{named[0].name}"` in [tool.lambda-slim]',
        )
    return named[0] if named else None
