"""prove() sees each kind of damage that a bug in strip() could do."""

import struct

import pytest

from hatch_lambda.core.elf.tables import Unstrippable
from hatch_lambda.stages.strip.prove import prove
from hatch_lambda.stages.strip.strip import strip
from tests.support.elf import ALLOC, NOBITS, PT_LOAD, shared_object, tables

ORIGINAL = shared_object(empty_load=True)
STRIPPED = bytes(strip(ORIGINAL))
HEADER, SEGMENTS, SECTIONS = tables(STRIPPED)
PHDR_FIELDS = ("p_flags", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_align")
SHDR_FIELDS = {
    "sh_name": (0, "<I"),
    "sh_type": (4, "<I"),
    "sh_flags": (8, "<Q"),
    "sh_addr": (16, "<Q"),
    "sh_offset": (24, "<Q"),
    "sh_size": (32, "<Q"),
    "sh_link": (40, "<I"),
    "sh_info": (44, "<I"),
    "sh_addralign": (48, "<Q"),
    "sh_entsize": (56, "<Q"),
}


def refuses(damaged, original=ORIGINAL):
    with pytest.raises(Unstrippable, match="the proof failed"):
        prove(original, bytes(damaged))


def changed(offset, form, value):
    data = bytearray(STRIPPED)
    assert struct.unpack_from(form, data, offset)[0] != value
    struct.pack_into(form, data, offset, value)
    return data


def test_it_accepts_what_strip_returns():
    prove(ORIGINAL, STRIPPED)


@pytest.mark.parametrize("offset", [*range(32), *range(48, 64)])
def test_it_sees_a_changed_elf_header(offset):
    refuses(changed(offset, "<B", STRIPPED[offset] ^ 1))


@pytest.mark.parametrize("field", PHDR_FIELDS)
@pytest.mark.parametrize("row", [row for row, part in enumerate(SEGMENTS) if part[5]])
def test_it_sees_a_changed_program_header(row, field):
    number = PHDR_FIELDS.index(field)
    form, offset = ("<I", 4) if field == "p_flags" else ("<Q", number * 8)
    value = SEGMENTS[row][number + 1] + 0x8
    refuses(changed(64 + row * 56 + offset, form, value))


def test_it_sees_an_offset_that_is_congruent_but_elsewhere():
    row = max(number for number, part in enumerate(SEGMENTS) if part[0] == PT_LOAD and part[5])
    refuses(changed(64 + row * 56 + 8, "<Q", SEGMENTS[row][2] - 0x1000))


def test_it_demands_congruence_for_the_real_alignment():
    """A shift by whole pages passes on newer glibc, and fails on the one that Lambda has."""
    original = shared_object(machine=183, align=0x10000)
    stripped = bytearray(strip(original))
    _, segments, _ = tables(stripped)
    row = max(number for number, part in enumerate(segments) if part[0] == PT_LOAD)
    start, size = segments[row][2], segments[row][5]
    content = stripped[start : start + size]
    stripped[start : start + size] = bytes(size)
    stripped[start - 0x1000 : start - 0x1000 + size] = content
    struct.pack_into("<Q", stripped, 64 + row * 56 + 8, start - 0x1000)
    with pytest.raises(Unstrippable, match="alignment"):
        prove(original, bytes(stripped))


@pytest.mark.parametrize("row", [row for row, part in enumerate(SEGMENTS) if part[5]])
@pytest.mark.parametrize("end", ["first", "middle", "last"])
def test_it_sees_a_changed_byte_of_a_segment(row, end):
    start, size = SEGMENTS[row][2], SEGMENTS[row][5]
    first = 64 + len(SEGMENTS) * 56 if start == 0 else start
    offset = {"first": first, "middle": start + size // 2, "last": start + size - 1}[end]
    refuses(changed(offset, "<B", STRIPPED[offset] ^ 0x20))


ALLOCATED = [index for index, (_, row) in enumerate(SECTIONS) if row[2] & ALLOC]


@pytest.mark.parametrize(
    ("index", "field"),
    [
        (index, field)
        for index in ALLOCATED
        for field in SHDR_FIELDS
        if field != "sh_link" and (field != "sh_offset" or SECTIONS[index][1][1] != NOBITS)
    ],
)
def test_it_sees_a_changed_section(index, field):
    offset, form = SHDR_FIELDS[field]
    place = HEADER[6] + index * 64 + offset
    refuses(changed(place, form, struct.unpack_from(form, STRIPPED, place)[0] + 1))


@pytest.mark.parametrize("link", [0, 1, 500])
def test_it_sees_a_lost_or_wrong_link(link):
    index = [name for name, _ in SECTIONS].index(b".dynsym")
    refuses(changed(HEADER[6] + index * 64 + 40, "<I", link))


@pytest.mark.parametrize("name", [b".gnu_debuglink", b".note.gnu.build-id"])
def test_it_sees_a_missing_name_of_the_debugging_file(name):
    index = [each for each, _ in SECTIONS].index(name)
    refuses(changed(HEADER[6] + index * 64 + 4, "<I", 0))


def test_it_sees_a_section_that_claims_to_be_allocated():
    index = [name for name, _ in SECTIONS].index(b".unknown")
    refuses(changed(HEADER[6] + index * 64 + 8, "<Q", ALLOC))


def test_it_sees_a_section_outside_of_the_file():
    index = [name for name, _ in SECTIONS].index(b".unknown")
    refuses(changed(HEADER[6] + index * 64 + 24, "<Q", len(STRIPPED)))


def test_it_sees_a_segment_whose_page_the_file_does_not_reach():
    """The loader zeroes the rest of that page, and a page beyond the end of the file is a bus error."""
    row = next(number for number, part in enumerate(SEGMENTS) if part[0] == PT_LOAD and not part[5])
    refuses(changed(64 + row * 56 + 8, "<Q", SEGMENTS[row][2] + 0x100000))


@pytest.mark.parametrize("size", [0, 63, 64, 500, 0x1000, len(STRIPPED) // 2, len(STRIPPED) - 1])
def test_it_sees_a_cut_file(size):
    refuses(STRIPPED[:size])


def test_it_sees_tables_that_are_elsewhere():
    refuses(changed(32, "<Q", 72))
    refuses(changed(32, "<Q", 1 << 63))
    refuses(changed(40, "<Q", HEADER[6] - 64))
    refuses(changed(40, "<Q", 1 << 63))


def test_it_sees_headers_that_left_their_segment():
    """The loader finds the program headers in memory by the first segment."""
    stripped = bytearray(STRIPPED)
    table = stripped[64 : 64 + len(SEGMENTS) * 56]
    struct.pack_into("<Q", stripped, 32, len(stripped))
    refuses(stripped + table)
