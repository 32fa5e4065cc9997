"""Where packages go, and which files are packages that were made of a project."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_lambda import archive
from hatch_lambda.errors import machine_errors
from hatch_lambda.model import Finding, Severity
from hatch_lambda.shapes.files import is_ours
from hatch_lambda.shapes.wheel import wheel_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.project import Project
    from hatch_lambda.shapes.product import Ingredients, Product


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
    made = [path for path in archive.packages_in(directory, project.name) if is_ours(path, named=False)]
    for output in _outputs(project):
        made += [path for path in archive.packages_of(output) if is_ours(path, named=True)]
    return list(dict.fromkeys(made))


def _outputs(project: Project) -> list[Path]:
    """Return the paths that the settings name for the zip of *project*, and of each function in its table.

    The settings of a function say nothing of the others.
    """
    outputs = [project.settings.output, *(own.get("output") for own in project.table.get("functions", {}).values())]
    return [project.root / output for output in outputs if output]


def check_older(ingredients: Ingredients, product: Product) -> Iterator[Finding]:
    """Find what older builds of the same package left beside it in another shape: it would be deployed by mistake."""
    project = ingredients.project
    made = {product.main.path, *(artifact.path for artifact in product.others)}
    made |= set(_outputs(project.home or project))  # another function may be called after this one
    named = project.settings.output is not None
    beside = (*archive.packages_of(ingredients.output), wheel_path(ingredients))
    with suppress(OSError):  # who may not look there has nothing to remove, either
        older = [
            path.name
            for path in beside
            if path not in made and not path.name.startswith(".") and path.exists() and is_ours(path, named=named)
        ]
        if older:
            yield Finding(
                code="HL046",
                severity=Severity.WARNING,
                message=f"{', '.join(older)}: an older build made this in another shape, and it was left beside the"
                " package",
                hint="remove it with `hatch-lambda clean`, and build again",
            )
