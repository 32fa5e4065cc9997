"""Compress files on all cores, and hand them on in one fixed order."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Literal

import deflate
from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.archive.format import DEFLATED, STORED, Entry
from hatch_lambda.archive.streams import CachedStreams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from typing_extensions import Buffer, Self

    from hatch_lambda.archive.streams import Streams
    from hatch_lambda.cache import Cache
    from hatch_lambda.model import File, Progress

Compression = Literal["fast", "balanced", "smallest"]

_LEVELS: dict[Compression, int] = {"fast": 1, "balanced": 7, "smallest": 12}
"""libdeflate's levels: 7 is smaller than zlib's 9 at a tenth of its time; 12 takes long for the last 3 %."""


class Packed(Struct, frozen=True):
    """An entry with its data as the zip has them."""

    entry: Entry
    data: Buffer

    @property
    def content(self) -> bytes:
        """What is in the file, unpacked."""
        if self.entry.method == STORED:
            return bytes(self.data)
        return bytes(deflate.deflate_decompress(self.data, self.entry.size))

    def renamed(self, name: str) -> Packed:
        """Return the same under another *name*."""
        return Packed(replace(self.entry, name=name), self.data)


class Packer:
    """What compressing needs: how, on how many threads, and where streams are kept. Its threads end with its block."""

    def __init__(
        self, *, compression: Compression, cache: Cache, progress: Progress, jobs: int, streams: Streams | None = None
    ) -> None:
        """Make one that keeps its streams in *cache*, unless there are other *streams*."""
        self.cache = cache
        self.jobs = jobs
        self._level = _LEVELS[compression]
        self._streams = streams or CachedStreams(cache=cache, level=self._level)
        self._progress = progress
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._begun: dict[File, Future[Packed]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, file: File) -> None:
        """Let *file* be compressed from now on: it will most likely be packed."""
        self._begun[file] = self._pool.submit(self._pack, file)

    def pack_text(self, name: str, text: str) -> Packed:
        """Return the entry of a file that this program writes itself."""
        return self._pack_content(name, text.encode("utf-8"), executable=False)

    def pack_bytes(self, name: str, content: bytes) -> Packed:
        """Return the entry of a file that this program made itself, and that compresses no further."""
        entry = Entry(
            name=name,
            executable=False,
            method=STORED,
            crc32=deflate.crc32(content),
            size=len(content),
            compressed_size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        return Packed(entry, content)

    def pack(self, files: Iterable[File], directories: set[str]) -> Iterator[Packed]:
        """Yield the entries of *files* and of the directories above them, sorted by name.

        A directory among *directories* was written before and is not yielded; new ones are added to them. The
        largest files are begun first, so that no core idles at the end. Memory: at most the compressed files.
        """
        layout = _layout(files, directories)
        by_size = sorted((file for _, file in layout if file), key=lambda file: -file.size)
        begun = {self._begun.pop(file): file for file in by_size if file in self._begun}
        futures = {file.path: future for future, file in begun.items()}
        try:
            for file in by_size:
                if file.path not in futures:
                    futures[file.path] = self._pool.submit(self._packed, file)
            for future in as_completed(begun):
                self._progress.advance(begun[future].size)
            for name, _ in layout:
                packing = futures.pop(name, None)
                yield packing.result() if packing else Packed(Entry.of_directory(name), b"")
        finally:
            for future in futures.values():
                future.cancel()

    def _packed(self, file: File) -> Packed:
        packed = self._pack(file)
        self._progress.advance(file.size)
        return packed

    def _pack(self, file: File) -> Packed:
        return self._pack_content(file.path, file.source.read_bytes(), executable=file.executable)

    def _pack_content(self, name: str, content: bytes, *, executable: bool) -> Packed:
        sha256 = hashlib.sha256(content).hexdigest()
        data = self._compressed(content, sha256)
        method = DEFLATED
        if len(data) >= len(content):
            data, method = memoryview(content), STORED
        entry = Entry(
            name=name,
            executable=executable,
            method=method,
            crc32=deflate.crc32(content),
            size=len(content),
            compressed_size=len(data),
            sha256=sha256,
        )
        return Packed(entry, data)

    def _compressed(self, content: bytes, sha256: str) -> memoryview:
        kept = self._streams.get(sha256, len(content))
        if kept is None:
            kept = deflate.deflate_compress(content, self._level)
            self._streams.put(sha256, len(content), kept)
        return memoryview(kept)


def _layout(files: Iterable[File], directories: set[str]) -> list[tuple[str, File | None]]:
    """Return names with their files, and with None the new directories, in the order of their bytes."""
    layout: dict[str, File | None] = {}
    for file in files:
        for depth in range(1, len(file.parts)):
            directory = "/".join(file.parts[:depth]) + "/"
            if directory not in directories:
                directories.add(directory)
                layout[directory] = None
        layout[file.path] = file
    return sorted(layout.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"))
