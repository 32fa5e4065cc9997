"""Compress the files of a tree on all cores, and write them in one fixed order."""

from __future__ import annotations

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

import deflate

from hatch_lambda.archive import format as zipformat
from hatch_lambda.archive.format import DEFLATED, STORED, Entry, Timestamp
from hatch_lambda.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from hatch_lambda.model import File, Progress, Tree

_LEVELS = {"fast": 1, "balanced": 7, "smallest": 12}
"""libdeflate's levels: 7 is smaller than zlib's 9 at a tenth of its time; 12 takes long for the last 3 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePolicy:
    """All that the bytes of a zip depend on beside the files."""

    compression: Literal["fast", "balanced", "smallest"]
    source_date_epoch: int | None
    """Seconds since 1970 for the date of every entry; None: 1980-01-01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A finished zip."""

    path: Path
    size: int
    sha256: str
    """Of the zip, as hexadecimal."""
    content_sha256: str
    """Of names, modes and contents alone: equal for zips that differ only in compression or dates."""


@dataclass(frozen=True, slots=True)
class _Packed:
    entry: Entry
    data: bytes | bytearray
    sha256: bytes


def write(tree: Tree, output: Path, policy: ArchivePolicy, progress: Progress, *, jobs: int) -> Written:
    """Write *tree* as a zip to *output*, which holds the old file or the new one at any time.

    The dependencies' entries come first, then the project's, each part sorted by name; a directory that both
    have belongs to the first. Raises ArchiveError when the file cannot be written.
    """
    timestamp = Timestamp.of(policy.source_date_epoch)
    level = _LEVELS[policy.compression]
    progress.start("compress", tree.size)
    try:
        with _replacing(output) as stream, ThreadPoolExecutor(max_workers=jobs) as pool:
            packed = _pack_all(_layout(tree), level, pool, progress)
            zip_digest, content_digest = _write_entries(packed, timestamp, stream)
            size = stream.tell()
    except OSError as error:
        raise ArchiveError(
            f"{output}: the package could not be written: {error.strerror or error}",
            hint="check the free space and the permissions of that folder; an older package was left as it is",
        ) from error
    return Written(path=output, size=size, sha256=zip_digest, content_sha256=content_digest)


def _layout(tree: Tree) -> list[tuple[str, File | None]]:
    """Return the entries in their order: a name with its file, or a directory's name with None."""
    layout: list[tuple[str, File | None]] = []
    directories: set[str] = set()
    for is_project in (False, True):
        part: dict[str, File | None] = {}
        for file in tree:
            if file.project is not is_project:
                continue
            for depth in range(1, len(file.parts)):
                directory = "/".join(file.parts[:depth]) + "/"
                if directory not in directories:
                    directories.add(directory)
                    part[directory] = None
            part[file.path] = file
        layout += sorted(part.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"))
    return layout


def _pack_all(
    layout: list[tuple[str, File | None]], level: int, pool: ThreadPoolExecutor, progress: Progress
) -> Iterator[_Packed]:
    """Yield the packed entries in order; the largest files are begun first, so that no core idles at the end."""
    by_size = sorted(range(len(layout)), key=lambda index: -_size(layout[index][1]))
    futures: list[Future[_Packed] | None] = [None] * len(layout)
    for index in by_size:
        name, file = layout[index]
        if file is not None:
            futures[index] = pool.submit(_pack, name, file, level, progress)
    try:
        for index, (name, _) in enumerate(layout):
            future = futures[index]
            futures[index] = None
            yield future.result() if future else _directory(name)
    finally:
        for future in futures:
            if future is not None:
                future.cancel()


def _size(file: File | None) -> int:
    return file.size if file else 0


def _pack(name: str, file: File, level: int, progress: Progress) -> _Packed:
    content = file.source.read_bytes()
    data: bytes | bytearray = deflate.deflate_compress(content, level)
    method = DEFLATED
    if len(data) >= len(content):
        data, method = content, STORED
    entry = Entry(
        name=name,
        executable=file.executable,
        method=method,
        crc32=deflate.crc32(content),
        size=len(content),
        compressed_size=len(data),
    )
    progress.advance(len(content))
    return _Packed(entry, data, hashlib.sha256(content).digest())


def _directory(name: str) -> _Packed:
    entry = Entry(name=name, executable=False, method=STORED, crc32=0, size=0, compressed_size=0)
    return _Packed(entry, b"", b"")


def _write_entries(packed: Iterator[_Packed], timestamp: Timestamp, stream: IO[bytes]) -> tuple[str, str]:
    """Write everything, and return the digest of the zip and the digest of its content."""
    zip_digest, content_digest = hashlib.sha256(), hashlib.sha256()
    offset = 0
    central: list[bytes] = []

    def put(data: bytes | bytearray) -> None:
        stream.write(data)
        zip_digest.update(data)

    for item in packed:
        header = zipformat.local_header(item.entry, timestamp)
        central.append(zipformat.central_header(item.entry, timestamp, offset))
        put(header)
        put(item.data)
        offset += len(header) + len(item.data)
        line = f"{item.entry.mode:o} {item.sha256.hex()} {item.entry.name}\n"
        content_digest.update(line.encode("utf-8"))
    put(b"".join(central))
    put(zipformat.end_record(central, offset))
    return zip_digest.hexdigest(), content_digest.hexdigest()


@contextmanager
def _replacing(output: Path) -> Iterator[IO[bytes]]:
    """Open a new file beside *output* that takes its place when all went well, and vanishes otherwise."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
