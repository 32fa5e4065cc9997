"""Prove that a stripped object loads into memory exactly as the original does.

The proof shares nothing with :mod:`hatch_lambda.stages.strip.strip` but the word for a refusal: it reads both files
anew and compares them. Passing on the build host would prove nothing: glibc before 2.35, which
Lambda has, demands more than newer ones.
"""

from __future__ import annotations

from struct import Struct, error
from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.core.elf.tables import Unstrippable

if TYPE_CHECKING:
    from collections.abc import Iterator


_EHDR_END = 64
_PHENTSIZE = 56
_P_ALIGN = 48
"""Where in a program header its alignment is: the last field."""
_SHENTSIZE = 64
_PAGE = 4096
_PT_LOAD = 1
_SHT_NOBITS = 8
_SHF_ALLOC = 2
_SHF_INFO_LINK = 0x40
_RELOCATIONS = (4, 9)
_NAMES_TO_KEEP = (b".note.gnu.build-id", b".gnu_debuglink")

_E_TABLES = Struct("<QQ")
"""e_phoff and e_shoff, at 32."""
_E_COUNTS = Struct("<HHHHH")
"""e_phentsize, e_phnum, e_shentsize, e_shnum and e_shstrndx, at 54."""
_P = Struct("<I4xQQ8xQQQ")
"""p_type, p_offset, p_vaddr, p_filesz, p_memsz and p_align."""
_S = Struct("<IIQQQQIIQQ")


class _Segment(msgspec.Struct, frozen=True):
    type: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int

    @property
    def end(self) -> int:
        return self.offset + self.filesz


class _Section(msgspec.Struct, frozen=True):
    name: bytes
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int

    @property
    def fixed(self) -> tuple[bytes, int, int, int, int, int, int]:
        """What must not change."""
        return (
            self.name,
            self.type,
            self.flags,
            self.addr,
            self.size,
            self.addralign,
            self.entsize,
        )

    @property
    def in_file(self) -> bool:
        return self.type not in (0, _SHT_NOBITS) and self.size > 0


class _View:
    """The tables of one file, read for the proof."""

    __slots__ = ("data", "phnum", "phoff", "sections", "segments")

    phoff: int
    phnum: int

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.phoff, shoff = _E_TABLES.unpack_from(data, 32)
        phentsize, self.phnum, shentsize, shnum, shstrndx = _E_COUNTS.unpack_from(data, 54)
        _require((phentsize, shentsize) == (_PHENTSIZE, _SHENTSIZE), "the tables' shape changed")
        self.segments = [
            _Segment(*_P.unpack_from(data, self.phoff + index * _PHENTSIZE)) for index in range(self.phnum)
        ]
        rows = [_S.unpack_from(data, shoff + index * _SHENTSIZE) for index in range(shnum)]
        _require(0 < shstrndx < shnum, "there are no section names")
        _, _, _, _, offset, size, *_ = rows[shstrndx]
        _require(offset + size <= len(data), "the section names lie outside of the file")
        names = bytes(data[offset : offset + size])
        self.sections = [_Section(_name(names, row[0]), *row[1:]) for row in rows]


def prove(original: bytes | bytearray | memoryview, stripped: bytes | bytearray, *, realigned: bool = False) -> None:
    """Raise Unstrippable unless *stripped* is *original* as far as a loader can tell.

    Every segment has its bytes, addresses, sizes and flags; every offset is congruent to its address for
    the real alignment; every allocated section is there, under its index. *original* is a file that
    :func:`hatch_lambda.core.elf.tables.read` accepted. Of a *realigned* one, a segment may be aligned to a page where
    it was aligned to more.
    """
    try:
        before, after = _View(memoryview(original)), _View(memoryview(stripped))
    except (error, OverflowError) as problem:
        raise Unstrippable("the proof failed: a table lies outside of the file") from problem
    _prove_headers(before, after, realigned=realigned)
    for old, new in zip(before.segments, after.segments, strict=True):
        _prove_segment(before, after, stripped, old, new)
    _prove_sections(before, after, stripped)


def _prove_headers(before: _View, after: _View, *, realigned: bool) -> None:
    """Prove that but p_offset, and the places and counts of tables, every field is what it was."""
    _require(before.data[:32] == after.data[:32], "the ELF header changed")
    _require(before.data[48:60] == after.data[48:60], "the ELF header changed")
    for index in range(before.phnum):
        old, new = before.phoff + index * _PHENTSIZE, after.phoff + index * _PHENTSIZE
        same = (
            before.data[old : old + 8] == after.data[new : new + 8]
            and before.data[old + 16 : old + _P_ALIGN] == after.data[new + 16 : new + _P_ALIGN]
        )
        _require(same, "a program header changed")
        was, now = before.segments[index], after.segments[index]
        changed = realigned and was.type == _PT_LOAD and was.align > _PAGE == now.align
        _require(was.align == now.align or changed, "a segment's alignment changed")


def _prove_segment(before: _View, after: _View, stripped: bytes | bytearray, old: _Segment, new: _Segment) -> None:
    if new.type == _PT_LOAD:
        modulus = max(new.align, _PAGE)
        _require((new.offset - new.vaddr) % modulus == 0, "a segment's alignment is broken")
        if new.memsz > new.filesz and (new.vaddr + new.filesz) % modulus:
            page = new.end // modulus * modulus
            _require(page < len(stripped), "a segment's last page lies outside of the file")
    if not old.filesz:
        return
    tables = ((0, _EHDR_END, 0), (before.phoff, _table_end(before), after.phoff))
    for start, end, moved_to in tables:
        if start < old.end and old.offset < end:
            moved_with = moved_to - new.offset == start - old.offset
            _require(moved_with, "the headers left the segment that holds them")
    for start, end in _without_tables(before, old):
        # startswith() compares buffers in place; == on memoryviews goes item by item.
        same = stripped.startswith(before.data[start:end], start - old.offset + new.offset)
        _require(same, "a segment's bytes changed")


def _without_tables(before: _View, segment: _Segment) -> Iterator[tuple[int, int]]:
    """Yield the parts of a segment that hold neither the ELF header nor program headers."""
    for start, end in ((_EHDR_END, before.phoff), (_table_end(before), segment.end)):
        first, last = max(start, segment.offset), min(end, segment.end)
        if first < last:
            yield first, last


def _table_end(view: _View) -> int:
    return view.phoff + view.phnum * _PHENTSIZE


def _prove_sections(before: _View, after: _View, stripped: bytes | bytearray) -> None:
    """Prove that allocated sections are what they were, and that no other claims to be allocated."""
    for index, old in enumerate(before.sections):
        if old.flags & _SHF_ALLOC and old.type:
            _require(index < len(after.sections), "an allocated section is missing")
            new = after.sections[index]
            _require(old.fixed == new.fixed, "an allocated section changed")
            _prove_section_bytes(before, stripped, old, new)
            _prove_links(before, after, old, new)
    counts = [
        sum(1 for section in view.sections if section.flags & _SHF_ALLOC and section.type) for view in (before, after)
    ]
    _require(counts[0] == counts[1], "an allocated section appeared")
    for name in _NAMES_TO_KEEP:
        olds = [section for section in before.sections if section.name == name and section.type]
        news = [section for section in after.sections if section.name == name and section.type]
        _require(len(olds) == len(news), "a section that names the debugging file is missing")
        for old, new in zip(olds, news, strict=True):
            _require(old.fixed == new.fixed, "a section that names the debugging file changed")
            _prove_section_bytes(before, stripped, old, new)
    for section in after.sections:
        inside = not section.in_file or section.offset + section.size <= len(stripped)
        _require(inside, "a section lies outside of the file")


def _prove_section_bytes(before: _View, stripped: bytes | bytearray, old: _Section, new: _Section) -> None:
    if old.in_file:
        content = before.data[old.offset : old.offset + old.size]
        _require(stripped.startswith(content, new.offset), "a section's bytes changed")


def _prove_links(before: _View, after: _View, old: _Section, new: _Section) -> None:
    """Prove that a section refers to the same section as before, or to none where that was dropped."""
    pairs = [(old.link, new.link)]
    if old.type in _RELOCATIONS or old.flags & _SHF_INFO_LINK:
        pairs.append((old.info, new.info))
    else:
        _require(old.info == new.info, "a section's information changed")
    for was, now in pairs:
        if now:
            inside = was < len(before.sections) and now < len(after.sections)
            _require(inside, "a section refers to one that does not exist")
            same = before.sections[was].fixed == after.sections[now].fixed
            _require(same, "a section refers to another one than before")
        elif was and was < len(before.sections):
            kept = before.sections[was].flags & _SHF_ALLOC and before.sections[was].type
            _require(not kept, "a section lost the one that it refers to")


def _name(names: bytes, start: int) -> bytes:
    end = names.find(b"\0", start)
    _require(end >= 0, "a section has no name")
    return names[start:end]


def _require(condition: object, reason: str) -> None:
    if not condition:
        raise Unstrippable(f"the proof failed: {reason}")
