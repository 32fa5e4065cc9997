"""Read the tables of an ELF file, and refuse what :mod:`hatch_lambda.stages.strip.strip` must not touch.

Field names are those of the ELF specification (System V ABI, chapters 4 and 5).
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

import msgspec

PAGE = 4096
"""The page size of Lambda's kernels, on both architectures."""

EHDR_SIZE = 64
PHDR_SIZE = 56
SHDR_SIZE = 64

PT_LOAD = 1
SHT_NULL = 0
SHT_STRTAB = 3
SHT_NOBITS = 8
SHF_ALLOC = 0x2

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01\x01"
_ET_DYN = 3
_OTHER_TYPES = {
    1: "it is a relocatable object, an input of the linker",
    2: "it is a program with fixed addresses",
    4: "it is a core dump",
}
AARCH64 = 183
_MACHINES = {62: "x86_64", AARCH64: "aarch64"}
_MOST_SECTIONS = 0xFF00 - 1
"""SHN_LORESERVE, less one for a new ``.shstrtab``."""
_PN_XNUM = 0xFFFF
_LONGEST_NAME = 255
_MOST_NAME_BYTES = 1 << 20
_MOST_OVERLAP = 8
"""How often, on average, tables may describe the same byte; real files stay below 2."""
_LARGEST_HMAC = 128
_LARGEST_SCRAP = 4096
"""Bytes that no header describes and that still count as patchelf's leavings; 393 were the most seen."""


class Unstrippable(ValueError):  # noqa: N818 - it is a reason to keep a file, not an error
    """Say why a file must stay as it is."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ehdr(NamedTuple):
    """The ELF header."""

    e_ident: bytes
    e_type: int
    e_machine: int
    e_version: int
    e_entry: int
    e_phoff: int
    e_shoff: int
    e_flags: int
    e_ehsize: int
    e_phentsize: int
    e_phnum: int
    e_shentsize: int
    e_shnum: int
    e_shstrndx: int


class Phdr(NamedTuple):
    """A program header: one segment."""

    p_type: int
    p_flags: int
    p_offset: int
    p_vaddr: int
    p_paddr: int
    p_filesz: int
    p_memsz: int
    p_align: int


class Shdr(NamedTuple):
    """A section header."""

    sh_name: int
    sh_type: int
    sh_flags: int
    sh_addr: int
    sh_offset: int
    sh_size: int
    sh_link: int
    sh_info: int
    sh_addralign: int
    sh_entsize: int

    @property
    def file_size(self) -> int:
        """Bytes that it takes in the file."""
        return 0 if self.sh_type in (SHT_NULL, SHT_NOBITS) else self.sh_size


EHDR = Struct("<16sHHIQQQIHHHHHH")
PHDR = Struct("<IIQQQQQQ")
SHDR = Struct("<IIQQQQIIQQ")


class Elf(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of a shared object; everything that they describe lies in the file."""

    header: Ehdr
    segments: tuple[Phdr, ...]
    sections: tuple[Shdr, ...]
    names: tuple[bytes, ...]
    """The sections' names, in the order of the sections."""


def read(data: memoryview) -> Elf:
    """Read the tables of a shared object.

    Raises Unstrippable for anything but an ELF64 little-endian ET_DYN of a known machine whose tables have
    the ordinary shape and describe all that is in it.
    """
    header = _read_header(data)
    segments = _read_segments(data, header)
    sections = _read_sections(data, header)
    elf = Elf(
        header=header,
        segments=segments,
        sections=sections,
        names=_read_names(data, sections, header.e_shstrndx),
    )
    _refuse_self_check(elf)
    _refuse_payload(data, elf)
    return elf


def _read_header(data: memoryview) -> Ehdr:
    if len(data) < EHDR_SIZE:
        raise Unstrippable("it is shorter than an ELF header")
    header = Ehdr._make(EHDR.unpack_from(data))
    if not header.e_ident.startswith(_ELF64_LITTLE_ENDIAN):
        raise Unstrippable("it is not a 64-bit little-endian ELF file")
    if header.e_machine not in _MACHINES:
        raise Unstrippable(f"it is for another machine (e_machine {header.e_machine})")
    if header.e_type != _ET_DYN:
        other = _OTHER_TYPES.get(header.e_type, f"its type is unknown (e_type {header.e_type})")
        raise Unstrippable(f"{other}, not a shared object")
    if header.e_version != 1 or header.e_ehsize != EHDR_SIZE:
        raise Unstrippable("its ELF header has an unknown version or size")
    return header


def _read_segments(data: memoryview, header: Ehdr) -> tuple[Phdr, ...]:
    if header.e_phentsize != PHDR_SIZE or header.e_phnum in (0, _PN_XNUM):
        raise Unstrippable("its program header table has an unusual shape")
    if header.e_phoff < EHDR_SIZE or header.e_phoff % 8:
        raise Unstrippable("its program header table is misplaced")
    table = _slice(data, header.e_phoff, header.e_phnum * PHDR_SIZE, "program header table")
    segments = tuple(map(Phdr._make, PHDR.iter_unpack(table)))
    for segment in segments:
        if segment.p_filesz or segment.p_type == PT_LOAD:
            _slice(data, segment.p_offset, segment.p_filesz, "segment")
        if segment.p_align & (segment.p_align - 1):
            raise Unstrippable("a segment's alignment is not a power of two")
        if segment.p_type == PT_LOAD:
            if segment.p_filesz > segment.p_memsz:
                raise Unstrippable("a segment is larger in the file than in memory")
            if (segment.p_offset - segment.p_vaddr) % max(segment.p_align, PAGE):
                raise Unstrippable("a segment's offset and address disagree with its alignment")
    if sum(segment.p_filesz for segment in segments) > _MOST_OVERLAP * len(data):
        raise Unstrippable("its segments overlap")
    return segments


def _read_sections(data: memoryview, header: Ehdr) -> tuple[Shdr, ...]:
    if not header.e_shoff or not header.e_shnum:
        raise Unstrippable("it has no section table of the ordinary form")
    if header.e_shentsize != SHDR_SIZE or header.e_shnum >= _MOST_SECTIONS:
        raise Unstrippable("its section table has an unusual shape")
    table = _slice(data, header.e_shoff, header.e_shnum * SHDR_SIZE, "section table")
    sections = tuple(map(Shdr._make, SHDR.iter_unpack(table)))
    if sections[0].sh_type != SHT_NULL:
        raise Unstrippable("its section table does not begin with the null section")
    for section in sections:
        if section.file_size:
            _slice(data, section.sh_offset, section.sh_size, "section")
        if section.sh_addralign & (section.sh_addralign - 1):
            raise Unstrippable("a section's alignment is not a power of two")
    if sum(section.file_size for section in sections) > _MOST_OVERLAP * len(data):
        raise Unstrippable("its sections overlap")
    return sections


def _read_names(data: memoryview, sections: tuple[Shdr, ...], index: int) -> tuple[bytes, ...]:
    if not 0 < index < len(sections) or sections[index].sh_type != SHT_STRTAB:
        raise Unstrippable("it has no section names")
    table = sections[index]
    if table.sh_size > _MOST_NAME_BYTES:
        raise Unstrippable("its section names take more than 1 MiB")
    text = bytes(data[table.sh_offset : table.sh_offset + table.sh_size])
    names = []
    for section in sections:
        end = text.find(b"\0", section.sh_name, section.sh_name + _LONGEST_NAME + 1)
        if end < 0:
            raise Unstrippable("a section has no readable name")
        names.append(text[section.sh_name : end])
    return tuple(names)


def _refuse_self_check(elf: Elf) -> None:
    """Refuse what carries a digest of its own file, as Red Hat builds the FIPS modules of OpenSSL and libgcrypt."""
    for section, name in zip(elf.sections, elf.names, strict=True):
        if name == b".note.fdo.integrity" or (name == b".rodata1" and section.sh_size <= _LARGEST_HMAC):
            raise Unstrippable(f"it carries a digest of its own file in {name.decode()}")


def _refuse_payload(data: memoryview, elf: Elf) -> None:
    """Refuse bytes that no header describes, which are then data that the program finds by itself.

    patchelf leaves a byte of padding at the end and scraps of old tables in between.
    """
    header = elf.header
    described = [
        (0, EHDR_SIZE),
        (header.e_phoff, header.e_phoff + len(elf.segments) * PHDR_SIZE),
        (header.e_shoff, header.e_shoff + len(elf.sections) * SHDR_SIZE),
        *((part.p_offset, part.p_offset + part.p_filesz) for part in elf.segments),
        *((part.sh_offset, part.sh_offset + part.file_size) for part in elf.sections),
    ]
    scraps = end = 0
    for start, stop in sorted(part for part in described if part[0] < part[1]):
        if start > end:
            scraps += len(bytes(data[end:start]).strip(b"\0"))
        end = max(end, stop)
    if len(data) - end > PAGE or any(data[end:]):
        raise Unstrippable("data is appended to it")
    if scraps > _LARGEST_SCRAP:
        raise Unstrippable("it holds data that no header describes")


def _slice(data: memoryview, offset: int, size: int, what: str) -> memoryview:
    if offset + size > len(data):
        raise Unstrippable(f"a {what} lies outside of the file")
    return data[offset : offset + size]
