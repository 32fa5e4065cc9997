"""Where packages go, what they are called, and which files are packages that were made of a project."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import machine_errors
from hatch_lambda.pipeline.ours import is_ours
from hatch_lambda.pipeline.shapes.wheel import wheel_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.target import Target
    from hatch_lambda.pipeline.shapes.shape import Ingredients, Product


_FILES = (".zip", ".json", ".whl")
_TARGET = r"python3\.\d+-(x86_64|arm64)"


def package_name(name: str, version: str | None, target: Target, function: str | None = None) -> str:
    """Return the file name of the package of a project, or of one of its functions: the same by every door."""
    return "-".join(part for part in (name, version, function, str(target)) if part) + ".zip"


def packages_in(directory: Path, name: str) -> Iterator[Path]:
    """Yield the packages of the project *name* in *directory*, in any shape, of any version, function and target.

    What a killed build may have left there counts too; nothing else does.
    """
    stem = rf"{re.escape(name)}(-[0-9][^-]*)?(-[A-Za-z][A-Za-z0-9_-]*)?-{_TARGET}"
    wheel = rf"{re.escape(name)}(_[a-z0-9_]+)?_lambda-[^-]+-cp3\d+-cp3\d+-manylinux_2_\d+_(x86_64|aarch64)\.whl"
    yield from _in(directory, rf"({stem}|{wheel})")


def packages_of(output: Path) -> Iterator[Path]:
    """Yield what is called after *output*, a package with a name of its own, in any shape, and unfinished ones."""
    yield from _in(output.parent, re.escape(output.name.removesuffix(".zip")))


def _in(directory: Path, stem: str) -> Iterator[Path]:
    """Yield the files of the packages called *stem*, a regular expression, and their folders as they are or were."""
    name = rf"{stem}(\.zip|-layer(-\d)?(\.zip|\.json|-permission-\w+\.json)|)"
    unfinished = rf"\.({name}|\.{name}\.hatch-lambda)\.[0-9a-f]{{8}}\.(old\.)?tmp"  # a listing has a dot of its own
    pattern = re.compile(f"{name}|{unfinished}")
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if pattern.fullmatch(path.name) and not (path.is_dir() and path.suffix in _FILES):
                yield path


def output_of(project: Project, version: str | None, directory: Path | None) -> Path:
    """Return the path of the zip of *project*, in *directory* where a door names one and the settings name no file."""
    home = project.home or project
    if project.settings.output.path:
        return home.root / project.settings.output.path
    name = package_name(home.name, version, project.target, project.function)
    return (directory or home.root / "dist") / name


@machine_errors()
def made_here(project: Project, directory: Path) -> list[Path]:
    """Return the packages of *project* that are in *directory* or where ``output`` says, and their leftovers."""
    made = [path for path in packages_in(directory, project.name) if is_ours(path, named=False)]
    for output in _outputs(project):
        made += [path for path in packages_of(output) if is_ours(path, named=True)]
    return list(dict.fromkeys(made))


def _outputs(project: Project) -> list[Path]:
    """Return the paths that the settings name for the zip of *project*, and of each function in its table.

    The settings of a function say nothing of the others.
    """
    outputs = [
        project.settings.output.path,
        *(own.get("output") for own in project.table.get("functions", {}).values()),
    ]
    return [project.root / output for output in outputs if output]


def check_older(ingredients: Ingredients, product: Product) -> Iterator[Finding]:
    """Find what older builds of the same package left beside it in another shape: it would be deployed by mistake."""
    project = ingredients.project
    made = {product.main.path, *(artifact.path for artifact in product.others)}
    made |= set(_outputs(project.home or project))  # another function may be called after this one
    named = project.settings.output.path is not None
    beside = (*packages_of(ingredients.output), wheel_path(ingredients))
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
