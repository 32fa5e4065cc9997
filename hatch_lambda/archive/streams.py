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

    def get(self, sha256: str, size: int) -> Buffer | None:
        """Return the data of a content of *size* bytes, or that content itself where compressing gains nothing."""

    def put(self, sha256: str, size: int, data: Buffer) -> None:
        """Keep *data*, if that is worth it."""


class CachedStreams(Struct, frozen=True, kw_only=True):
    """Large files, each an entry of the cache."""

    cache: Cache
    level: int

    def get(self, sha256: str, size: int) -> memoryview | None:
        """Return what is kept."""
        return self.cache.get("streams", self._key(sha256)) if size >= _WORTH_KEEPING else None

    def put(self, sha256: str, size: int, data: Buffer) -> None:
        """Keep *data*."""
        if size >= _WORTH_KEEPING:
            self.cache.put("streams", self._key(sha256), data)

    def _key(self, sha256: str) -> str:
        return digest(sha256, self.level, deflate.__version__)


class _Place(Struct, frozen=True):
    """Where data are."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes | None:
        """Return the data; None where the file is gone."""
        try:
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(self.offset)
                data = stream.read(self.size)
        except OSError:  # another build has pruned the cache
            return None
        return data if len(data) == self.size else None


class SectionStreams:
    """What is in *sections* that are whole and were compressed alike; what is new goes to the next one.

    And what is *at_hand*, by its digest, since this very build has compressed it.
    """

    def __init__(self, sections: Iterable[StoredSection], at_hand: Mapping[str, Buffer]) -> None:
        self._places = {sha256: place for stored in sections for sha256, place in _places(stored)}
        self._at_hand = at_hand

    def get(self, sha256: str, size: int) -> Buffer | None:
        """Return what is kept."""
        if sha256 in self._at_hand:
            return self._at_hand[sha256]
        place = self._places.get(sha256) if size >= _WORTH_READING else None
        return place.read() if place is not None else None

    def put(self, sha256: str, size: int, data: Buffer) -> None:
        """Leave it to the section that is being written."""


def _places(stored: StoredSection) -> Iterator[tuple[str, _Place]]:
    """Yield the digest of each file, and where in the section its data are."""
    offset = 0
    for entry in stored.section.entries:
        offset += local_header_size(entry)
        if entry.sha256:
            yield entry.sha256, _Place(stored.file, offset, entry.compressed_size)
        offset += entry.compressed_size
