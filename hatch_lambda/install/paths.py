"""The guard between names that others chose and the package."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def package_path(name: str, origin: str) -> str:
    """Return *name* as a path in the package, or refuse it.

    *origin* says in a message whose name it is. Raises InstallError for a name that is absolute, that leaves
    the package, or that Windows and POSIX would read differently.
    """
    normal = posixpath.normpath(name)
    hostile = (
        not name
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or normal.split("/", 1)[0] in {"..", "."}
        or normal[1:2] == ":"
    )
    if hostile:
        raise InstallError(
            f"{origin}: the file name {name!r} would leave the package",
            hint="do not install this distribution; tell its authors",
        )
    return normal


def walk(folder: Path, enter: Callable[[str], bool] = lambda _: True) -> Iterator[tuple[str, Path]]:
    """Yield every file below *folder* with its path relative to it, in no particular order.

    A symbolic link to a file inside *folder* counts as that file; links to folders are not followed.
    Folders for whose path *enter* is false are passed over. Raises InstallError for a link that leaves
    *folder*.
    """
    root = os.path.realpath(folder)
    pending = [("", os.fspath(folder))]
    while pending:
        prefix, directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if entry.is_symlink():
                    _require_inside(entry.path, root, path)
                if entry.is_file():
                    yield path, Path(entry.path)
                elif entry.is_dir(follow_symlinks=False) and enter(path):
                    pending.append((f"{path}/", entry.path))


def _require_inside(link: str, root: str, path: str) -> None:
    target = os.path.realpath(link)
    if target != root and not target.startswith(os.path.join(root, "")):  # noqa: PTH118 - a prefix, not a path
        raise InstallError(
            f"{path}: the symbolic link leads out of {root}",
            hint="replace it by the file itself, or exclude it",
        )
