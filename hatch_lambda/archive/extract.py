"""Unpack zips that anybody made, as fast as the machine can.

libdeflate takes a third of zlib's time, and neither it nor writing files holds the interpreter's lock; so a few
threads share the entries. What it makes of an entry is bounded by the size that the directory claims, which is known
to be one that there is room for.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import IO, TYPE_CHECKING, NamedTuple

import deflate

from hatch_lambda.archive.format import DEFLATED
from hatch_lambda.archive.owners import with_owners
from hatch_lambda.archive.read import LOCAL_SIZE, ReadEntry, checked, opened, refusal
from hatch_lambda.batches import batches
from hatch_lambda.errors import ArchiveError
from hatch_lambda.model import File
from hatch_lambda.untrusted import shown

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_lambda.model import Tree

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
    belongs to the distribution whose RECORD lists it, if any. Raises ArchiveError as ``entries`` does, and for
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
    return with_owners(made)


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
