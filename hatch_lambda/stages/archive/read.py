"""Read zips that anybody made: a damaged or hostile one costs one clear line, bounded time and bounded memory.

The records are zipfile's to read; what it takes on trust (counts, sizes, names, that no byte belongs to two
entries) is checked before it does.
"""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, TYPE_CHECKING, NamedTuple

import deflate
from msgspec import Struct

from hatch_lambda.core.codec import DocumentError, open_regular
from hatch_lambda.core.dist_info import at_top, attribute_files
from hatch_lambda.core.model import File
from hatch_lambda.core.parallel import batches
from hatch_lambda.core.untrusted import clash, name_problem, shown
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive.section import BEST_RATIO
from hatch_lambda.stages.archive.zipformat import DEFLATED, STORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_lambda.core.model import Tree


_UNIX, _VERSION = 3, 20
"""What `format` says in every central header."""
_LONGEST_WHEEL = 1 << 16


def is_own_zip(path: Path) -> bool:
    """Tell whether the zip at *path* is one that a build wrote, by what all of its entries have in common.

    Other tools date each entry as its file is, or add fields of theirs.
    """
    try:
        with opened(path) as archive:
            entries = archive.infolist()
    except ArchiveError:
        return False
    return len({entry.date_time for entry in entries}) <= 1 and all(
        (entry.create_system, entry.create_version, entry.extra) == (_UNIX, _VERSION, b"") for entry in entries
    )


def is_own_wheel(path: Path) -> bool:
    """Tell whether the wheel at *path* is one that a build wrote: it says so itself."""
    try:
        with opened(path) as archive:
            wheels = [entry for entry in archive.infolist() if at_top(entry.filename, "WHEEL") is not None]
            return any(
                entry.file_size <= _LONGEST_WHEEL and b"\nGenerator: hatch-lambda " in archive.read(entry)
                for entry in wheels
            )
    except ArchiveError:
        return False


MOST_BYTES = 1 << 30
"""Bytes that the entries may have unzipped: far above the 250 MiB that Lambda takes."""
MOST_ENTRIES = 100_000
MOST_DIRECTORY_BYTES = 32 << 20
"""Bytes of the central directory, which is read as a whole."""
LOCAL_SIZE = 30
"""Bytes of a local header without its name."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR_SIZE = 20
"""Bytes of the record that tells of a zip64 record before it."""
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED = 0x1
_UNIX = 3
_SHOWN = 80


class ReadEntry(Struct, frozen=True, kw_only=True):
    """What the central directory says about an entry."""

    name: str
    """As the zip has it; a directory's ends with ``/``."""
    size: int
    compressed_size: int
    crc32: int
    mode: int | None
    """Type and permissions as Unix has them; None where the zip was made elsewhere and says nothing."""
    method: int
    encrypted: bool

    @property
    def is_directory(self) -> bool:
        """Whether it has no content of its own."""
        return self.name.endswith("/")

    @property
    def is_symlink(self) -> bool:
        """Whether its content is the path that it leads to."""
        return self.mode is not None and stat.S_ISLNK(self.mode)

    @property
    def path(self) -> str:
        """Where it goes in the package."""
        return posixpath.normpath(self.name)


def entries(path: Path) -> tuple[ReadEntry, ...]:
    """Return the entries of the zip at *path*, in the order of its directory.

    Raises ArchiveError for what is no zip or a damaged one, for one that is made to harm (names that leave the
    package or occur twice, overlapping entries, more than could be unpacked), and for what Lambda cannot unpack
    either (encryption, other methods than deflate).
    """
    with opened(path) as archive:
        return checked(path, archive)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open the zip at *path* once its directory is known to be readable in bounded memory."""
    try:
        with open_regular(path) as stream:
            _check_end(path, stream)
            try:
                with zipfile.ZipFile(stream) as archive:
                    yield archive
            except NotImplementedError as error:
                raise refusal(path, f"the zip needs what Lambda does not have: {error}") from error
            except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OverflowError) as error:
                raise refusal(path, f"the zip is damaged: {str(error)[:_SHOWN] or 'it ends too early'}") from error
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror or error}", hint="name a zip that is there") from error
    except DocumentError as error:
        raise ArchiveError(f"{path}: {error}", hint="name a zip that is there") from error


def _check_end(path: Path, stream: IO[bytes]) -> None:
    """Refuse what has no readable end, or more entries than anybody can unpack."""
    is_zip = stream.read(2) == b"PK"
    size = stream.seek(0, io.SEEK_END)
    start = max(0, size - _END.size - _LONGEST_COMMENT)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise refusal(path, "the zip is truncated: it has no end" if is_zip else "this is not a zip")
    end = start + at
    *_, length, _, _ = _END.unpack_from(tail, at)
    stream.seek(max(0, end - _LOCATOR_SIZE - _END_64.size))
    record = stream.read(end - stream.tell())
    if record.startswith(b"PK\6\7", -_LOCATOR_SIZE):
        if len(record) < _LOCATOR_SIZE + _END_64.size or not record.startswith(b"PK\6\6"):
            raise refusal(path, "the zip is damaged: its zip64 record is not where it belongs")
        *_, length, _ = _END_64.unpack_from(record)
        end -= len(record)
    if length > end:
        raise refusal(path, "the zip is truncated: its directory is not whole")
    stream.seek(end - length)
    if length > MOST_DIRECTORY_BYTES or stream.read(length).count(b"PK\1\2") > MOST_ENTRIES:
        raise refusal(path, f"the zip has more than {MOST_ENTRIES} entries, or very long names")
    stream.seek(0)


def checked(path: Path, archive: zipfile.ZipFile) -> tuple[ReadEntry, ...]:
    """Return the entries of *archive*, once none of them is an attempt on who unpacks it."""
    infos = archive.infolist()
    listed = tuple(map(_entry, infos))
    for entry in listed:
        if problem := _problem(entry):
            raise refusal(path, f"{shown(entry.name)} {problem}")
    files = (entry.path for entry in listed if not entry.is_directory)
    if found := clash(files, (entry.path for entry in listed if entry.is_directory)):
        raise refusal(path, f"{shown(found[0])} {found[1]}")
    total = sum(entry.size for entry in listed)
    if total > MOST_BYTES:
        raise refusal(path, f"unpacked the zip would have {total} bytes; Lambda takes a fourth of {MOST_BYTES}")
    extents = sorted((info.header_offset, info.compress_size + LOCAL_SIZE, info.orig_filename) for info in infos)
    for (offset, extent, name), (following, _, _) in pairwise([*extents, (archive.start_dir, 0, "")]):
        if offset + extent > following:
            raise refusal(path, f"{shown(name)} overlaps what follows it in the zip")
    return listed


def _entry(info: zipfile.ZipInfo) -> ReadEntry:
    mode = info.external_attr >> 16
    return ReadEntry(
        name=info.orig_filename,
        size=info.file_size,
        compressed_size=info.compress_size,
        crc32=info.CRC,
        mode=mode if mode or info.create_system == _UNIX else None,
        method=info.compress_type,
        encrypted=bool(info.flag_bits & _ENCRYPTED),
    )


def _problem(entry: ReadEntry) -> str | None:
    """Say what is wrong with one entry, or nothing."""
    name = entry.name
    most = entry.compressed_size * (BEST_RATIO if entry.method == DEFLATED else 1)
    if (problem := name_problem(name)) is not None:
        return f"is a name that {problem}"
    problems = (
        (entry.encrypted, "is encrypted, which Lambda cannot unpack"),
        (entry.method not in {STORED, DEFLATED}, f"is compressed by method {entry.method}; Lambda takes deflate (8)"),
        (
            entry.size > most or (entry.is_directory and entry.size),
            f"has {entry.compressed_size} bytes and claims to be {entry.size} unpacked",
        ),
    )
    return next((problem for applies, problem in problems if applies), None)


def refusal(path: Path, problem: str) -> ArchiveError:
    """Return the error that the zip at *path* has a *problem*."""
    return ArchiveError(f"{path}: {problem}", hint="make the package anew, with a tool that you trust")


_LARGEST = 32 << 20
"""Bytes above which an entry is unpacked in pieces, by zlib."""
_CHUNK = 1 << 20
_MOST_THREADS = 4
"""As each may hold an entry twice, packed and not."""
_BATCH, _SMALLEST = 4 << 20, 32 << 10
"""Bytes that a thread takes at once: enough to be worth it, and so little that all end together. A file counts as the
second of these at least, for making it takes its time, too."""
_LOCAL = struct.Struct("<4s22x2H")


class _Job(NamedTuple):
    """An entry to unpack, where its header is, and where what follows it begins."""

    entry: ReadEntry
    info: zipfile.ZipInfo
    end: int


def unpack(path: Path, folder: Path) -> Tree:
    """Unpack the zip at *path* into *folder*, which is empty or not there yet, and return its files.

    Symbolic links are passed over; ``entries`` lists them. Files become readable whatever their mode says. Each
    says whose it is, as far as the package tells. Raises ArchiveError as ``entries`` does, and for
    content that is not what its headers say.
    """
    with opened(path) as archive:
        listed = checked(path, archive)

        def unpack_batch(batch: list[_Job]) -> list[File]:
            with path.open("rb") as stream:
                return [_unpack(job, folder, path, stream, archive) for job in batch]

        try:
            _make_folders(listed, folder)
            pool = ThreadPoolExecutor(max_workers=min(_MOST_THREADS, os.cpu_count() or 1))
            try:
                made = [file for files in pool.map(unpack_batch, _batches(_jobs(listed, archive))) for file in files]
            finally:
                pool.shutdown(cancel_futures=True)
        except OSError as error:
            raise ArchiveError(
                f"{path}: cannot be unpacked: {error.filename or folder}: {error.strerror}",
                hint="check the free space where temporary files are, and the names in the zip",
            ) from error
    return attribute_files(made)


def _make_folders(listed: Iterable[ReadEntry], folder: Path) -> None:
    """Make each folder once, those above it first."""
    wanted = {entry.path if entry.is_directory else posixpath.dirname(entry.path) for entry in listed}
    known = {""}
    folder.mkdir(parents=True, exist_ok=True)
    for directory in sorted(wanted):
        missing = []
        above = directory
        while above not in known:
            known.add(above)
            missing.append(above)
            above = posixpath.dirname(above)
        for name in reversed(missing):
            (folder / name).mkdir(exist_ok=True)


def _jobs(listed: tuple[ReadEntry, ...], archive: zipfile.ZipFile) -> Iterator[_Job]:
    """Yield what is to be unpacked, in the directory's order."""
    infos = archive.infolist()
    starts = [*sorted(info.header_offset for info in infos), archive.start_dir]
    ends = dict(pairwise(starts))
    for entry, info in zip(listed, infos, strict=True):
        if not entry.is_directory and not entry.is_symlink:
            yield _Job(entry, info, ends[info.header_offset])


def _batches(jobs: Iterable[_Job]) -> Iterator[list[_Job]]:
    return batches(jobs, lambda job: max(job.entry.size, _SMALLEST), lambda _: _BATCH)


def _unpack(job: _Job, folder: Path, path: Path, stream: IO[bytes], archive: zipfile.ZipFile) -> File:
    entry = job.entry
    destination = folder / entry.path
    executable = bool((entry.mode or 0) & 0o111)
    with destination.open("xb") as made:
        if max(entry.size, entry.compressed_size) > _LARGEST:
            with archive.open(job.info) as content:
                shutil.copyfileobj(content, made, _CHUNK)
        else:
            made.write(_content(job, path, stream))
        if made.tell() != entry.size:
            raise refusal(path, f"{shown(entry.name)} has not the size that its header says")
    destination.chmod(0o755 if executable else 0o644)
    return File(path=entry.path, source=destination, size=entry.size, executable=executable)


def _content(job: _Job, path: Path, stream: IO[bytes]) -> bytes | bytearray:
    """Return what is in an entry, once it is what its headers say."""
    entry = job.entry
    stream.seek(job.info.header_offset)
    header = stream.read(LOCAL_SIZE)
    if len(header) != LOCAL_SIZE or not header.startswith(b"PK\3\4"):
        raise refusal(path, f"the zip is damaged: there is no header of {shown(entry.name)} where it should be")
    _, name_size, extra_size = _LOCAL.unpack(header)
    name = stream.read(name_size)
    if name != _encoded(job.info):
        raise refusal(path, f"the zip is damaged: {shown(entry.name)} has another name in its header")
    if stream.seek(extra_size, os.SEEK_CUR) + entry.compressed_size > job.end:
        raise refusal(path, f"{shown(entry.name)} overlaps what follows it in the zip")
    content: bytes | bytearray = stream.read(entry.compressed_size)
    if entry.method == DEFLATED:
        try:
            # One byte more than it claims to have: then more than that is no success either.
            content = deflate.deflate_decompress(content, entry.size + 1)
        except deflate.DeflateError as error:
            raise refusal(path, f"the zip is damaged: {shown(entry.name)} is not what was packed") from error
    if len(content) == entry.size and deflate.crc32(content) != entry.crc32:
        raise refusal(path, f"the zip is damaged: {shown(entry.name)} has another checksum than it had")
    return content


def _encoded(info: zipfile.ZipInfo) -> bytes:
    """Return an entry's name as its header has it (APPNOTE 4.4.4, bit 11)."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
