"""A project without a build system: its modules and import packages, taken from its folder."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hatch_lambda.core.codec import SETTINGS_LIMIT, DocumentError, read_regular
from hatch_lambda.core.files import is_executable, package_path, walk
from hatch_lambda.core.gitignore import compile_patterns, is_pattern
from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pathspec import GitIgnoreSpec


_DEVELOPMENT_FOLDERS = frozenset({"tests", "test", "__pycache__", "__pypackages__", "node_modules"})
_UNLESS_PACKAGES = frozenset({"build", "dist", "docs"})
"""Folders in the root that hold no product, unless they are import packages."""
_MARKS_OF_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta/history")
_FOR_DEVELOPMENT = ("conftest.py", "test_*.py", "*.lock", "*.pyc")
_FOR_DEVELOPMENT_IN_ROOT = ("setup.py", "noxfile.py", "*_test.py", "pylock.toml", "pylock.*.toml", "pyproject.toml")


def read_source(root: Path, handler: str | None) -> Tree:
    """Take the root modules and the import packages in *root*, with their data files.

    Left out: what git would ignore by the ``.gitignore`` files of the project and its repository, dot files,
    tests, virtual environments, lock files and ``pyproject.toml``. A ``src`` folder that is no package itself
    counts as the root, unless *handler* names a module in it by ``src.``. Raises ConfigurationError where both
    have a file of one name.
    """
    chosen = _Selection(root)
    files = dict(sorted(walk(root, chosen.enters, chosen.has)))
    packages = {top for path in files if path.endswith(".py") and (top := path.rpartition("/")[0].split("/")[0])}
    flat_src = "src" in packages and "src/__init__.py" not in files and not (handler or "").startswith(("src.", "src/"))
    tree: dict[str, Path] = {}
    for path, source in files.items():
        top, _, rest = path.partition("/")
        if flat_src and top == "src":
            name = rest
        elif (rest and top in packages and top.isidentifier()) or (not rest and path.endswith(".py")):
            name = path
        else:
            continue
        if name in tree:
            raise ConfigurationError(f"{root}: {name} is both in this folder and in src", hint="rename one of them")
        tree[name] = source
    return Tree.of(_file(path, source) for path, source in tree.items())


def read_folder(folder: Path) -> Tree:
    """Take all that *folder* holds, but for what git would ignore, dot files, tests and lock files."""
    chosen = _Selection(folder)
    paths = walk(folder, chosen.enters, chosen.has)
    return Tree.of(_file(path, source) for path, source in paths if path != "requirements.txt")


def select(root: Path, tree: Tree, *, include: tuple[str, ...], exclude: tuple[str, ...]) -> Tree:
    """Return *tree* with the files of *root* that *include* names, and without those that *exclude* does.

    An included file has the same path in the package as in the project.
    """
    files = {file.path: file for file in tree}
    if include:
        for path in included(root, include):
            files.setdefault(path, _file(path, root / path))
    if exclude:
        spec = compile_patterns(exclude, "exclude")
        files = {path: file for path, file in files.items() if not _is_excluded(root, file, spec)}
    return Tree.of(files.values())


def _is_excluded(root: Path, file: File, spec: GitIgnoreSpec) -> bool:
    """Match a file by its path in the package and, in a ``src`` layout, by its path in the project too."""
    names = {file.path}
    if root in file.source.parents:
        names.add(file.source.relative_to(root).as_posix())
    results = [spec.check_file(name) for name in names]
    return bool(max(results, key=lambda result: -1 if result.index is None else result.index).include)


def included(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """Return the paths of the files in *root* that the ``include`` patterns name, sorted.

    Raises ConfigurationError for a pattern that names none: a typing mistake would otherwise ship silently.
    """
    spec = compile_patterns(patterns, "include")
    chosen = _Selection(root)
    paths = sorted(path for path, _ in walk(root, lambda path: not chosen.is_environment(path), spec.match_file))
    unmatched = [
        text
        for text in patterns
        if text.strip()
        and not text.startswith(("!", "#"))
        and not any(map(compile_patterns([text], "include").match_file, paths))
    ]
    if unmatched:
        raise ConfigurationError(
            f"tool.lambda-slim.include: no file of the project matches {', '.join(map(repr, unmatched))}",
            hint=f"patterns are relative to {root}; an input outside the project cannot be included",
        )
    return paths


class _Selection:
    """Decide which files of a folder are the project's product, not its tooling."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._above: tuple[tuple[GitIgnoreSpec, str], ...] = tuple(_gitignores_above(root))
        if _verdict((spec, way) for spec, way in self._above):
            self._above = ()  # a project that its repository ignores as a whole
        self._inside: dict[str, GitIgnoreSpec | None] = {}

    def enters(self, path: str) -> bool:
        """Tell whether the folder at *path* may hold files of the project."""
        name = path.rpartition("/")[2]
        tooling = (
            name.startswith(".")
            or name in _DEVELOPMENT_FOLDERS
            or name.endswith((".egg-info", ".dist-info"))
            or _is_for_development(path)
            or (path in _UNLESS_PACKAGES and not (self._root / path / "__init__.py").exists())
            or self.is_environment(path)
        )
        return not (tooling or self._is_ignored(f"{path}/"))

    def has(self, path: str) -> bool:
        """Tell whether the file at *path*, in a folder that was entered, belongs to the project."""
        name = path.rpartition("/")[2]
        return not (name.startswith(".") or _is_for_development(path) or self._is_ignored(path))

    def is_environment(self, path: str) -> bool:
        """Tell whether the folder at *path* is an environment, what an installer filled, or a repository's own."""
        folder = self._root / path
        marked = folder.name == ".git" or any((folder / mark).is_file() for mark in _MARKS_OF_ENVIRONMENTS)
        return marked or any(folder.glob("*.dist-info"))

    def _is_ignored(self, path: str) -> bool:
        return _verdict(self._gitignores(path))

    def _gitignores(self, path: str) -> Iterator[tuple[GitIgnoreSpec, str]]:
        """Yield each ``.gitignore`` that speaks about *path*, outermost first, with the path as it sees it."""
        for spec, way in self._above:
            yield spec, way + path
        parts = path.rstrip("/").split("/")
        for depth in range(len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in self._inside:
                self._inside[folder] = _gitignore(self._root / folder)
            own = self._inside[folder]
            if own is not None:
                yield own, path[len(folder) + 1 :] if folder else path


def _is_for_development(path: str) -> bool:
    name = path.rpartition("/")[2]
    patterns = _FOR_DEVELOPMENT if name != path else (*_FOR_DEVELOPMENT, *_FOR_DEVELOPMENT_IN_ROOT)
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _verdict(speakers: Iterable[tuple[GitIgnoreSpec, str]]) -> bool:
    """Let each ``.gitignore`` speak about the path as it sees it; the last that has an opinion is right."""
    verdict = False
    for spec, path in speakers:
        result = spec.check_file(path)
        if result.include is not None:
            verdict = result.include
    return verdict


def _gitignores_above(root: Path) -> Iterator[tuple[GitIgnoreSpec, str]]:
    """Yield the ``.gitignore`` files of the repository's folders above *root*, with the way from each."""
    if (root / ".git").exists():
        return
    above: list[tuple[GitIgnoreSpec, str]] = []
    for folder in root.parents:
        if (spec := _gitignore(folder)) is not None:
            above.append((spec, f"{root.relative_to(folder).as_posix()}/"))
        if (folder / ".git").exists():
            yield from reversed(above)
            return


def _gitignore(folder: Path) -> GitIgnoreSpec | None:
    """Read a ``.gitignore`` as git does: what cannot be read or is no pattern ignores nothing."""
    try:
        content = read_regular(folder / ".gitignore", SETTINGS_LIMIT)
    except (OSError, DocumentError):
        return None
    text = content.decode("utf-8-sig", errors="surrogateescape")
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(filter(is_pattern, text.split("\n")), backend="simple")


def _file(path: str, source: Path) -> File:
    status = source.stat()
    return File(
        path=package_path(path, "the project"),
        source=source,
        size=status.st_size,
        executable=is_executable(source, status.st_mode),
        project=True,
    )
