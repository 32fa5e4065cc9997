"""The entries of directories, which follow from those of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.archive import Entry, Packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
