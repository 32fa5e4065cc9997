"""The project itself: from its wheel where it is a package, from its folder where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.dist_info import at_top

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import ProjectSettings
    from hatch_lambda.core.model import Tree
    from hatch_lambda.core.uv import Uv


class ProjectPart(Struct, frozen=True, kw_only=True):
    """The project's own files, and what made them."""

    tree: Tree
    version: str | None
    """As its wheel says; None where there is none."""
    backend: str | None
    """The build backend and its version, as the wheel says."""


def take_project(  # noqa: PLR0913 - each is of another owner
    project: Project,
    settings: ProjectSettings,
    uv: Uv,
    workspace: Path,
    *,
    wheel: Path | None = None,
    scripts: bool = False,
) -> ProjectPart:
    """Take the files of *project* that belong into the package: of its *wheel*, where that was built already.

    Its commands in ``bin/`` stay where *scripts* says so. Raises InstallError when its wheel cannot be built or is
    damaged.
    """
    version = backend = None
    if project.folder is not None:
        from hatch_lambda.stages.install.project_files import read_folder

        tree = read_folder(project.folder)
    elif wheel is None and not project.is_package:
        from hatch_lambda.stages.install.project_files import read_source

        tree = read_source(project.root, settings.handler)
    else:
        from hatch_lambda.stages.install.wheel import build_wheel, unpack

        wheel = wheel or build_wheel(project.root, uv, workspace)
        tree = unpack(wheel, workspace, scripts=scripts)
        version, backend = wheel.name.split("-")[1], _generator(tree)
    include, exclude = settings.included_patterns(), (*_others(project), *settings.exclude)
    if include or exclude:
        from hatch_lambda.stages.install.project_files import select

        tree = select(project.root, tree, include=include, exclude=exclude)
    if placed := settings.placed():
        from hatch_lambda.stages.install.included import place

        tree = place(project.root, tree, placed)
    return ProjectPart(tree=tree, version=version, backend=backend)


def _others(project: Project) -> tuple[str, ...]:
    """Return patterns of the folders that are the code of some function, and of no other."""
    if project.is_package or project.folder is not None:
        return ()
    tables = (own for own in project.table.get("functions", {}).values() if isinstance(own, dict))
    return tuple(f"/{own['module'].strip('/')}/" for own in tables if "module" in own)


def _generator(tree: Tree) -> str | None:
    for file in tree:
        if at_top(file.path, "WHEEL") is not None:
            for line in file.source.read_text(encoding="utf-8").splitlines():
                if line.startswith("Generator: "):
                    return line.removeprefix("Generator: ")
    return None
