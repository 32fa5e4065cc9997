"""Tell which files and folders are packages that a build made, and remove them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from hatch_lambda.core.codec import from_json
from hatch_lambda.core.files import is_folder, is_zip, open_regular, remove_tree
from hatch_lambda.core.log import logger
from hatch_lambda.core.staging import is_our_folder, listing_of
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive.read import is_own_wheel, is_own_zip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_log = logger(__name__)

_LONGEST_INPUT = 1 << 20
_PUBLISHING = {"LayerName", "CompatibleRuntimes", "CompatibleArchitectures"}
_PERMITTING = {"LayerName", "StatementId", "Action", "Principal"}
"""Keys of what the shape `layer` writes: to publish a layer, and to let an account use it."""


def is_ours(path: Path, *, named: bool) -> bool:
    """Tell whether *path*, which has the name of a package, is what a build made, or began to make.

    A folder is, if it holds nothing but what a build put there, and what Python adds when it runs that. A name that
    the user gave (*named*) may be anything's, so the content has to tell; one with version and target is enough for
    a zip.
    """
    if is_folder(path):
        return path.name.endswith(".tmp") or is_our_folder(path)
    if path.is_symlink() or not path.is_file():
        return False
    if path.suffix == ".zip":
        return is_zip(path) and (not named or path.stat().st_size == 0 or is_own_zip(path))
    if path.suffix == ".whl":
        return is_own_wheel(path)
    return path.suffix == ".tmp" or (path.suffix == ".json" and _is_layer_input(path))


def require_ours(paths: Iterable[Path], *, named: bool) -> None:
    """Raise ArchiveError where one of *paths*, at which a build is about to write, is there and none of a build's."""
    for path in paths:
        if os.path.lexists(path) and not is_ours(path, named=named):
            raise ArchiveError(
                f"{path}: no build made this; it was left as it is", hint="remove it, or name another with `output`"
            )


def remove(path: Path) -> None:
    """Remove a file that a build made, or a folder with its listing."""
    _log.debug("%s was removed", path)
    if is_folder(path):
        remove_tree(path)
        listing_of(path).unlink(missing_ok=True)
    else:
        path.unlink()


def _is_layer_input(path: Path) -> bool:
    """Tell whether the file at *path* is what the shape `layer` writes for ``aws lambda``."""
    try:
        with open_regular(path) as stream:
            document = from_json(stream.read(_LONGEST_INPUT), dict[str, Any])
    except (OSError, msgspec.MsgspecError, RecursionError):
        return False
    return document.keys() >= _PUBLISHING or document.keys() >= _PERMITTING
