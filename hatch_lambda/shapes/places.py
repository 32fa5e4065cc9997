"""Where packages go, and which files are packages that were made of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda import archive
from hatch_lambda.errors import machine_errors
from hatch_lambda.shapes.files import is_ours

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.project import Project


def output_of(project: Project, version: str | None, directory: Path | None) -> Path:
    """Return the path of the zip of *project*, in *directory* where a door names one and the settings name no file."""
    home = project.home or project
    if project.settings.output:
        return home.root / project.settings.output
    name = archive.package_name(home.name, version, project.target, project.function)
    return (directory or home.root / "dist") / name


@machine_errors()
def made_here(project: Project, directory: Path) -> list[Path]:
    """Return the packages of *project* that are in *directory* or where ``output`` says, and their leftovers."""
    made = list(archive.packages_in(directory, project.name))
    outputs = [project.settings.output, *(own.get("output") for own in project.settings.functions.values())]
    for output in filter(None, outputs):
        made += archive.packages_of(project.root / output)
    return [path for path in dict.fromkeys(made) if is_ours(path)]
