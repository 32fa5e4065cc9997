"""Many packages at a time: the functions of a project, and several projects."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.files import workspace
from hatch_lambda.core.log import logger
from hatch_lambda.errors import HatchLambdaError, machine_errors
from hatch_lambda.pipeline.build import build as build_package

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.session import Session
    from hatch_lambda.inspect.package import Package
    from hatch_lambda.pipeline.request import Source


_log = logger(__name__)

Task = tuple["Project", "Session"]


def build_each(
    tasks: Sequence[Task | HatchLambdaError], source: Source, *, jobs: int
) -> Iterator[Package | HatchLambdaError]:
    """Build each project in its session, *jobs* at a time, and yield what came of it, in their order.

    A task that failed before it began is handed on. What several have in common is done once: their wheel here,
    their dependencies by the cache.
    """
    projects = [task[0] for task in tasks if not isinstance(task, HatchLambdaError)]
    with workspace(None) as work, ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        wheels = _Wheels(projects, work)

        def build_one(task: Task | HatchLambdaError) -> Package | HatchLambdaError:
            if isinstance(task, HatchLambdaError):
                return task
            project, session = task
            try:
                with machine_errors():
                    wheel = source.wheel or wheels.of(project, session)
                return build_package(project, replace(source, wheel=wheel), session)
            except HatchLambdaError as error:
                _log.debug("%s failed", project.function or project.root, exc_info=True)
                return error

        yield from pool.map(build_one, tasks)


class _Wheels:
    """The wheels of projects that have several functions, each built when it is first asked for."""

    def __init__(self, projects: Sequence[Project], work: Path) -> None:
        roots = [project.root for project in projects if project.is_package]
        self._work = work
        self._locks = {root: threading.Lock() for root in roots if roots.count(root) > 1}
        self._built: dict[Path, Path] = {}

    def of(self, project: Project, session: Session) -> Path | None:
        """Return the wheel; None where nobody shares it."""
        from hatch_lambda.stages.install.wheel import build_wheel

        if not project.is_package or project.root not in self._locks:
            return None
        with self._locks[project.root]:
            if project.root not in self._built:
                folder = self._work / str(len(self._built))
                folder.mkdir(exist_ok=True)
                self._built[project.root] = build_wheel(project.root, session.uv, folder)
            return self._built[project.root]


def failed(outcomes: Sequence[tuple[str, Package | HatchLambdaError]]) -> HatchLambdaError | None:
    """Return one error that tells of all that failed, each by its label; None where nothing did."""
    errors = [(label, outcome) for label, outcome in outcomes if isinstance(outcome, HatchLambdaError)]
    if not errors:
        return None
    first = errors[0][1]
    message = "\n".join(f"{label}: {error.message}" for label, error in errors)
    hints = dict.fromkeys(error.hint for _, error in errors if error.hint)
    whole = HatchLambdaError(message, hint="; ".join(hints) or None)
    whole.exit_code = first.exit_code
    return whole
