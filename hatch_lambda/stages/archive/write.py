"""Write a zip of two parts: the dependencies', which may be ready since an earlier build, and the project's."""

from __future__ import annotations

import hashlib
import os
import shutil
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING

import deflate
from msgspec import Struct

from hatch_lambda.core.cache import digest
from hatch_lambda.core.files import failing_as_archive_error, refuse_strangers, replacing
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
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer

    from hatch_lambda.core.model import Tree
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


def write_section(tree: Tree, file: Path, packer: Packer, timestamp: Timestamp) -> Section:
    """Write the entries of *tree* and their data to *file*, and nothing else; describe them."""
    with failing_as_archive_error(file), file.open("xb") as stream:
        return _write_entries(packer.pack(tree, set()), timestamp, stream)


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
            entries=tuple(entries), directory=b"".join(directory), size=size, crc32=crc32, sha256=sha256.hexdigest()
        )
    except ValueError as error:
        raise ArchiveError(f"this cannot be packed: {error}", hint="rename it, or leave it out") from error


def write(  # noqa: PLR0913, PLR0917 - what goes in, where it goes, and how
    first: StoredSection,
    project: Tree,
    output: Path,
    packer: Packer,
    timestamp: Timestamp,
    inspect: Callable[[Path, str], None] = lambda _path, _content: None,
) -> Zip:
    """Write *first* and the files of *project* to *output*, which holds the old zip or the new one at any time.

    A directory that both have belongs to the first. A zip that is there already is left as it is. The zip, with the
    digest of its content, is shown to *inspect* before it takes its place; what that raises leaves the old one where
    it is. Raises DamagedSectionError when *first* was damaged since it was made, and ArchiveError when the zip cannot
    be written.
    """
    refuse_strangers(output)
    section = first.section
    with failing_as_archive_error(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        with SpooledTemporaryFile(_IN_MEMORY, dir=str(output.parent)) as rest:
            second = _write_entries(packer.pack(project, section.directories), timestamp, rest, section.size)
            entries = (*section.entries, *second.entries)
            directory = section.directory + second.directory
            rest.write(directory + end_record(len(entries), len(directory), section.size + second.size))
            size = section.size + rest.tell()
            content = content_digest(entries)
            key = digest(section.sha256, _digest_of(rest))
            known = packer.cache.get("digests", key)
            sha256 = known.tobytes().decode("latin-1") if known is not None else None
            if sha256 is not None and not is_digest(sha256):
                known = sha256 = None
            if sha256 is not None and _is_there(output, size, section, rest):
                inspect(output, content)
            else:
                with replacing(output) as (temporary, stream):
                    _copy(first, temporary, stream)
                    rest.seek(0)
                    shutil.copyfileobj(rest, stream, _CHUNK)
                    stream.flush()
                    sha256 = _checked_digest(section, temporary, sha256)
                    inspect(temporary, content)
                if known is None:
                    packer.cache.put("digests", key, sha256.encode("ascii"))
    return Zip(path=output, size=size, sha256=sha256, content_sha256=content)


def write_packed(packed: Iterable[Packed], output: Path, timestamp: Timestamp) -> Zip:
    """Write entries that are compressed already to *output*, which holds the old file or the new one at any time."""
    refuse_strangers(output)
    with failing_as_archive_error(output), replacing(output) as (temporary, stream):
        section = _write_entries(packed, timestamp, stream)
        stream.write(section.directory)
        stream.write(end_record(len(section.entries), len(section.directory), section.size))
        stream.flush()
        with temporary.open("rb") as written:
            sha256 = _digest_of(written)
        size = stream.tell()
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


def _copy(first: StoredSection, temporary: Path, stream: IO[bytes]) -> None:
    """Begin the zip with *first*, by the fastest call that the system has; the rest of its file is cut off."""
    size = first.section.size
    try:
        if hasattr(os, "copy_file_range"):
            with first.file.open("rb") as source:
                left = size
                try:
                    while left and (copied := os.copy_file_range(source.fileno(), stream.fileno(), left)):
                        left -= copied
                except OSError:  # two file systems on an older Linux
                    left = size
            if not left:
                stream.seek(size)
                return
        shutil.copyfile(first.file, temporary)
    except (FileNotFoundError, PermissionError) as error:  # another build may have pruned the cache
        raise DamagedSectionError from error
    stream.truncate(size)
    stream.seek(size)


def _is_there(output: Path, size: int, section: Section, rest: IO[bytes]) -> bool:
    """Tell whether *output* is what would be written: the section, by its CRC-32, and byte for byte the *rest*."""
    if output.is_symlink() or not output.is_file() or output.stat().st_size != size:
        return False
    with output.open("rb") as stream:
        if _crc32(stream, section.size) != section.crc32:
            return False
        rest.seek(0)
        while chunk := rest.read(_CHUNK):
            if stream.read(len(chunk)) != chunk:
                return False
    return True


def _checked_digest(section: Section, temporary: Path, known: str | None) -> str:
    """Return the digest of the zip, having read back the section that was copied.

    The digest of a zip that was made before is *known*; then the copy's CRC-32 is enough.
    """
    sha256 = hashlib.sha256()
    with temporary.open("rb") as stream:
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
