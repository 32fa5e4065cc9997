"""The project itself: from its wheel where it is a package, from its folder where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.core.model import Tree
    from hatch_lambda.core.uv import Uv


class ProjectPolicy(Struct, frozen=True, kw_only=True):
    """How the project is taken, and what of it."""

    wheel: Path | None
    """Its wheel, where that was built already."""
    is_package: bool
    """Whether it has a build system, so that its wheel says what belongs to it."""
    handler: str | None
    include: tuple[str, ...]
    placed: tuple[tuple[str, str], ...]
    """Files and folders of the project, and where each goes in the package."""
    exclude: tuple[str, ...]
    scripts: bool
    folder: Path | None = None
    """A folder whose content is taken in place of the project's files."""


class ProjectPart(Struct, frozen=True, kw_only=True):
    """The project's own files, and what made them."""

    tree: Tree
    version: str | None
    """As its wheel says; None where there is none."""
    backend: str | None
    """The build backend and its version, as the wheel says."""


def take_project(root: Path, policy: ProjectPolicy, uv: Uv, workspace: Path) -> ProjectPart:
    """Take the files of the project in *root* that belong into the package.

    Raises InstallError when its wheel cannot be built or is damaged.
    """
    if policy.folder is not None:
        from hatch_lambda.stages.install.project_files import read_folder

        tree, version, backend = read_folder(policy.folder), None, None
    elif policy.wheel is None and not policy.is_package:
        from hatch_lambda.stages.install.project_files import read_source

        tree, version, backend = read_source(root, policy.handler), None, None
    else:
        from hatch_lambda.stages.install.wheel import build_wheel, unpack

        wheel = policy.wheel or build_wheel(root, uv, workspace)
        tree = unpack(wheel, workspace, scripts=policy.scripts)
        version, backend = wheel.name.split("-")[1], _generator(tree)
    if policy.include or policy.exclude:
        from hatch_lambda.stages.install.project_files import select

        tree = select(root, tree, include=policy.include, exclude=policy.exclude)
    if policy.placed:
        from hatch_lambda.stages.install.included import place

        tree = place(root, tree, policy.placed)
    return ProjectPart(tree=tree, version=version, backend=backend)


def _generator(tree: Tree) -> str | None:
    for file in tree:
        if file.path.endswith(".dist-info/WHEEL"):
            for line in file.source.read_text(encoding="utf-8").splitlines():
                if line.startswith("Generator: "):
                    return line.removeprefix("Generator: ")
    return None
