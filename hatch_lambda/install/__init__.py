"""The install stage: the locked distributions and the project, as one Tree."""

from __future__ import annotations

from dataclasses import replace

from hatch_lambda.errors import InstallError
from hatch_lambda.install.directory import site_folders, write_back
from hatch_lambda.install.distributions import read_tree, take_distributions
from hatch_lambda.install.project import ProjectPart, ProjectPolicy, take_project
from hatch_lambda.install.records import renew
from hatch_lambda.install.source import included
from hatch_lambda.model import Tree

__all__ = [
    "ProjectPart",
    "ProjectPolicy",
    "included",
    "merge",
    "read_tree",
    "refuse_conflicts",
    "renew",
    "site_folders",
    "take_distributions",
    "take_project",
    "write_back",
]

_SHOWN = 5


def merge(dependencies: Tree, project: Tree) -> Tree:
    """Put the project beside its dependencies; where both have a path with other content, remember it."""
    files = {file.path: file for file in dependencies}
    for file in project:
        other = files.get(file.path)
        if other is not None and other.source.read_bytes() != file.source.read_bytes():
            files[file.path] = replace(file, rivals=(other.distribution or "a dependency", *other.rivals))
        elif other is None:
            files[file.path] = file
    return Tree.of(files.values())


def refuse_conflicts(tree: Tree) -> None:
    """Raise InstallError if two distributions claim a file that is left, each with other content.

    Which of them would win depends on the order of installation, so no choice would be right.
    """
    conflicts = [file for file in tree if file.rivals]
    if not conflicts:
        return
    lines = [
        f"{file.path} differs in {', '.join((file.distribution or 'the project', *file.rivals))}"
        for file in conflicts[:_SHOWN]
    ]
    if len(conflicts) > _SHOWN:
        lines.append(f"and {len(conflicts) - _SHOWN} more")
    raise InstallError(
        "\n".join(lines),
        hint="depend on one of them only, or remove the files with tool.lambda-slim.patterns",
    )
