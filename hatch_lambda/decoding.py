"""Decode documents into the types that they are of, in any thread.

msgspec finds out about a type when it first meets it, and shows other threads what it has not finished: they end in a
segmentation fault. So one thread at a time decodes; they could not do it at the same time anyway.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_LOCK = threading.RLock()


def from_json(content: bytes | memoryview | str, kind: type[T]) -> T:
    """Decode JSON; raises msgspec.MsgspecError for what is none, or not of that *kind*."""
    with _LOCK:
        return msgspec.json.decode(content, type=kind)


def from_msgpack(content: bytes | memoryview, kind: type[T]) -> T:
    """Decode MessagePack; raises msgspec.MsgspecError for what is none, or not of that *kind*."""
    with _LOCK:
        return msgspec.msgpack.decode(content, type=kind)


def from_cache(kept: memoryview | None, kind: type[T]) -> T | None:
    """Decode what a cache *kept*; None where it kept nothing, or what is whole and not of that *kind*."""
    try:
        return None if kept is None else from_msgpack(kept, kind)
    except msgspec.MsgspecError:
        return None


def convert(value: Any, kind: type[T]) -> T:
    """Convert what a parser returned; raises msgspec.ValidationError for what is not of that *kind*."""
    with _LOCK:
        return msgspec.convert(value, kind)


def to_msgpack(value: Any) -> bytes:
    """Encode as MessagePack, the same each time: sets and mappings in the order of their members."""
    with _LOCK:
        return msgspec.msgpack.encode(value, order="deterministic")
