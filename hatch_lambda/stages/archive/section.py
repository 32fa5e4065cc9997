"""A run of entries that is kept, and the check of all that it claims: a stranger may have written it."""

from __future__ import annotations

import hashlib
import os
import posixpath
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

import deflate
from msgspec import Struct

from hatch_lambda.core.untrusted import clash, is_digest, is_plain, name_problem, shown
from hatch_lambda.stages.archive.zipformat import (
    DEFLATED,
    MAX_OFFSET,
    STORED,
    Entry,
    Timestamp,
    central_header,
    local_header_size,
    local_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


BEST_RATIO = 1032
"""How often smaller deflate can make anything: 258 bytes in 2 bits."""
MOST_UNPACKED = 10 << 30
"""Bytes that a section may have unpacked: all that a function can have room for, in /tmp."""
_AT_ONCE = 32 << 20
"""Bytes above which a file is unpacked in pieces."""
_CHUNK = 1 << 20
_MOST_THREADS = 4


class DamagedSectionError(Exception):
    """Tell that a section that was kept is not what it was: it has to be made anew."""


def table_problem(entries: Sequence[Entry], size: int) -> str | None:
    """Say what is wrong with the table of a section of *size* bytes, or nothing."""
    names = [entry.name for entry in entries]
    for entry in entries:
        if problem := _entry_problem(entry):
            return f"{shown(entry.name)} {problem}"
    folders = [name[:-1] for name in names if name.endswith("/")]
    if len(set(folders)) < len(folders):
        return "a folder is there twice"
    if found := clash((name for name in names if not name.endswith("/")), folders):
        return f"{shown(found[0])} {found[1]}"
    if sum(entry.size for entry in entries) > MOST_UNPACKED:
        return "it has more files than a function has room for"
    if sum(local_header_size(entry) + entry.compressed_size for entry in entries) != size:
        return "its entries are not all of it"
    return None


def _entry_problem(entry: Entry) -> str | None:
    name = entry.name
    if not is_plain(name) and (problem := name_problem(name) or _form_problem(name)) is not None:
        return problem
    size, packed = entry.size, entry.compressed_size
    if name.endswith("/"):
        is_empty = not (size or packed or entry.crc32 or entry.method or entry.sha256 or entry.executable)
        return None if is_empty else "is a folder, which has no content"
    most = packed if entry.method == STORED else packed * BEST_RATIO if entry.method == DEFLATED else -1
    if (
        0 <= size <= most
        and max(size, packed, entry.crc32) <= MAX_OFFSET
        and entry.crc32 >= 0
        and (size == packed or entry.method == DEFLATED)
        and is_digest(entry.sha256)
    ):
        return None
    return f"has {packed} bytes and claims to be {size} unpacked"


def _form_problem(name: str) -> str | None:
    bare = name.removesuffix("/")
    return None if posixpath.normpath(bare) == bare else "is not in its normal form"


def check_headers(section: Section, file: Path, timestamp: Timestamp) -> None:
    """Raise DamagedSectionError unless *file* and the directory have the headers of the *section*, and no others."""
    offset = position = 0
    directory = section.directory
    with _mapped(file) as content:
        for entry in section.entries:
            central = central_header(entry, timestamp, section.offset + offset)
            local = local_of(central)
            following = position + len(central)
            if directory[position:following] != central or content[offset : offset + len(local)] != local:
                raise DamagedSectionError
            position = following
            offset += len(local) + entry.compressed_size
        if position != len(directory) or offset > len(content):
            raise DamagedSectionError


def check_content(entries: Sequence[Entry], size: int, sha256: str, file: Path) -> None:
    """Raise DamagedSectionError unless every file unpacks to just what its entry says, in bounded memory.

    The map is unmapped with its last view: a thread may hold one when another has found that something is wrong.
    """
    view = memoryview(_mapped(file))
    ends = accumulate(local_header_size(entry) + entry.compressed_size for entry in entries)

    def is_right(entry: Entry, end: int) -> bool:
        return _is_right(entry, view[end - entry.compressed_size : end])

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        whole = pool.submit(lambda: hashlib.sha256(view[:size]).hexdigest() == sha256)
        right = all(pool.map(is_right, entries, ends))
    if not (right and whole.result()):
        raise DamagedSectionError


def _is_right(entry: Entry, data: memoryview) -> bool:
    if entry.name.endswith("/"):
        return True
    size, crc32, sha256 = 0, 0, hashlib.sha256()
    try:
        for piece in _unpacked(entry, data):
            size += len(piece)
            if size > entry.size:
                return False
            crc32 = deflate.crc32(piece, crc32)
            sha256.update(piece)
    except (deflate.DeflateError, zlib.error):
        return False
    return (size, crc32, sha256.hexdigest()) == (entry.size, entry.crc32, entry.sha256)


def _unpacked(entry: Entry, data: memoryview) -> Iterator[bytes | bytearray | memoryview]:
    if entry.method == STORED:
        yield data
    elif entry.size <= _AT_ONCE:
        # One byte more than it claims to have: then more than that is no success either.
        yield deflate.deflate_decompress(data, entry.size + 1)
    else:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        rest: bytes | memoryview = data
        while rest and not inflate.eof:
            yield inflate.decompress(rest, _CHUNK)
            rest = inflate.unconsumed_tail
        yield inflate.flush() if inflate.eof else b""


def _mapped(file: Path) -> mmap:
    """Map *file*; raises DamagedSectionError where it is gone, as another build may have pruned the cache."""
    try:
        with file.open("rb") as stream:
            return mmap(stream.fileno(), 0, access=ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DamagedSectionError from error


class Section(Struct, frozen=True, kw_only=True):
    """A run of entries as a zip has them: local headers and data; and apart from these, the central headers."""

    entries: tuple[Entry, ...]
    directory: bytes
    """What the central directory says of the entries."""
    offset: int = 0
    """Bytes of the zip before it."""
    size: int
    """Bytes of the local headers and data."""
    crc32: int
    """Of its local headers and data."""
    sha256: str
    """Of the same, as hexadecimal."""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no section of a package, whoever wrote it."""
        if problem := table_problem(self.entries, self.size):
            raise ValueError(problem)
        if not is_digest(self.sha256):
            raise ValueError("its digest is none")

    @property
    def files(self) -> tuple[Entry, ...]:
        """Its entries that are no directories."""
        return tuple(entry for entry in self.entries if not entry.name.endswith("/"))

    @property
    def directories(self) -> set[str]:
        """The names of the directories that it holds."""
        return {entry.name for entry in self.entries if entry.name.endswith("/")}

    def may_follow(self, other: Section) -> bool:
        """Tell whether it is the part of a zip after *other*, with which it shares no name."""
        directories = [name[:-1] for name in (*other.directories, *self.directories)]
        files = (entry.name for entry in (*other.files, *self.files))
        return self.offset == other.size and len(set(directories)) == len(directories) and not clash(files, directories)


class StoredSection(Struct, frozen=True, kw_only=True):
    """A section, and the file that begins with it."""

    section: Section
    file: Path

    def check(self, timestamp: Timestamp, *, content: bool, after: Section | None = None) -> None:
        """Raise DamagedSectionError unless the file has what the section says.

        Asked for, unpack its *content*, too, and see whether it fits *after* another section.
        """
        section = self.section
        if section.offset != (after.size if after is not None else 0):
            raise DamagedSectionError
        check_headers(section, self.file, timestamp)
        if content:
            if after is not None and not section.may_follow(after):
                raise DamagedSectionError
            check_content(section.entries, section.size, section.sha256, self.file)
