"""Find the project's lock file, and tell its format by its name."""

from __future__ import annotations

import os
import posixpath
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hatch_lambda.decoding import SETTINGS_LIMIT, DocumentError, check_regular, decode_text, parse_toml, read_regular
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.locks.lock import RESOLVED_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_lambda.locks.lock import LockPolicy
    from hatch_lambda.project import Project

_PYLOCK_NAME = re.compile(r"pylock\.(?:[^.]+\.)?toml")
"""PEP 751, "File Name"."""

_RESOLVED = RESOLVED_NAME.removesuffix(".toml")
"""How the name of each lock begins that an sdist carries."""


class Discovery(Struct, frozen=True, kw_only=True):
    """The lock file that was taken, and others that were there."""

    path: Path
    passed_over: tuple[Path, ...] = ()


def discover(project: Project, policy: LockPolicy) -> Discovery | None:
    """Return the lock file to read, or None where there is none.

    The lock that an sdist carries goes before all else, for it was resolved from the user's choice.
    Raises LockError where the choice is not clear, and ConfigurationError where the chosen file is not there.
    """
    resolved = project.root / policy.resolved_name
    if not policy.in_source_tree and resolved.is_file():
        return Discovery(path=resolved)
    if policy.lock is not None:
        return Discovery(path=_chosen(project, policy.lock))
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
