"""The dependencies and the project, beside one another."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.errors import InstallError
from hatch_lambda.model import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hatch_lambda.model import File

_SHOWN = 5


def set_apart(project: Tree, dependencies: Tree, digests: Mapping[str, str]) -> Tree:
    """Return the files of *project* that are not among *dependencies* already, which have these SHA-256 *digests*.

    Raises InstallError where both have a file of one name with different content.
    """
    owners = {file.path: file.distribution or "a dependency" for file in dependencies}
    names = [file.path for file in dependencies]
    own: list[File] = []
    touched: dict[str, File] = {}
    for file in project:
        if file.path not in owners:
            own.append(file)
            touched |= {names[index]: dependencies.files[index] for index in _clashing(file, names)}
        elif hashlib.sha256(file.source.read_bytes()).hexdigest() != digests[file.path]:
            own.append(replace(file, rivals=(owners[file.path],)))
    refuse_conflicts(Tree.of([*own, *touched.values()]))
    return Tree.of(own)


def _clashing(file: File, names: Sequence[str]) -> Iterator[int]:
    """Yield the positions in the sorted *names* of a file where *file* needs a folder, or the other way round."""
    for depth in range(1, len(file.parts)):
        folder = "/".join(file.parts[:depth])
        index = bisect_left(names, folder)
        if names[index : index + 1] == [folder]:
            yield index
    index = bisect_left(names, f"{file.path}/")
    if index < len(names) and names[index].startswith(f"{file.path}/"):
        yield index


def refuse_conflicts(tree: Tree) -> None:
    """Raise InstallError if two distributions claim a file that is left, each with other content.

    Which of them would win depends on the order of installation, so no choice would be right.
    """
    folders = {"/".join(file.parts[:depth]) for file in tree for depth in range(1, len(file.parts))}
    conflicts = [
        f"{file.path} differs in {', '.join((file.distribution or 'the project', *file.rivals))}"
        if file.rivals
        else f"{file.path} is a file and a folder"
        for file in tree
        if file.rivals or file.path in folders
    ]
    if not conflicts:
        return
    if len(conflicts) > _SHOWN:
        conflicts[_SHOWN:] = [f"and {len(conflicts) - _SHOWN} more"]
    raise InstallError(
        "\n".join(conflicts),
        hint="depend on one of them only, or remove the files with tool.lambda-slim.patterns",
    )
