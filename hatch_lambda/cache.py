"""Where a build keeps what it writes before the zip is finished."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def workspace(cache_dir: Path | None) -> Iterator[Path]:
    """Give a build a folder of its own that is removed afterwards, whatever happens.

    It lies below *cache_dir*, which is usually on uv's file system, so that uv can link instead of copying;
    where that cannot be written it is a temporary folder of the system.
    """
    parent: Path | None = None
    if cache_dir is not None:
        try:
            parent = cache_dir / "work"
            parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            parent = None
    with _temporary_directory(parent) as folder:
        yield folder


@contextmanager
def _temporary_directory(parent: Path | None) -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(dir=parent, prefix="build-", ignore_cleanup_errors=True)
    except OSError:
        folder = tempfile.TemporaryDirectory(prefix="hatch-lambda-", ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name).resolve()
