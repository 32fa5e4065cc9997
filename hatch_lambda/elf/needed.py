"""Read which libraries a shared object loads: DT_NEEDED of its dynamic section (System V ABI, chapter 5)."""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING

from hatch_lambda.elf.read import EHDR, PHDR, PT_LOAD, Ehdr, Phdr

if TYPE_CHECKING:
    from collections.abc import Iterator

_PT_DYNAMIC = 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5
_DYN = Struct("<qQ")
_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"


def needed(data: bytes) -> frozenset[str]:
    """Return the file names of the libraries that the object *data* asks for; none for what is no object."""
    if not data.startswith(_ELF64_LITTLE_ENDIAN):
        return frozenset()
    try:
        return frozenset(_needed(data))
    except (error, ValueError):  # a damaged or foreign file loads nothing that could be told
        return frozenset()


def _needed(data: bytes) -> Iterator[str]:
    header = Ehdr._make(EHDR.unpack_from(data))
    segments = [Phdr._make(PHDR.unpack_from(data, header.e_phoff + i * PHDR.size)) for i in range(header.e_phnum)]
    for segment in segments:
        if segment.p_type != _PT_DYNAMIC:
            continue
        names: list[int] = []
        strings = 0
        for offset in range(segment.p_offset, segment.p_offset + segment.p_filesz, _DYN.size):
            tag, value = _DYN.unpack_from(data, offset)
            if tag == _DT_NULL:
                break
            if tag == _DT_NEEDED:
                names.append(value)
            elif tag == _DT_STRTAB:
                strings = _offset(value, segments)
        for name in names:
            start = strings + name
            yield data[start : data.index(b"\0", start)].decode("utf-8", "replace")


def _offset(address: int, segments: list[Phdr]) -> int:
    """Return where in the file the byte is that is loaded at *address*."""
    for segment in segments:
        if segment.p_type == PT_LOAD and segment.p_vaddr <= address < segment.p_vaddr + segment.p_filesz:
            return address - segment.p_vaddr + segment.p_offset
    raise ValueError(address)
