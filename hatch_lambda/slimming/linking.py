"""Which shared libraries others load: by the linker's word (``DT_NEEDED``), or by a name to open."""

from __future__ import annotations

import re
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from hatch_lambda.slimming.code import ELF_MAGIC, begins_with

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hatch_lambda.model import File

_REST = re.compile(rb"[\w.+-]*\0")


def linked(candidates: Collection[File], kept: Iterable[File]) -> set[str]:
    """Return the base names of those *candidates* that objects which stay have as a string, and so may load.

    What a linker notes as needed is such a string, as is a name that C code opens, and the name that an object
    has itself. What is found then stays, and may load others.
    """
    names = {file.path.rpartition("/")[2] for file in candidates}
    stems = {name.partition(".so")[0].encode() + b".so" for name in names}
    found: set[str] = set()
    for file in kept:
        if ".so" in file.path and begins_with(file, (ELF_MAGIC,)):
            found |= _names_in(file, stems)
    found &= names
    pending = [file for file in candidates if file.path.rpartition("/")[2] in found]
    while pending:
        more = (_names_in(pending.pop(), stems) & names) - found
        found |= more
        pending += (file for file in candidates if file.path.rpartition("/")[2] in more)
    return found


def _names_in(file: File, stems: Iterable[bytes]) -> set[str]:
    found: set[str] = set()
    with file.source.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as data:
        for stem in stems:
            position = data.find(stem)
            while position >= 0:
                if rest := _REST.match(data, position + len(stem)):
                    found.add((stem + rest[0][:-1]).decode(errors="replace"))
                position = data.find(stem, position + len(stem))
    return found
