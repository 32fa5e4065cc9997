"""Find the folder whose ``uv.lock`` covers a project."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hatch_lambda.config.project import table_at
from hatch_lambda.core.codec import SETTINGS_LIMIT, DocumentError, decode_text, parse_toml, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.project import Project


def workspace_root(project: Project) -> Path:
    """Return the folder whose ``uv.lock`` covers the project: its own, or its uv workspace's.

    The nearest folder above that has a workspace decides, as in uv: a project that it leaves out stands
    on its own.
    """
    own = table_at(project.pyproject, "tool.uv")
    if "workspace" in own or own.get("managed") is False:
        return project.root
    for folder in project.root.parents:
        try:
            text = decode_text(read_regular(folder / "pyproject.toml", SETTINGS_LIMIT))
            workspace = table_at(parse_toml(text), "tool.uv").get("workspace")
        except (OSError, DocumentError):
            continue
        if isinstance(workspace, dict):
            relative = project.root.relative_to(folder).as_posix()
            member = _matches(relative, workspace.get("members"))
            return folder if member and not _matches(relative, workspace.get("exclude")) else project.root
    return project.root


def _matches(relative: str, patterns: object) -> bool:
    globs = [glob for glob in patterns if isinstance(glob, str)] if isinstance(patterns, list) else []
    return any(fnmatchcase(relative, posixpath.normpath(glob)) for glob in globs)
