"""Put files and folders in their places, each by one rename."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hatch_lambda.core.codec import from_json
from hatch_lambda.core.files import (
    NotRegularError,
    beside,
    internal_error,
    is_folder,
    is_zip,
    open_regular,
    remove_tree,
    replace_file,
)
from hatch_lambda.core.log import logger
from hatch_lambda.core.signals import Shield
from hatch_lambda.errors import ArchiveError, HatchLambdaError, remedy
from hatch_lambda.inspect.package import Artifact
from hatch_lambda.stages.archive.read import is_own_wheel, is_own_zip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_log = logger(__name__)

_SHOWN = 3
_BY_PYTHON = re.compile(r"(^|/)__pycache__/[^/]+\.(pyc(\.[0-9]+)?|nb[ci])$")
"""What Python, and numba, adds to a folder when it runs what is there."""
_LONGEST_LISTING = 1 << 26
_LONGEST_INPUT = 1 << 20
_PUBLISHING = {"LayerName", "CompatibleRuntimes", "CompatibleArchitectures"}
_PERMITTING = {"LayerName", "StatementId", "Action", "Principal"}
"""Keys of what the shape `layer` writes: to publish a layer, and to let an account use it."""


def write_text(kind: str, path: Path, text: str) -> Artifact:
    """Write *text* to *path*, which holds the old content or the new at any time, and describe it."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error
    sha256 = hashlib.sha256(content).hexdigest()
    return Artifact(kind=kind, path=path, size=len(content), unzipped=len(content), sha256=sha256)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder that takes the place of *folder* when all went well, and vanishes otherwise.

    What a build put there is listed in a file beside the folder. Where the folder holds anything else it is left
    as it is, and ArchiveError raised: it may be somebody's work. Between the two renames that a folder needs,
    there is none for a moment.
    """
    old = _require_ours(folder)
    new, gone, listing = beside(folder, "tmp"), beside(folder, "old.tmp"), listing_of(folder)
    try:
        new.mkdir(parents=True)
        yield new
        names = sorted(_files(new))
        _require_ours(folder)  # a build takes a while, and somebody may have worked there
        write_text("listing", listing, _lines({*old, *names}))
        with Shield():
            _swap(folder, new, gone)
        write_text("listing", listing, _lines(names))
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        with Shield():
            remove_tree(new)
            if folder.exists():
                remove_tree(gone)


def _swap(folder: Path, new: Path, gone: Path) -> None:
    """Let *new* take the place of *folder*, which becomes *gone*; where that fails the old one stays."""
    if folder.exists():
        folder.rename(gone)
    try:
        new.rename(folder)
    except OSError:
        with suppress(OSError):
            gone.rename(folder)
        raise


def listing_of(folder: Path) -> Path:
    """Return the file beside *folder* that lists what a build put there."""
    return folder.with_name(f".{folder.name}.hatch-lambda")


def is_ours(path: Path, *, named: bool) -> bool:
    """Tell whether *path*, which has the name of a package, is what a build made, or began to make.

    A folder is, if it holds nothing but what a build put there, and what Python adds when it runs that. A name that
    the user gave (*named*) may be anything's, so the content has to tell; one with version and target is enough for
    a zip.
    """
    if is_folder(path):
        return path.name.endswith(".tmp") or (listing_of(path).is_file() and not _strangers(path))
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
    if is_folder(path):
        remove_tree(path)
        listing_of(path).unlink(missing_ok=True)
    else:
        path.unlink()
    _log.debug("%s was removed", path)


def _require_ours(folder: Path) -> list[str]:
    """Return what a build put into *folder* before; raise ArchiveError if there is anything else."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ArchiveError(f"{folder}: this is no folder; it was left as it is", hint="name another with `output`")
    strangers = _strangers(folder)
    if strangers:
        more = f" and {len(strangers) - _SHOWN} more" if len(strangers) > _SHOWN else ""
        raise ArchiveError(
            f"{folder}: no build put {', '.join(strangers[:_SHOWN])}{more} there; the folder was left as it is",
            hint="remove it, or name another with `output`",
        )
    return _listed(folder)


def _strangers(folder: Path) -> list[str]:
    listed = set(_listed(folder))
    return [name for name in sorted(_files(folder)) if name not in listed and not _BY_PYTHON.search(name)]


def _listed(folder: Path) -> list[str]:
    try:
        with open_regular(listing_of(folder)) as stream:
            return stream.read(_LONGEST_LISTING).decode("utf-8", "surrogateescape").split("\0")
    except (FileNotFoundError, NotRegularError):
        return []


def _is_layer_input(path: Path) -> bool:
    """Tell whether the file at *path* is what the shape `layer` writes for ``aws lambda``."""
    try:
        with open_regular(path) as stream:
            document = from_json(stream.read(_LONGEST_INPUT), dict[str, Any])
    except (OSError, msgspec.MsgspecError, RecursionError):
        return False
    return document.keys() >= _PUBLISHING or document.keys() >= _PERMITTING


def _lines(names: Iterable[str]) -> str:
    return "\0".join(sorted(names))


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all that is no folder; a link to one is none."""
    for directory, folders, names in os.walk(folder):
        for name in (*names, *(inner for inner in folders if not is_folder(Path(directory, inner)))):
            yield Path(directory, name).relative_to(folder).as_posix()


def _unwritable(path: Path, error: OSError) -> HatchLambdaError:
    return internal_error(error) or ArchiveError(
        f"{path}: the package could not be written: {error.strerror or error}",
        hint=f"{remedy(error)}; an older package was left as it is",
    )
