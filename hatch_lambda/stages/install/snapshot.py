"""What can be known of the sources that a build of a local folder reads, as a digest."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import decode_text, parse_toml, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


_NO_SOURCES = frozenset({"__pycache__", ".git", ".hg", ".svn"})
_MARKS = ("pyvenv.cfg", "CACHEDIR.TAG")
"""Files that tell an environment, and a cache (bford.info/cachedir)."""
_WRITTEN_ENDINGS = (".egg-info", ".pyc")
"""What setuptools writes beside the sources, and Python."""
_CHUNK = 1 << 20
_LARGEST = 1 << 22

_Content = tuple[str, bool, str]
"""A file's path, whether it may be executed, and the SHA-256 of what is in it."""


def snapshot(folder: Path) -> str:
    """Return a digest of all files in *folder*, whatever they are called, and of those outside that it names.

    Symbolic links count as what they lead to. Left out are repositories, environments, caches, and what every build
    writes anew. Of the files outside those are known that any text in ``pyproject.toml`` is the path of, and where the
    version does not stand there, the commit and the tags that it may be made of. Not known is what ``setup.py``,
    ``setup.cfg`` and the programs that they start read elsewhere: other files, variables, the network.
    """
    pyproject = _pyproject(folder)
    contents = [*_walk(folder, "")]
    for path in sorted(set(_outside(pyproject))):
        for found in _named(folder, path):
            contents += _walk(found, f"{path}:{found.name}")
    if "version" not in _table(pyproject, "project"):
        contents += _repository(folder.resolve())
    return digest(contents)


def _walk(path: Path, name: str) -> Iterator[_Content]:
    """Yield the files at *path* and below, whose names begin with *name*, and none in a circle of links."""
    pending: list[tuple[Path, str, frozenset[str]]] = [(path, name, frozenset())]
    while pending:
        at, shown, above = pending.pop()
        try:
            status = at.stat()
        except OSError:  # a link that leads nowhere
            continue
        if stat.S_ISREG(status.st_mode):
            yield shown, bool(status.st_mode & 0o111), _sha256(at)
        elif stat.S_ISDIR(status.st_mode) and (real := os.path.realpath(at)) not in above:
            inside = above | {real}
            names = _entries(at, is_source=not above)
            pending += ((at / entry, f"{shown}/{entry}", inside) for entry in sorted(names))


def _entries(folder: Path, *, is_source: bool) -> Iterable[str]:
    """Return what counts in *folder*, which is known to be a source itself, or may be an environment or a cache."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - their names are what is wanted
    except OSError:
        return ()
    if not is_source and any(mark in names for mark in _MARKS):
        return ()
    return (name for name in names if name not in _NO_SOURCES and not name.endswith(_WRITTEN_ENDINGS))


def _sha256(path: Path) -> str:
    hashed = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
    except OSError as error:
        return f"unreadable: {error.errno}"
    return hashed.hexdigest()


def _pyproject(folder: Path) -> dict[str, Any]:
    try:
        return parse_toml(decode_text(read_regular(folder / "pyproject.toml", _LARGEST)))
    except (OSError, ValueError):  # the build will tell
        return {}


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key)
    return table if isinstance(table, dict) else {}


def _outside(document: dict[str, Any]) -> Iterator[str]:
    """Yield each key and each text of a parsed document that leads upwards."""
    pending: list[object] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += (*value, *value.values())
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and ".." in value.replace("\\", "/").split("/"):
            yield value


def _named(folder: Path, path: str) -> list[Path]:
    """Return what *path*, which may be a pattern, names below the nearest folder that it need not search."""
    with suppress(OSError, ValueError):
        if (folder / path).exists():
            return [folder / path]
        parts = path.split("/")
        fixed = parts[: parts.index("..") + 1]
        while len(fixed) < len(parts) and not any(sign in parts[len(fixed)] for sign in "*?["):
            fixed.append(parts[len(fixed)])
        return sorted(folder.joinpath(*fixed).glob("/".join(parts[len(fixed) :])))
    return []


def _repository(folder: Path) -> Iterator[_Content]:
    """Yield what names the commit, the branches and the tags of the repository that *folder* is in."""
    for above in (folder, *folder.parents):
        git = above / ".git"
        if git.is_file():  # of a submodule or another worktree
            with suppress(OSError, UnicodeDecodeError):
                git = above / git.read_text(encoding="utf-8").partition(":")[2].strip()
        if git.is_dir():
            common = git
            with suppress(OSError, UnicodeDecodeError):
                common = git / (git / "commondir").read_text(encoding="utf-8").strip()
            for place in (git / "HEAD", common / "packed-refs", common / "refs"):
                yield from _walk(place, place.name)
            return
