"""Threads: work in portions, for what is so small that handing each around takes longer than doing it; and once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


T = TypeVar("T")


class Once:
    """Values that are made once, however many threads ask for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._made: dict[str, Any] = {}

    def get(self, key: str, make: Callable[[], T]) -> T:
        """Return what *make* returned when *key* was first asked for; what it raises is not remembered."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._made:
                self._made[key] = make()
            made: T = self._made[key]
            return made


def batches(items: Iterable[T], size: Callable[[T], int], enough: Callable[[int], int]) -> Iterator[list[T]]:
    """Yield *items* in their order, as lists of which each, but for the last, just reaches what is *enough*.

    That is asked with the sizes of all earlier lists, added up.
    """
    batch: list[T] = []
    taken = held = 0
    for item in items:
        batch.append(item)
        held += size(item)
        if held >= enough(taken):
            yield batch
            taken += held
            batch, held = [], 0
    if batch:
        yield batch


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1
