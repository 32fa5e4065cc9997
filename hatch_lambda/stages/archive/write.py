"""Write a zip of sections that may be ready since an earlier build, and of the project's files."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import deflate
from msgspec import Struct

from hatch_lambda.core.cache import digest
from hatch_lambda.core.files import failing_as_archive_error, refuse_strangers
from hatch_lambda.core.untrusted import is_digest
from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive.pack import Packed
from hatch_lambda.stages.archive.section import DamagedSectionError, Section, StoredSection
from hatch_lambda.stages.archive.zipformat import (
    Entry,
    Timestamp,
    central_header,
    end_record,
    local_header,
    local_header_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Buffer

    from hatch_lambda.core.model import Tree
    from hatch_lambda.core.staging import Staging
    from hatch_lambda.stages.archive.pack import Packer


_CHUNK = 1 << 18
_IN_MEMORY = 1 << 24
"""Bytes of the project's part above which it is put aside in a file."""


class Zip(Struct, frozen=True, kw_only=True):
    """A finished zip."""

    path: Path
    size: int
    sha256: str
    """Of the zip, as hexadecimal."""
    content_sha256: str
    """Of names, modes and contents alone: equal for zips that differ only in compression or dates."""


def write_section(
    tree: Tree, file: Path, packer: Packer, timestamp: Timestamp, after: Section | None = None
) -> Section:
    """Write the entries of *tree* and their data to *file*, and nothing else; describe them.

    What comes *after* another section begins where that ends, and does not have the directories that are in there.
    """
    with failing_as_archive_error(file), file.open("xb") as stream:
        known, offset = (after.directories, after.size) if after else (set(), 0)
        return _write_entries(packer.pack(tree, known), timestamp, stream, offset)


def _write_entries(packed: Iterable[Packed], timestamp: Timestamp, stream: IO[bytes], offset: int = 0) -> Section:
    """Write local headers and data, which begin at *offset* of the zip."""
    entries: list[Entry] = []
    directory: list[bytes] = []
    size, crc32, sha256 = 0, 0, hashlib.sha256()
    for item in packed:
        directory.append(central_header(item.entry, timestamp, offset + size))
        parts: tuple[Buffer, ...] = (local_header(item.entry, timestamp), item.data)
        for part in parts:
            stream.write(part)
            crc32 = deflate.crc32(part, crc32)
            sha256.update(part)
            size += memoryview(part).nbytes
        entries.append(item.entry)
    try:
        return Section(
            entries=tuple(entries),
            directory=b"".join(directory),
            offset=offset,
            size=size,
            crc32=crc32,
            sha256=sha256.hexdigest(),
        )
    except ValueError as error:
        raise ArchiveError(f"this cannot be packed: {error}", hint="rename it, or leave it out") from error


def write(  # noqa: PLR0913, PLR0917 - what goes in, where it goes, and how
    sections: Sequence[StoredSection],
    project: Tree,
    output: Path,
    new: Staging,
    packer: Packer,
    timestamp: Timestamp,
) -> Zip:
    """Write *sections* and the files of *project* to the *new* file for *output*; one that is there already stays.

    A directory belongs to the first that needs it. Raises DamagedSectionError when a section was damaged since it was
    made, and ArchiveError when the zip cannot be written.
    """
    refuse_strangers(output)
    first = [stored.section for stored in sections]
    before = sum(section.size for section in first)
    directories = set().union(*(section.directories for section in first))
    with failing_as_archive_error(output):
        new.make_room(output)
        with SpooledTemporaryFile(_IN_MEMORY, dir=str(output.parent)) as rest:
            own = _write_entries(packer.pack(project, directories), timestamp, rest, before)
            entries = [entry for section in (*first, own) for entry in section.entries]
            directory = b"".join(section.directory for section in (*first, own))
            rest.write(directory + end_record(len(entries), len(directory), before + own.size))
            size = before + rest.tell()
            content = content_digest(entries)
            key = digest(*(section.sha256 for section in first), _digest_of(rest))
            known = packer.cache.get("digests", key)
            sha256 = known.tobytes().decode("latin-1") if known is not None else None
            if sha256 is not None and not is_digest(sha256):
                known = sha256 = None
            if sha256 is None or not _is_there(output, size, first, rest):
                temporary = new.file(output)
                with temporary.open("xb") as stream:
                    for stored in sections:
                        _copy(stored, stream)
                    rest.seek(0)
                    shutil.copyfileobj(rest, stream, _CHUNK)
                sha256 = _checked_digest(first, temporary, sha256)
                if known is None:
                    packer.cache.put("digests", key, sha256.encode("ascii"))
    return Zip(path=output, size=size, sha256=sha256, content_sha256=content)


def write_packed(packed: Iterable[Packed], output: Path, new: Staging, timestamp: Timestamp) -> Zip:
    """Write entries that are compressed already to the *new* file for *output*."""
    refuse_strangers(output)
    with failing_as_archive_error(output):
        temporary = new.file(output)
        with temporary.open("xb") as stream:
            section = _write_entries(packed, timestamp, stream)
            stream.write(section.directory)
            stream.write(end_record(len(section.entries), len(section.directory), section.size))
            size = stream.tell()
        with temporary.open("rb") as written:
            sha256 = _digest_of(written)
    return Zip(path=output, size=size, sha256=sha256, content_sha256=content_digest(section.entries))


def is_whole(stored: StoredSection) -> bool:
    """Tell whether the file of *stored* is there and has the bytes that were written."""
    try:
        with stored.file.open("rb") as stream:
            return _crc32(stream, stored.section.size) == stored.section.crc32
    except OSError:  # another build may have pruned the cache
        return False


def read_packed(stored: StoredSection) -> Iterator[Packed]:
    """Yield the entries of *stored*, each with its data as they are.

    Only who has taken the last one knows that all were right: raises DamagedSectionError where they were not.
    """
    crc32 = 0
    try:
        with stored.file.open("rb") as stream:
            for entry in stored.section.entries:
                header = stream.read(local_header_size(entry))
                data = stream.read(entry.compressed_size)
                crc32 = deflate.crc32(data, deflate.crc32(header, crc32))
                yield Packed(entry, data)
    except (FileNotFoundError, PermissionError) as error:  # another build may have pruned the cache
        raise DamagedSectionError from error
    if crc32 != stored.section.crc32:
        raise DamagedSectionError


def _copy(stored: StoredSection, stream: IO[bytes]) -> None:
    """Add *stored* to the zip, by the fastest call that the system has; what else is in its file stays there."""
    left = stored.section.size
    try:
        with stored.file.open("rb", buffering=0) as source:
            if hasattr(os, "copy_file_range"):
                stream.flush()
                with suppress(OSError):  # two file systems on an older Linux
                    while left and (copied := os.copy_file_range(source.fileno(), stream.fileno(), left)):
                        left -= copied
                stream.seek(0, os.SEEK_CUR)
            while left and (chunk := source.read(min(left, _CHUNK))):
                left -= stream.write(chunk)
    except (FileNotFoundError, PermissionError) as error:  # another build may have pruned the cache
        raise DamagedSectionError from error


def _is_there(output: Path, size: int, sections: Iterable[Section], rest: IO[bytes]) -> bool:
    """Tell whether *output* is what would be written: *sections*, by their CRC-32, and byte for byte the *rest*."""
    if output.is_symlink() or not output.is_file() or output.stat().st_size != size:
        return False
    with output.open("rb") as stream:
        if any(_crc32(stream, section.size) != section.crc32 for section in sections):
            return False
        rest.seek(0)
        while chunk := rest.read(_CHUNK):
            if stream.read(len(chunk)) != chunk:
                return False
    return True


def _checked_digest(sections: Iterable[Section], temporary: Path, known: str | None) -> str:
    """Return the digest of the zip, having read back the *sections* that were copied.

    The digest of a zip that was made before is *known*; then the copies' CRC-32 is enough.
    """
    sha256 = hashlib.sha256()
    with temporary.open("rb") as stream:
        for section in sections:
            if _crc32(stream, section.size, None if known else sha256) != section.crc32:
                raise DamagedSectionError
        if known:
            return known
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()


def _crc32(stream: IO[bytes], size: int, sha256: hashlib._Hash | None = None) -> int | None:
    """Return the CRC-32 of the next *size* bytes, of which *sha256* learns too; None where there are fewer."""
    crc32 = 0
    while size and (chunk := stream.read(min(size, _CHUNK))):
        crc32 = deflate.crc32(chunk, crc32)
        if sha256 is not None:
            sha256.update(chunk)
        size -= len(chunk)
    return None if size else crc32


def _digest_of(stream: IO[bytes]) -> str:
    stream.seek(0)
    sha256 = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        sha256.update(chunk)
    return sha256.hexdigest()


def content_digest(entries: Iterable[Entry]) -> str:
    """Return the digest of names, modes and contents alone: equal for what differs only in compression or dates."""
    lines = (f"{entry.mode:o} {entry.sha256} {entry.name}\n" for entry in entries)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
