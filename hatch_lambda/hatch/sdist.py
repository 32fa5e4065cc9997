"""Collect what an sdist has to carry, so that a package can be built from it on another machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hatch_lambda.config.functions import functions_of
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.pipeline import request
from hatch_lambda.pipeline.dependencies import resolve_lock
from hatch_lambda.pipeline.request import open_cache
from hatch_lambda.stages.install.included import placed_files
from hatch_lambda.stages.install.project_files import included, read_folder

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.pipeline.request import Source


def carried(project: Project, source: Source, folder: Path) -> dict[str, str]:
    """Return the files to add to the sdist, as source path to path in the sdist.

    They are the resolved locks, which are written to *folder*, included files, and folders of functions. Raises
    ConfigurationError for a folder outside of the project.
    """
    from hatch_lambda.stages.locks.lock import resolved_name
    from hatch_lambda.stages.locks.pylock import dump, rebase

    session = request.open_session(os.environ, open_cache(os.environ, project))
    files: dict[str, str] = {}
    for function in functions_of(project):
        name = resolved_name(function.function)
        work = folder / (function.function or "project")
        work.mkdir()
        lock = resolve_lock(function, source, session, work)
        resolved = work / name
        portable = rebase(lock.pylock, lock.path.parent, function.root)
        resolved.write_text(dump(portable), encoding="utf-8")
        files[str(resolved)] = name
        settings = function.settings.project
        patterns = settings.included_patterns()
        paths = [*(included(function.root, patterns) if patterns else ()), *settings.vendored_wheels()]
        for origin, _ in settings.placed():
            paths += placed_files(function.root, origin)
        files |= {str(function.root / path): path for path in paths}
        files |= _folder(project, function)
    return files


def _folder(project: Project, function: Project) -> dict[str, str]:
    """Return the files of the folder that is the function's code."""
    module = function.folder or (function.root if function.home is not None else None)
    if module is None:
        return {}
    if function.folder is None or not module.is_relative_to(project.root):
        raise ConfigurationError(
            f"tool.lambda-slim.functions.{function.function}.module: {module} is a project of its own, or outside of"
            f" {project.root}, and cannot travel in an sdist",
            hint="`uv build --wheel` builds without one",
        )
    way = module.relative_to(project.root).as_posix()
    return {str(file.source): f"{way}/{file.path}" for file in read_folder(module)}
