"""Files and folders: walk them, name them, write them beside and rename them, remove what is ours."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shutil
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hatch_lambda.core.codec import strange
from hatch_lambda.core.signals import Shield, at_exit
from hatch_lambda.core.untrusted import name_problem, shown
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import ArchiveError, InstallError, InternalError, remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


ABANDONED = 24 * 3600
"""Seconds after which nobody can be using what a killed build left."""

WORK, LOGS, TOOLS = "work", "logs", "tools"
"""Folders of the cache for what is no entry: builds that run, the logs of failed ones, and compilers."""

_ROOM = 1 << 30
"""Bytes that a build may need: more than that is no reason to look for another place."""

_WAITING = 16
_TAG = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"
_MARKS = {
    _TAG: f"{_SIGNATURE}\n# This folder was made by hatch-lambda, which removes what it put here.\n",
    ".gitignore": "*\n",
}
"""For us and for backups (bford.info/cachedir), and for git, which would else find code of the project in there."""
_EARLIER_MARKS = {_TAG: f"{_SIGNATURE}\n", ".gitignore": "*\n"}
"""What earlier versions wrote, into the folders below the root alone."""
_LONGEST_MARK = 1 << 10

_STORE = re.compile(r"v[0-9]+")
_INSIDE = {
    WORK: re.compile(r"build-[a-z0-9_]{8}"),
    LOGS: re.compile(r"[a-z0-9._-]+-python3\.[0-9]+-(x86_64|arm64)\.log"),
    TOOLS: re.compile(r"ziglang-[0-9.]+|zig-cache"),
}
"""The names that we give to what is in a folder."""
_NOBODYS = frozenset({*_MARKS, ".gitkeep", ".keep", ".DS_Store", "Thumbs.db", "desktop.ini", "lost+found", ".snapshot"})
"""What systems and CI leave in a folder that is empty to anybody else."""

_READING = os.O_RDONLY
for _flag in ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
    _READING |= getattr(os, _flag, 0)

_OUR_FAULT = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST})
"""What nobody but this program can cause in a folder that nobody else has."""

_in_use: set[Path] = set()


class NotRegularError(OSError):
    """Tell that something is in the place of a file that is none: a link, a pipe, a device."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "this is no regular file", os.fspath(path))


@contextmanager
def workspace(cache_dir: Path | None) -> Iterator[Path]:
    """Give a build a folder of its own that is removed afterwards, whatever happens.

    It lies below *cache_dir*, which is usually on uv's file system, so that uv can link instead of copying; where
    that cannot be written, or is about to be full, it is a temporary folder of the system.
    """
    with Shield():
        folder = _new_folder(cache_dir)
        _in_use.add(folder)
    try:
        yield folder
    except OSError as error:
        if (fault := internal_error(error)) is not None:
            raise fault from error
        # Writing to a file that is open tells no name; all else that is written to has an error of its own.
        if error.filename is None:
            error.filename = str(folder)
        raise
    finally:
        remove_tree(folder)
        _in_use.discard(folder)


def internal_error(error: OSError) -> InternalError | None:
    """Return what to raise instead of *error* where it is a fault of ours: something is missing in a work folder.

    None where it may be the machine's, or is about a file that others may have moved.
    """
    name = error.filename
    if error.errno not in _OUR_FAULT or not isinstance(name, (str, os.PathLike)):
        return None
    path = Path(name)
    if not any(path.is_relative_to(folder) for folder in tuple(_in_use)):
        return None
    return InternalError(f"{path}: {error.strerror}", version=__version__)


def is_folder(path: Path) -> bool:
    """Tell whether *path* is a folder itself, and no link to one."""
    try:
        return _is_real_folder(os.lstat(path))
    except OSError:
        return False


def is_marked(folder: Path) -> bool:
    """Tell whether *folder* is ours: no link, and with the mark of this version or of an earlier one."""
    if not is_folder(folder):
        return False
    if _mark(folder, _TAG) == _MARKS[_TAG]:
        return True
    below_the_root = folder.name in _INSIDE or _STORE.fullmatch(folder.name)
    return bool(below_the_root) and all(_mark(folder, name) == text for name, text in _EARLIER_MARKS.items())


def make_folder(folder: Path) -> None:
    """Make *folder*, which holds nothing but ours, and mark it so; leave it alone where it holds anything already."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _NOBODYS.issuperset(os.listdir(folder)):  # noqa: PTH208 - names are enough
        return
    if _mark(folder, _TAG) == "":  # what a full disk left of ours says nothing
        with suppress(OSError):
            (folder / _TAG).unlink()
    for name, text in _MARKS.items():
        with suppress(OSError), (folder / name).open("xb") as mark:
            mark.write(text.encode("ascii"))


def make_inside(root: Path, name: str) -> Path:
    """Return the folder *name* of the cache at *root*, made and marked where it is not there; raise OSError for a link.

    What it leads to would be somebody else's.
    """
    folder = root / name
    if os.path.lexists(folder) and not is_folder(folder):
        raise NotADirectoryError(errno.ENOTDIR, "a link, or a file, is in the place of a folder", os.fspath(folder))
    make_folder(root)
    make_folder(folder)
    return folder


def strangers_in(root: Path) -> list[str]:
    """Return the names of what keeps *root* from being a cache: none where it is empty, marked, or an earlier cache.

    A cache that CI restored may have lost its marks: then the names of what is in it have to be ours.
    """
    try:
        names = sorted(os.listdir(root))  # noqa: PTH208 - names are enough
    except OSError:  # not there, or not to be read: nothing can be lost
        return []
    if _mark(root, _TAG) == _MARKS[_TAG]:
        return []
    return [
        name
        for name in names
        if name not in _NOBODYS
        and not name.startswith(".nfs")
        and not (is_marked(root / name) or _looks_ours(root / name))
    ]


def remove_abandoned(root: Path) -> None:
    """Remove the work folders of builds that were killed, as far as that is possible."""
    work, oldest = root / WORK, time.time() - ABANDONED
    for folder in _ours_inside(work):
        with suppress(OSError):
            if is_folder(folder) and folder.lstat().st_mtime < oldest:
                if is_marked(folder):
                    remove_tree(folder)
                else:  # killed before it was marked, and so it is empty; or it is not ours, and stays
                    folder.rmdir()


def remove_beside(root: Path) -> None:
    """Remove the logs and compilers in the cache at *root*, and their folders where nothing else is there."""
    for name in (LOGS, TOOLS):
        for path in _ours_inside(root / name):
            if is_folder(path):
                if name == TOOLS:
                    remove_tree(path)
            elif name == LOGS:
                with suppress(OSError):
                    path.unlink()
        _remove_marked(root / name)


def remove_tree(folder: Path) -> None:
    """Remove *folder* and all that is in it, as far as that is possible; follow no link, not even *folder* itself.

    Removing a directory is mostly waiting, a millisecond for each, so many are removed at a time, deepest first.
    """
    if not is_folder(folder):
        return
    levels: list[list[str]] = []
    level = [os.fspath(folder)]
    with suppress(OSError):
        _open_up(level[0], folder.lstat())
    while level:
        levels.append(level)
        level = [inner for directory in level for inner in _empty(directory)]
    with ThreadPoolExecutor(max_workers=_WAITING) as pool:
        for level in reversed(levels):
            list(pool.map(_remove_directory, level))
    if is_folder(folder):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_regular(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that others may have put there: a link, a pipe, a device is never opened, and nothing is waited for.

    Raises NotRegularError for these, IsADirectoryError for a folder, and OSError.
    """
    _require_regular(path, path.lstat())
    with open(os.open(path, _READING), "rb", buffering=0) as stream:  # noqa: PTH123 - by its descriptor
        _require_regular(path, os.fstat(stream.fileno()))
        yield stream


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(path)


def _is_real_folder(status: os.stat_result) -> bool:
    """Tell a folder from a link and, on Windows, from a junction, which is called a folder there."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)
    tag = getattr(status, "st_reparse_tag", None)
    return stat.S_ISDIR(status.st_mode) and (junction is None or tag != junction)


def _mark(folder: Path, name: str) -> str | None:
    """Return the text of a mark; None where there is none that can be read."""
    try:
        with open_regular(folder / name) as stream:
            return stream.read(_LONGEST_MARK).decode("ascii").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return None


def _looks_ours(folder: Path) -> bool:
    """Tell whether all that is in *folder*, which has a name of ours, has names of ours."""
    try:
        if not is_folder(folder):
            return False
        names = [path.name for path in folder.iterdir() if path.name not in _NOBODYS]
        if _STORE.fullmatch(folder.name):
            inner = [shard.name for name in names for shard in (folder / name).iterdir()]
            return all(re.fullmatch(r"[0-9a-f]{2}", name) for name in inner)
        pattern = _INSIDE.get(folder.name)
        return pattern is not None and all(map(pattern.fullmatch, names))
    except OSError:
        return False


def _ours_inside(folder: Path) -> Iterator[Path]:
    """Yield what is in a marked *folder* of the cache under a name that we give; nothing where there is no mark."""
    if is_marked(folder):
        with suppress(OSError):
            yield from [path for path in folder.iterdir() if _INSIDE[folder.name].fullmatch(path.name)]


def _remove_marked(folder: Path) -> None:
    """Remove *folder* if it is ours and holds nothing but its marks."""
    with suppress(OSError):
        if is_marked(folder) and _MARKS.keys() >= set(os.listdir(folder)):  # noqa: PTH208 - names are enough
            for name in _MARKS:
                (folder / name).unlink(missing_ok=True)
            folder.rmdir()


def _empty(directory: str) -> list[str]:
    """Remove what is in *directory* but for folders, and return these."""
    folders: list[str] = []
    try:
        with os.scandir(directory) as scanned:
            entries = list(scanned)
    except OSError:
        return []
    for entry in entries:
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False) and _is_real_folder(status := entry.stat(follow_symlinks=False)):
                folders.append(entry.path)
                _open_up(entry.path, status)
            else:
                os.unlink(entry.path)  # noqa: PTH108 - thousands of them
    return folders


def _open_up(directory: str, status: os.stat_result) -> None:
    """Let us remove what is in *directory*: a killed sandbox leaves folders that nobody may write to."""
    if status.st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(directory, stat.S_IRWXU)  # noqa: PTH101 - os.scandir gives strings


def _remove_all() -> None:
    """Remove the folders that a signal has let stay, whoever made them read-only; no thread can be had any more."""
    for folder in tuple(_in_use):
        for directory, _, _ in os.walk(folder):
            with suppress(OSError):
                os.chmod(directory, stat.S_IRWXU)  # noqa: PTH101 - os.walk gives strings
        shutil.rmtree(folder, ignore_errors=True)


at_exit(_remove_all)


def _remove_directory(directory: str) -> None:
    with suppress(OSError):
        os.rmdir(directory)  # noqa: PTH106 - os.scandir gives strings


def _new_folder(cache_dir: Path | None) -> Path:
    if cache_dir is not None:
        with suppress(OSError):
            parent = make_inside(cache_dir, WORK)
            if _has_room(parent):
                folder = Path(tempfile.mkdtemp(dir=parent, prefix="build-")).resolve()
                make_folder(folder)
                return folder
    return Path(tempfile.mkdtemp(prefix="hatch-lambda-")).resolve()


def _has_room(folder: Path) -> bool:
    free = shutil.disk_usage(folder).free
    if free >= _ROOM:
        return True
    try:
        return free >= shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:  # there is no folder for temporary files
        return True


def package_path(name: str, origin: str) -> str:
    """Return *name* as a path in the package, or refuse it.

    *origin* says in a message whose name it is. Raises InstallError for a name that :func:`name_problem` refuses.
    """
    if (problem := name_problem(name)) is not None:
        raise InstallError(
            f"{origin}: the file name {shown(name)} {problem}",
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


def is_zip(path: Path) -> bool:
    """Tell whether *path* is a file that a package may replace: a zip, or an empty file."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(2) in {b"PK", b""}


def refuse_strangers(output: Path) -> None:
    """Raise ArchiveError where *output* is there and no zip: it is not ours to replace."""
    if output.exists() and not is_zip(output):
        what = "a folder" if output.is_dir() else "not a zip"
        raise ArchiveError(f"{output}: this is {what}; it was left as it is", hint="name a file, such as dist/app.zip")


@contextmanager
def failing_as_archive_error(output: Path) -> Iterator[None]:
    """Tell what went wrong; with the file's name, where it is one that should have been packed."""
    try:
        yield
    except OSError as error:
        if (fault := internal_error(error)) is not None:
            raise fault from error
        fact = error.strerror or str(error)
        # shutil names the file that it copied from first, even if it is the other that is too large.
        elsewhere = error.filename is not None and output.name not in f"{error.filename} {error.filename2}"
        raise ArchiveError(
            f"{output}: the package could not be written: {f'{error.filename}: ' if elsewhere else ''}{fact}",
            hint=f"{remedy(error)}; an older package was left as it is",
        ) from error
