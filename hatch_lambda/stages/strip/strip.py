"""Strip a shared object by moving its segments, instead of rebuilding it from its sections.

Tools that rebuild the file from sections (GNU strip, llvm-strip before 19) break objects that patchelf
has touched: it appends segments that belong to no section. Here every byte that a program header covers
is kept, and keeps its address. Only file offsets change.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.elf.tables import (
    AARCH64,
    EHDR,
    EHDR_SIZE,
    PAGE,
    PHDR,
    PHDR_SIZE,
    PT_LOAD,
    SHDR,
    SHDR_SIZE,
    SHF_ALLOC,
    SHT_NULL,
    SHT_STRTAB,
    Elf,
    Shdr,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


_SHT_SYMTAB = 2
_SHT_RELA = 4
_SHT_REL = 9
_SHT_GROUP = 17
_SHT_SYMTAB_SHNDX = 18
_SHF_INFO_LINK = 0x40

_LINKER_TYPES = {_SHT_SYMTAB, SHT_STRTAB, _SHT_RELA, _SHT_REL, _SHT_GROUP, _SHT_SYMTAB_SHNDX}
_DEBUGGER_NAMES = (
    b".annobin.notes",
    b".comment",
    b".debug",
    b".gdb_index",
    b".gnu.build.attributes",
    b".gnu.debuglto_",
    b".gnu.lto_",
    b".gnu_debugdata",
    b".stab",
    b".zdebug",
)
_SHSTRTAB = b".shstrtab"


class Range(Struct, frozen=True):
    """Bytes of the file to keep; they may move by multiples of ``align``."""

    start: int
    end: int
    align: int


class Run(Struct, frozen=True):
    """A stretch of the file that moves down as a whole by ``shift`` bytes."""

    start: int
    end: int
    shift: int


class Plan(Struct, frozen=True, kw_only=True):
    """What of a file is kept, and where it goes: all that is decided before a byte is copied."""

    elf: Elf
    runs: tuple[Run, ...]
    order: tuple[int, ...]
    """The old indices of the sections of the new table; 0 stands for a null section."""
    names: bytes
    """The new ``.shstrtab``."""
    name_offsets: Mapping[bytes, int]
    """Where in it each name begins."""
    page_aligned: bool
    """Whether segments may be aligned to no more than a page."""

    @property
    def names_offset(self) -> int:
        """Where the new ``.shstrtab`` begins."""
        return self.runs[-1].end - self.runs[-1].shift

    @property
    def table_offset(self) -> int:
        """Where the new section table begins."""
        return _round_up(self.names_offset + len(self.names), 8)

    @property
    def size(self) -> int:
        """Bytes of the result."""
        return self.table_offset + (len(self.order) + 1) * SHDR_SIZE

    def moved(self, offset: int) -> int:
        """Return where *offset* goes; an offset among dropped bytes goes to the end of what precedes it."""
        run = self.runs[bisect_right(self.runs, offset, key=lambda run: run.start) - 1]
        return min(offset, run.end) - run.shift


def strip(data: bytes | bytearray | memoryview, *, realign: bool = False) -> bytearray:
    """Return *data* without symbols and debugging information; the result may be the larger one.

    Raises Unstrippable, and nothing else, for input that must stay as it is. Stripping twice changes
    nothing. :func:`hatch_lambda.stages.strip.prove.prove` checks the result.
    """
    view = memoryview(data)
    return apply(view, plan(view, realign=realign))


def plan(data: memoryview, *, realign: bool = False) -> Plan:
    """Decide what of *data* is kept and where it goes. Raises Unstrippable.

    With *realign*, the segments of aarch64 objects, which linkers align to the 64 KiB of the largest pages that
    the architecture knows, are aligned to the pages that Lambda has.
    """
    elf = read(data)
    page_aligned = realign and elf.header.e_machine == AARCH64
    kept = [index for index in range(1, len(elf.sections)) if _is_kept(elf, index)]
    order = _order(elf, kept)
    names, name_offsets = _join_names([*(elf.names[index] for index in order if index), _SHSTRTAB])
    return Plan(
        elf=elf,
        runs=_slide(_ranges(elf, kept, page_aligned=page_aligned)),
        order=order,
        names=names,
        name_offsets=name_offsets,
        page_aligned=page_aligned,
    )


def apply(data: memoryview, plan: Plan) -> bytearray:
    """Write what *plan* decided about *data*."""
    pieces: list[bytes | memoryview] = []
    written = 0
    for run in plan.runs:
        pieces += [bytes(run.start - run.shift - written), data[run.start : run.end]]
        written = run.end - run.shift
    padding = bytes(plan.table_offset - plan.names_offset - len(plan.names))
    pieces += [plan.names, padding, *_section_table(plan)]
    result = bytearray().join(pieces)
    header = plan.elf.header._replace(
        e_phoff=plan.moved(plan.elf.header.e_phoff),
        e_shoff=plan.table_offset,
        e_shnum=len(plan.order) + 1,
        e_shstrndx=len(plan.order),
    )
    EHDR.pack_into(result, 0, *header)
    for index, segment in enumerate(plan.elf.segments):
        moved = segment._replace(p_offset=plan.moved(segment.p_offset))
        if plan.page_aligned and segment.p_type == PT_LOAD:
            moved = moved._replace(p_align=min(segment.p_align, PAGE))
        PHDR.pack_into(result, header.e_phoff + index * PHDR_SIZE, *moved)
    return result


def _is_kept(elf: Elf, index: int) -> bool:
    """Tell whether a section stays: allocated ones, and those that neither linker nor debugger owns.

    A program may read an unknown section of its own file by name, so what is unknown stays.
    """
    section, name = elf.sections[index], elf.names[index]
    if section.sh_type == SHT_NULL:
        return False
    if section.sh_flags & SHF_ALLOC:
        return True
    return section.sh_type not in _LINKER_TYPES and not name.startswith(_DEBUGGER_NAMES)


def _order(elf: Elf, kept: list[int]) -> tuple[int, ...]:
    """Return the old index for each entry of the new table, without the new ``.shstrtab``.

    Allocated sections keep their indices, with null sections where others were: ``.dynsym`` names sections
    by index (st_shndx), and it lies in a segment, whose bytes stay. patchelf puts ``.dynstr`` after
    ``.symtab``, so the case is common.
    """
    allocated = [index for index in kept if elf.sections[index].sh_flags & SHF_ALLOC]
    last = allocated[-1] if allocated else 0
    staying = set(kept)
    return (
        *(index if index in staying else 0 for index in range(last + 1)),
        *(index for index in kept if index > last),
    )


def _ranges(elf: Elf, kept: list[int], *, page_aligned: bool) -> Iterator[Range]:
    """Yield every range of bytes that must be in the result."""
    yield Range(0, EHDR_SIZE, PAGE)
    yield Range(elf.header.e_phoff, elf.header.e_phoff + len(elf.segments) * PHDR_SIZE, 8)
    for segment in elf.segments:
        if segment.p_filesz or segment.p_type == PT_LOAD:
            end = segment.p_offset + segment.p_filesz
            yield Range(segment.p_offset, end, PAGE if page_aligned else max(segment.p_align, PAGE))
    for section in (elf.sections[index] for index in kept):
        if section.file_size:
            end = section.sh_offset + section.sh_size
            yield Range(section.sh_offset, end, max(section.sh_addralign, 1))


def _slide(ranges: Iterable[Range]) -> tuple[Run, ...]:
    """Join ranges that touch, and move each stretch down as far as its alignment allows.

    A shift is a multiple of the largest alignment in the stretch, so that every p_offset stays congruent
    to its p_vaddr modulo the real p_align, which glibc before 2.35 demands.
    """
    joined: list[Range] = []
    for part in sorted(ranges, key=lambda part: part.start):
        if joined and part.start <= joined[-1].end:
            whole = joined[-1]
            joined[-1] = Range(whole.start, max(whole.end, part.end), max(whole.align, part.align))
        else:
            joined.append(part)
    runs: list[Run] = []
    written = 0
    for part in joined:
        shift = (part.start - written) // part.align * part.align
        runs.append(Run(part.start, part.end, shift))
        written = part.end - shift
    return tuple(runs)


def _section_table(plan: Plan) -> Iterator[bytes]:
    new_index = {old: new for new, old in enumerate(plan.order) if old}
    for old in plan.order:
        if not old:
            yield bytes(SHDR_SIZE)
            continue
        section = plan.elf.sections[old]
        renumber_info = section.sh_type in (_SHT_REL, _SHT_RELA) or section.sh_flags & _SHF_INFO_LINK
        yield SHDR.pack(
            *section._replace(
                sh_name=plan.name_offsets[plan.elf.names[old]],
                sh_offset=plan.moved(section.sh_offset),
                sh_link=new_index.get(section.sh_link, 0),
                sh_info=new_index.get(section.sh_info, 0) if renumber_info else section.sh_info,
            )
        )
    yield SHDR.pack(
        *Shdr(
            sh_name=plan.name_offsets[_SHSTRTAB],
            sh_type=SHT_STRTAB,
            sh_flags=0,
            sh_addr=0,
            sh_offset=plan.names_offset,
            sh_size=len(plan.names),
            sh_link=0,
            sh_info=0,
            sh_addralign=1,
            sh_entsize=0,
        )
    )


def _join_names(names: Iterable[bytes]) -> tuple[bytes, dict[bytes, int]]:
    """Return a string table that begins with the empty name, and where each name begins."""
    offsets = {b"": 0}
    size = 1
    for name in names:
        if name not in offsets:
            offsets[name] = size
            size += len(name) + 1
    return b"\0".join(offsets) + b"\0", offsets


def _round_up(offset: int, align: int) -> int:
    return -(-offset // align) * align
