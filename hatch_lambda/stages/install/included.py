"""Files of the project that go elsewhere in the package than they are in the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.config.decode import inside
from hatch_lambda.core.files import is_executable, package_path, walk
from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import ConfigurationError, InstallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def place(root: Path, tree: Tree, placed: Iterable[tuple[str, str]]) -> Tree:
    """Return *tree* with the files that *placed* names: each with its path in the package.

    A folder stands for its content, without the bytecode that is in it. Raises ConfigurationError for one that is not
    there or not in the project, and InstallError where two files would have one path.
    """
    files = {file.path: file for file in tree}
    for source, target in placed:
        for path, file in _files(root, source, target):
            known = files.setdefault(path, _file(path, file))
            if known.source != file and known.source.read_bytes() != file.read_bytes():
                raise InstallError(
                    f"{path} is placed twice in the package: by {file} and by {known.source}",
                    hint="choose another `target` in tool.lambda-slim.include, or leave one of them out",
                )
    return Tree.of(files.values())


def placed_files(root: Path, source: str) -> list[str]:
    """Return the paths of the files that *source*, a file or folder in *root*, stands for."""
    return sorted(file.relative_to(root).as_posix() for _, file in _files(root, source, "x/"))


def _files(root: Path, source: str, target: str) -> Iterator[tuple[str, Path]]:
    origin = inside(root, source, "tool.lambda-slim")
    where = f"tool.lambda-slim: {source!r}"
    if origin == root:
        raise ConfigurationError(f"{where} is the project itself", hint=f"name a file or a folder in {root}")
    if origin.is_dir():
        prefix = f"{target.strip('/')}/" if target.strip("./") else ""
        for path, file in walk(origin, lambda path: not path.endswith("__pycache__")):
            if not path.endswith(".pyc"):
                yield package_path(f"{prefix}{path}", where), file
    elif not origin.is_file():
        raise ConfigurationError(f"{where} is neither a file nor a folder", hint="name a file or a folder")
    else:
        yield package_path(f"{target}{origin.name}" if target.endswith("/") else target, where), origin


def _file(path: str, source: Path) -> File:
    status = source.stat()
    return File(
        path=path, source=source, size=status.st_size, executable=is_executable(source, status.st_mode), project=True
    )
