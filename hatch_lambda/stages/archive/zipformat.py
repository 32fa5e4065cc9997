"""The records of the ZIP format that a package needs (PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4)."""

from __future__ import annotations

import calendar
import stat
import struct
import time

from msgspec import Struct

from hatch_lambda.errors import ArchiveError

STORED = 0
DEFLATED = 8

MAX_ENTRIES = 0xFFFF
MAX_OFFSET = 0xFFFF_FFFF
"""The limits above which zip64 would be needed, which no package for Lambda reaches."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION_NEEDED = 20
_MADE_ON_UNIX = 3 << 8 | _VERSION_NEEDED
_NAME_IS_UTF8 = 0x800
_MS_DOS_DIRECTORY = 0x10
_FIRST_YEAR, _LAST_YEAR = 1980, 2107
_FIRST_SECOND = calendar.timegm((_FIRST_YEAR, 1, 1, 0, 0, 0))
LAST_SECOND = calendar.timegm((_LAST_YEAR, 12, 31, 23, 59, 59))
"""The last second (since 1970, UTC) that an entry can be dated with."""


class Entry(Struct, frozen=True, kw_only=True):
    """What both headers of an entry say."""

    name: str
    """With ``/`` at the end for a directory."""
    executable: bool
    method: int
    crc32: int
    size: int
    compressed_size: int
    sha256: str = ""
    """Of the content, as hexadecimal; not part of the format."""

    @classmethod
    def of_directory(cls, name: str) -> Entry:
        """Make the entry of a directory, whose *name* ends with ``/``."""
        return cls(name=name, executable=False, method=STORED, crc32=0, size=0, compressed_size=0)

    @property
    def mode(self) -> int:
        """Its type and permissions, as Unix has them: all that Lambda needs, nothing of this machine."""
        if self.name.endswith("/"):
            return stat.S_IFDIR | 0o755
        return stat.S_IFREG | (0o755 if self.executable else 0o644)


class Timestamp(Struct, frozen=True):
    """The date of every entry, in the packed form of MS-DOS."""

    time: int
    date: int

    @classmethod
    def of(cls, epoch: int | None) -> Timestamp:
        """Pack a number of seconds since 1970 (UTC); None and all before 1980 give 1980-01-01."""
        if epoch is None or epoch < _FIRST_SECOND:
            return cls(time=0, date=1 << 5 | 1)
        if epoch > LAST_SECOND:
            raise ArchiveError(
                f"SOURCE_DATE_EPOCH={epoch}: a zip cannot hold a date after {_LAST_YEAR}",
                hint="give seconds since 1970-01-01, or unset it",
            )
        year, month, day, hour, minute, second, *_ = time.gmtime(epoch)
        return cls(
            time=hour << 11 | minute << 5 | second // 2,
            date=(year - _FIRST_YEAR) << 9 | month << 5 | day,
        )


def local_header(entry: Entry, timestamp: Timestamp) -> bytes:
    """Pack the header that stands before an entry's data."""
    name, fields = _common(entry, timestamp)
    return _LOCAL.pack(b"PK\3\4", *fields, 0) + name


def local_header_size(entry: Entry) -> int:
    """Return the bytes of the header that stands before an entry's data."""
    name = entry.name
    return _LOCAL.size + len(name if name.isascii() else _encoded(name)[0])


def central_header(entry: Entry, timestamp: Timestamp, offset: int) -> bytes:
    """Pack the header that stands for an entry in the central directory."""
    name, fields = _common(entry, timestamp)
    attributes = entry.mode << 16 | (_MS_DOS_DIRECTORY if entry.name.endswith("/") else 0)
    return _CENTRAL.pack(b"PK\1\2", _MADE_ON_UNIX, *fields, 0, 0, 0, 0, attributes, offset) + name


def local_of(central: bytes) -> bytes:
    """Return the header before an entry's data, given its *central* one, which repeats it."""
    return b"PK\3\4" + central[6:32] + central[_CENTRAL.size :]


def _common(entry: Entry, timestamp: Timestamp) -> tuple[bytes, tuple[int, ...]]:
    """Return an entry's name as a zip has it, and the run of fields that both of its headers have."""
    name, flags = _encoded(entry.name)
    return name, (
        _VERSION_NEEDED,
        flags,
        entry.method,
        timestamp.time,
        timestamp.date,
        entry.crc32,
        entry.compressed_size,
        entry.size,
        len(name),
    )


def end_record(count: int, size: int, offset: int) -> bytes:
    """Pack the record that ends a zip whose central directory has *count* entries in *size* bytes from *offset*.

    Raises ArchiveError for a package that only zip64 could hold.
    """
    if count > MAX_ENTRIES or offset > MAX_OFFSET:
        raise ArchiveError(
            f"the package has {count} entries in {offset} bytes; a zip holds {MAX_ENTRIES} in 4 GiB",
            hint="leave files out with tool.lambda-slim.patterns",
        )
    return _END.pack(b"PK\5\6", 0, 0, count, count, size, offset, 0)


def _encoded(name: str) -> tuple[bytes, int]:
    if name.isascii():
        return name.encode("ascii"), 0
    try:
        return name.encode("utf-8"), _NAME_IS_UTF8
    except UnicodeEncodeError as error:
        raise ArchiveError(f"{name!r}: the file's name is not Unicode", hint="rename it") from error
