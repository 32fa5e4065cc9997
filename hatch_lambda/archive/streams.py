"""Where compressed data are kept, so that the same content is compressed once.

Those of the dependencies are in the section that was made of them, and go from there to the next one. Files of the
project, which are in no section, have entries of the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import deflate
from msgspec import Struct

from hatch_lambda.archive.format import local_header_size
from hatch_lambda.cache import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Buffer

    from hatch_lambda.archive.writer import StoredSection
    from hatch_lambda.cache import Cache

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
    """What is in *sections* that are whole and were compressed alike; what is new goes to the next one.

    And what is *at_hand*, by its digest, since this very build has compressed it.
    """

    def __init__(self, sections: Iterable[StoredSection], at_hand: Mapping[str, Buffer]) -> None:
        self._places = {sha256: place for stored in sections for sha256, place in _places(stored)}
        self._at_hand = at_hand

    def get(self, content: bytes, sha256: str) -> Buffer | None:
        """Return what is kept, once it was seen to be right."""
        if sha256 in self._at_hand:
            return self._at_hand[sha256]
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
