"""Read zips that anybody made: a damaged or hostile one costs one clear line, bounded time and bounded memory.

The records are zipfile's to read; what it takes on trust (counts, sizes, names, that no byte belongs to two
entries) is checked before it does.
"""

from __future__ import annotations

import io
import posixpath
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from itertools import pairwise
from typing import IO, TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.archive.checking import BEST_RATIO
from hatch_lambda.archive.format import DEFLATED, STORED
from hatch_lambda.decoding import DocumentError, open_regular
from hatch_lambda.errors import ArchiveError
from hatch_lambda.untrusted import clash, name_problem, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
