"""Compress files on all cores, and hand them on in one fixed order."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol

import deflate
from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.cache import digest
from hatch_lambda.core.parallel import batches
from hatch_lambda.stages.archive.section import DamagedSectionError
from hatch_lambda.stages.archive.zipformat import DEFLATED, STORED, Entry, local_header_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Self

    from typing_extensions import Buffer

    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.model import File, Progress
    from hatch_lambda.stages.archive.section import StoredSection


Compression = Literal["fast", "balanced", "smallest"]

_LEVELS: dict[Compression, int] = {"fast": 1, "balanced": 7, "smallest": 12}
"""libdeflate's levels: 7 is smaller than zlib's 9 at a tenth of its time; 12 takes long for the last 3 %."""

_LARGE = 1 << 20
"""Bytes from which a file is worth beginning with, so that no core idles at the end."""

_BATCH = 1 << 18
"""Bytes of files that are compressed in one go: many of them are so small that handing them around takes longer."""


class Packed(Struct, frozen=True):
    """An entry with its data as the zip has them."""

    entry: Entry
    data: Buffer

    @property
    def content(self) -> bytes:
        """What is in the file, unpacked. Raises DamagedSectionError where the data do not say that."""
        if self.entry.method == STORED:
            return bytes(self.data)
        try:
            return bytes(deflate.deflate_decompress(self.data, self.entry.size))
        except deflate.DeflateError as error:
            raise DamagedSectionError from error

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
        self._begun: dict[str, tuple[File, Future[dict[str, Packed]]]] = {}
        self._finished: set[str] = set()
        self._awaited: set[str] = set()
        """Paths of files that are to be packed for certain: only these count as progress."""
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def begin(self, file: File) -> None:
        """Let *file* be compressed from now on: it will most likely be packed."""
        self._begun[file.path] = file, self._pool.submit(self._pack_all, (file,))

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

        A directory among *directories* was written before and is not yielded; new ones are added to them. Memory: at
        most the compressed files.
        """
        layout = _layout(files, directories)
        futures = self._futures([file for _, file in layout if file])
        for name, file in layout:
            yield futures.pop(name).result().pop(name) if file else Packed(Entry.of_directory(name), b"")

    def _futures(self, files: Sequence[File]) -> dict[str, Future[dict[str, Packed]]]:
        """Begin what is not begun yet of *files*, and return by its path what each will be part of."""
        futures: dict[str, Future[dict[str, Packed]]] = {}
        others: list[File] = []
        for file in files:
            begun, future = self._begun.pop(file.path, (None, None))
            if future is not None and begun == file:
                futures[file.path] = future
            else:
                others.append(file)
        with self._lock:
            self._awaited.update(file.path for file in files)
            finished = self._finished & futures.keys()
        self._progress.advance(sum(file.size for file in files if file.path in finished))
        for batch in _batches(others):
            futures |= dict.fromkeys((file.path for file in batch), self._pool.submit(self._pack_all, batch))
        return futures

    def _pack_all(self, files: Iterable[File]) -> dict[str, Packed]:
        packed = {}
        for file in files:
            packed[file.path] = self._pack(file)
            with self._lock:
                self._finished.add(file.path)
                awaited = file.path in self._awaited
            if awaited:
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
        kept = self._streams.get(content, sha256)
        if kept is None:
            kept = deflate.deflate_compress(content, self._level)
            self._streams.put(content, sha256, kept)
        return memoryview(kept)


def _batches(files: Sequence[File]) -> Iterator[list[File]]:
    """Yield the large ones of *files* by themselves, the largest first, and then the others in their order."""
    large = [file for file in files if file.size >= _LARGE]
    yield from ([file] for file in sorted(large, key=lambda file: -file.size))
    small = (file for file in files if file.size < _LARGE)
    yield from batches(small, lambda file: file.size, lambda _: _BATCH)


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


_WORTH_KEEPING = 1 << 15
"""Bytes below which compressing a file again is as quick as looking its entry up."""

_WORTH_READING = 1 << 11
"""The same for a file in a section."""


class Streams(Protocol):
    """A store of data by the SHA-256, as hexadecimal, of the content that they unpack to."""

    def get(self, content: bytes, sha256: str) -> Buffer | None:
        """Return the data of *content*, or that itself where compressing gains nothing; None where it is not kept."""

    def put(self, content: bytes, sha256: str, data: Buffer) -> None:
        """Keep the *data* of *content*, if that is worth it."""


class CachedStreams(Struct, frozen=True, kw_only=True):
    """Large files, each an entry of the cache."""

    cache: Cache
    level: int

    def get(self, content: bytes, sha256: str) -> memoryview | None:
        """Return what is kept, once it was seen to be right."""
        data = self.cache.get("streams", self._key(sha256)) if len(content) >= _WORTH_KEEPING else None
        return data if data is not None and _unpacks_to(data, content) else None

    def put(self, content: bytes, sha256: str, data: Buffer) -> None:
        """Keep *data*."""
        if len(content) >= _WORTH_KEEPING:
            self.cache.put("streams", self._key(sha256), data)

    def _key(self, sha256: str) -> str:
        return digest(sha256, self.level, deflate.__version__)


class _Place(Struct, frozen=True):
    """Where data are."""

    file: Path
    offset: int
    size: int

    def read(self, content: bytes) -> bytes | None:
        """Return the data if they unpack to *content*; None where the file is gone, or they do not."""
        try:
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(self.offset)
                data = stream.read(self.size)
        except OSError:  # another build may have pruned the cache
            return None
        return data if _unpacks_to(data, content) else None


def _unpacks_to(data: bytes | memoryview, content: bytes) -> bool:
    try:
        unpacked = data if len(data) == len(content) else deflate.deflate_decompress(data, len(content))
    except deflate.DeflateError:
        return False
    return unpacked == content


class SectionStreams:
    """What is in *sections* that are whole and were compressed alike; what is new goes to the next one."""

    def __init__(self, sections: Iterable[StoredSection]) -> None:
        self._places = {sha256: place for stored in sections for sha256, place in _places(stored)}

    def get(self, content: bytes, sha256: str) -> Buffer | None:
        """Return what is kept, once it was seen to be right."""
        place = self._places.get(sha256) if len(content) >= _WORTH_READING else None
        return place.read(content) if place is not None else None

    def put(self, content: bytes, sha256: str, data: Buffer) -> None:
        """Leave it to the section that is being written."""


def _places(stored: StoredSection) -> Iterator[tuple[str, _Place]]:
    """Yield the digest of each file, and where in the section its data are."""
    offset = 0
    for entry in stored.section.entries:
        offset += local_header_size(entry)
        if entry.sha256:
            yield entry.sha256, _Place(stored.file, offset, entry.compressed_size)
        offset += entry.compressed_size


def with_directories(files: Iterable[Packed]) -> Iterator[Packed]:
    """Yield *files* and, before the first file in each directory, that directory."""
    known: set[str] = set()
    for packed in files:
        parts = packed.entry.name.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth]) + "/"
            if directory not in known:
                known.add(directory)
                yield Packed(Entry.of_directory(directory), b"")
        yield packed
