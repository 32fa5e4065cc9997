"""Put files and folders in their places, each by one rename."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda import signals
from hatch_lambda.archive import is_zip
from hatch_lambda.errors import ArchiveError, remedy
from hatch_lambda.report import Artifact
from hatch_lambda.workspace import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHOWN = 3


def write_text(kind: str, path: Path, text: str) -> Artifact:
    """Write *text* to *path*, which holds the old content or the new at any time, and describe it."""
    content = text.encode("utf-8", "surrogateescape")
    temporary = _beside(path, "tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
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
    new, gone, listing = _beside(folder, "tmp"), _beside(folder, "old.tmp"), listing_of(folder)
    try:
        new.mkdir(parents=True)
        yield new
        names = sorted(_files(new))
        write_text("listing", listing, _lines({*old, *names}))
        with signals.Shield():
            _swap(folder, new, gone)
        write_text("listing", listing, _lines(names))
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        with signals.Shield():
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


def is_ours(path: Path) -> bool:
    """Tell whether *path*, which has the name of a package, is what a build made, or began to make.

    A folder is, if it holds nothing but what a build put there, and what Python adds when it runs that.
    """
    if path.is_dir() and not path.is_symlink():
        return path.name.endswith(".tmp") or (listing_of(path).is_file() and not _strangers(path))
    return path.suffix in {".json", ".whl", ".tmp"} or (path.suffix == ".zip" and is_zip(path))


def remove(path: Path) -> None:
    """Remove a file that a build made, or a folder with its listing."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
        listing_of(path).unlink(missing_ok=True)
    else:
        path.unlink()


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
    return [name for name in sorted(_files(folder)) if name not in listed and "__pycache__" not in name.split("/")]


def _listed(folder: Path) -> list[str]:
    try:
        return listing_of(folder).read_text(encoding="utf-8", errors="surrogateescape").split("\0")
    except FileNotFoundError:
        return []


def _lines(names: Iterable[str]) -> str:
    return "\0".join(sorted(names))


def _files(folder: Path) -> Iterator[str]:
    for directory, _, names in os.walk(folder):
        for name in names:
            yield Path(directory, name).relative_to(folder).as_posix()


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}")


def _unwritable(path: Path, error: OSError) -> ArchiveError:
    return ArchiveError(
        f"{path}: the package could not be written: {error.strerror or error}",
        hint=f"{remedy(error)}; an older package was left as it is",
    )
