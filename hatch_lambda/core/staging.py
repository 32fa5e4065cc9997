"""Write outputs beside their places, and put all of them there at the end, or none: the only way that anything does."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.core.files import NotRegularError, is_folder, open_regular, remove_tree
from hatch_lambda.core.signals import Shield
from hatch_lambda.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self


_SHOWN = 3
_BY_PYTHON = re.compile(r"(^|/)__pycache__/[^/]+\.(pyc(\.[0-9]+)?|nb[ci])$")
"""What Python, and numba, adds to a folder when it runs what is there."""
_LONGEST_LISTING = 1 << 26


class Staging:
    """Outputs that are being written: nothing is in its place before the commit, and without it everything vanishes.

    Every output is there as the old one or as the new one at any time; only between the two renames that a folder
    needs there is none for a moment.
    """

    def __init__(self) -> None:
        self._new: dict[Path, Path] = {}
        """Where each output is written, by its place, in the order of the commit."""
        self._made: list[Path] = []
        """Folders that were made for outputs, the outermost first: they go again if nothing comes into them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with Shield():
            for path in self._new.values():
                _remove(path)
            for folder in reversed(self._made):
                with suppress(OSError):
                    folder.rmdir()

    def file(self, place: Path) -> Path:
        """Return the path to write a file to that will be at *place*. Raises OSError where there can be none."""
        self.make_room(place)
        return self._beside(place)

    def make_room(self, place: Path) -> None:
        """Make the folder that *place* is in. Raises OSError."""
        missing = [folder for folder in place.parents if not folder.exists()]
        self._made += reversed(missing)
        place.parent.mkdir(parents=True, exist_ok=True)

    def text(self, place: Path, content: bytes) -> None:
        """Write the file that will be at *place*. Raises OSError."""
        self.file(place).write_bytes(content)

    def folder(self, place: Path) -> Path:
        """Return a new folder that will be at *place*, in the stead of one that a build made.

        What a build put there is listed in a file beside the folder. Where the folder holds anything else it is left
        as it is, and ArchiveError raised: it may be somebody's work. Raises OSError, too.
        """
        _require_ours(place)
        self.make_room(place)
        new = self._beside(place)
        new.mkdir()
        return new

    def at(self, place: Path) -> Path:
        """Return where the output for *place* is now: an output that is there already is not written again."""
        return self._new.get(place, place)

    def commit(self) -> None:
        """Put every output in its place, folders first; a signal waits until all are there.

        Raises OSError and ArchiveError, and then every file is as it was.
        """
        folders = {place: new for place, new in self._new.items() if is_folder(new)}
        files = {place: new for place, new in self._new.items() if place not in folders}
        with Shield():
            for place, new in folders.items():
                _put_folder(new, place)
            _put_files(files)

    def _beside(self, place: Path) -> Path:
        self._new[place] = _beside(place, "tmp")
        return self._new[place]


def listing_of(folder: Path) -> Path:
    """Return the file beside *folder* that lists what a build put there."""
    return folder.with_name(f".{folder.name}.hatch-lambda")


def is_our_folder(folder: Path) -> bool:
    """Tell whether *folder* holds nothing but what a build put there, and what Python adds when it runs that."""
    return listing_of(folder).is_file() and not _strangers(folder)


def _put_files(files: Mapping[Path, Path]) -> None:
    """Put files in their places; where that fails in the middle, put back what was there."""
    if len(files) == 1:
        ((place, new),) = files.items()
        new.replace(place)
        return
    before: dict[Path, Path | None] = {}
    try:
        for place, new in files.items():
            before[place] = _second_name(place)
            new.replace(place)
    except OSError:
        for place, old in before.items():
            with suppress(OSError):
                if old is not None:
                    old.replace(place)
                else:
                    place.unlink()
        raise
    finally:
        for old in filter(None, before.values()):
            old.unlink(missing_ok=True)


def _second_name(place: Path) -> Path | None:
    """Give the file at *place*, if there is one, another name beside it, by which it can be put back."""
    if not os.path.lexists(place):
        return None
    other = _beside(place, "old.tmp")
    try:
        other.hardlink_to(place)
    except OSError:  # a file system without links
        shutil.copy2(place, other, follow_symlinks=False)
    return other


def _put_folder(new: Path, place: Path) -> None:
    names = sorted(_files(new))
    old = _require_ours(place)  # a build takes a while, and somebody may have worked there
    _list(place, {*old, *names})
    gone = _beside(place, "old.tmp")
    try:
        with Shield():
            _swap(place, new, gone)
        _list(place, names)
    finally:
        with Shield():
            if place.exists():
                remove_tree(gone)


def _swap(folder: Path, new: Path, gone: Path) -> None:
    """Let *new* take the place of *folder*, which becomes *gone*; where that fails the old one stays."""
    try:
        if folder.exists():
            folder.rename(gone)
        new.rename(folder)
    except BaseException:  # in another's program a signal may come between the two
        if not folder.exists():
            with suppress(OSError):
                gone.rename(folder)
        raise


def _list(folder: Path, names: Iterable[str]) -> None:
    with Staging() as new:
        new.text(listing_of(folder), "\0".join(sorted(names)).encode("utf-8", "surrogateescape"))
        new.commit()


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


def _unseen(error: OSError) -> None:
    """Pass over a folder that is not there; what is in one that nobody may list can be a stranger's."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all that is no folder; a link to one is none."""
    for directory, folders, names in os.walk(folder, onerror=_unseen):
        for name in (*names, *(inner for inner in folders if not is_folder(Path(directory, inner)))):
            yield Path(directory, name).relative_to(folder).as_posix()


def _beside(path: Path, ending: str) -> Path:
    """Return a name beside *path* that nobody else has."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.{ending}")


def _remove(path: Path) -> None:
    if is_folder(path):
        remove_tree(path)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
