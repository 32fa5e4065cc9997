"""Work in portions, for things so small that handing each around takes longer than doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")


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
