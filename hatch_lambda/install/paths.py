"""The guard between names that others chose and the package."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.decoding import strange
from hatch_lambda.errors import InstallError
from hatch_lambda.untrusted import name_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def package_path(name: str, origin: str) -> str:
    """Return *name* as a path in the package, or refuse it.

    *origin* says in a message whose name it is. Raises InstallError for a name that :func:`name_problem` refuses.
    """
    if (problem := name_problem(name)) is not None:
        raise InstallError(
            f"{origin}: the file name {name!r} {problem}",
            hint="rename it, in UTF-8, or leave it out"
            if strange(name)
            else "do not install this distribution; tell its authors",
        )
    return posixpath.normpath(name)


def _all(_: str) -> bool:
    return True


def is_executable(source: Path, mode: int) -> bool:
    """Tell whether a file is to be executable in the package, given its *mode* here.

    Windows has no such bits; there a script with ``#!`` and an ELF program, which has no ``.so`` in its name, count
    as executable. That is what wheels mark, as a rule, but not always.
    """
    if os.name == "posix":
        return bool(mode & 0o111)
    with source.open("rb") as stream:
        head = stream.read(4)
    return head.startswith(b"#!") or (head == b"\x7fELF" and ".so" not in source.name)


def walk(
    folder: Path, enter: Callable[[str], bool] = _all, wants: Callable[[str], bool] = _all
) -> Iterator[tuple[str, Path]]:
    """Yield the files below *folder* with their paths relative to it, in no particular order.

    A symbolic link to a file inside *folder* counts as that file; links to folders are not followed.
    Folders for whose path *enter* is false are passed over, and files for whose path *wants* is. Raises
    InstallError for a link that leaves *folder*, unless it is passed over, and for what cannot be read.
    """
    root = os.path.realpath(folder)
    pending = [("", os.fspath(folder))]
    while pending:
        prefix, directory = pending.pop()
        for entry in _listed(directory):
            path = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if enter(path):
                    pending.append((f"{path}/", entry.path))
            elif entry.is_symlink():
                leads_to = Path(entry.path)
                if wants(path) and (not leads_to.is_dir() or enter(path)):
                    _require_inside(entry.path, root, path)
                    if leads_to.is_file():
                        yield path, leads_to
            elif entry.is_file(follow_symlinks=False) and wants(path):
                yield path, Path(entry.path)


def _listed(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError as error:
        raise InstallError(
            f"{directory}: {error.strerror}",
            hint="make the folder readable, or let .gitignore name it if it is no part of the project",
        ) from error


def _require_inside(link: str, root: str, path: str) -> None:
    target = os.path.realpath(link)
    if target != root and not target.startswith(os.path.join(root, "")):  # noqa: PTH118 - a prefix, not a path
        raise InstallError(
            f"{path}: the symbolic link leads out of {root}",
            hint="replace it by the file itself, or let .gitignore name it",
        )
