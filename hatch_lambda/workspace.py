"""Folders: those in which builds work while they run, and the mark on all that is ours alone."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda import signals

if TYPE_CHECKING:
    from collections.abc import Iterator

ABANDONED = 24 * 3600
"""Seconds after which nobody can be using what a killed build left."""

_ROOM = 1 << 30
"""Bytes that a build may need: more than that is no reason to look for another place."""

_WAITING = 16
_MARKS = {
    ".gitignore": "*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n",
}
"""For git and for us, who would else find code of the project in there, and for backups (bford.info/cachedir)."""
_in_use: set[Path] = set()


@contextmanager
def workspace(cache_dir: Path | None) -> Iterator[Path]:
    """Give a build a folder of its own that is removed afterwards, whatever happens.

    It lies below *cache_dir*, which is usually on uv's file system, so that uv can link instead of copying; where
    that cannot be written, or is about to be full, it is a temporary folder of the system.
    """
    with signals.Shield():
        folder = _new_folder(cache_dir)
        _in_use.add(folder)
    try:
        yield folder
    except OSError as error:
        # Writing to a file that is open tells no name; all else that is written to has an error of its own.
        if error.filename is None:
            error.filename = str(folder)
        raise
    finally:
        remove_tree(folder)
        _in_use.discard(folder)


def make_folder(folder: Path) -> None:
    """Make *folder*, which holds nothing but ours, and mark it so; leave it alone where it is already."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _MARKS.items():
        with suppress(OSError):
            (folder / name).write_text(text, encoding="ascii")


def remove_abandoned(cache_dir: Path) -> None:
    """Remove the workspaces of builds that were killed, as far as that is possible."""
    oldest = time.time() - ABANDONED
    with suppress(OSError):
        for folder in (cache_dir / "work").iterdir():
            with suppress(OSError):
                if folder.name not in _MARKS and folder.stat().st_mtime < oldest:
                    remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove *folder* and all that is in it, as far as that is possible.

    Removing a directory is mostly waiting, a millisecond for each, so many are removed at a time, deepest first.
    """
    by_depth: dict[int, list[str]] = {}
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118 - thousands of them
        by_depth.setdefault(directory.count(os.sep), []).append(directory)
    with ThreadPoolExecutor(max_workers=_WAITING) as pool:
        for depth in sorted(by_depth, reverse=True):
            list(pool.map(_remove_directory, by_depth[depth]))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_all() -> None:
    """Remove the folders that a signal has let stay, whoever made them read-only; no thread can be had any more."""
    for folder in tuple(_in_use):
        for directory, _, _ in os.walk(folder):
            with suppress(OSError):
                os.chmod(directory, stat.S_IRWXU)  # noqa: PTH101 - os.walk gives strings
        shutil.rmtree(folder, ignore_errors=True)


signals.at_exit(_remove_all)


def _remove_directory(directory: str) -> None:
    with suppress(OSError):
        os.rmdir(directory)  # noqa: PTH106 - os.walk gives strings


def _new_folder(cache_dir: Path | None) -> Path:
    if cache_dir is not None:
        with suppress(OSError):
            parent = cache_dir / "work"
            make_folder(parent)
            if _has_room(parent):
                return Path(tempfile.mkdtemp(dir=parent, prefix="build-")).resolve()
    return Path(tempfile.mkdtemp(prefix="hatch-lambda-")).resolve()


def _has_room(folder: Path) -> bool:
    free = shutil.disk_usage(folder).free
    if free >= _ROOM:
        return True
    try:
        return free >= shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # there is no folder for temporary files
        return True
