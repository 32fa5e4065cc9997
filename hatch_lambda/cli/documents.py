"""The documents of commands whose values are mere paths and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from hatch_lambda.core.cache import Cache


class CleanDocument(Struct, frozen=True, kw_only=True):
    """What ``clean`` removed."""

    schema_version: Literal[1] = 1
    dry_run: Annotated[bool, Meta(description="Whether nothing was removed.")]
    removed: list[str]


class Held(Struct, frozen=True):
    """How much of a kind the cache holds."""

    entries: int = 0
    bytes: int = 0


class CacheDocument(Struct, frozen=True, kw_only=True):
    """What the cache holds."""

    schema_version: Literal[1] = 1
    folder: str
    bytes: int
    max_bytes: int
    kinds: dict[str, Held]

    @classmethod
    def of(cls, cache: Cache) -> CacheDocument:
        """Weigh what *cache* holds, by kind."""
        kinds: dict[str, Held] = {}
        for entry in cache.entries():
            held = kinds.get(entry.kind, Held())
            kinds[entry.kind] = Held(entries=held.entries + 1, bytes=held.bytes + entry.size)
        total = sum(held.bytes for held in kinds.values())
        return cls(folder=str(cache.root), bytes=total, max_bytes=cache.max_size, kinds=dict(sorted(kinds.items())))
