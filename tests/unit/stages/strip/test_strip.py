"""What strip() promises about one object."""

import ctypes
import shutil
import struct
import subprocess
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hatch_lambda.core.elf.tables import Unstrippable
from hatch_lambda.stages.strip.prove import prove
from hatch_lambda.stages.strip.strip import strip
from tests.support.elf import ALLOC, NOBITS, PT_LOAD, RELA, X86_64, Builder, shared_object, tables

SMALL = shared_object(symbols=200)
SECTIONS = len(tables(SMALL)[2])
TABLES = [*range(64 + 9 * 56), *range(len(SMALL) - SECTIONS * 64, len(SMALL))]


def section(data, name):
    return dict(tables(data)[2])[name]


def content(data, row):
    return bytes(data[row[4] : row[4] + row[5]])


def test_symbols_debugging_information_and_holes_go(shared):
    stripped = strip(shared)
    for lost in (b"symbol..", b"debugdebug", b"GCC: (GNU)", b"scrapscrap", b".symtab", b".debug_info"):
        assert lost not in stripped
    assert len(stripped) < len(shared)


def test_a_result_is_proven(shared):
    prove(shared, strip(shared))


def test_stripping_twice_changes_nothing(shared):
    once = strip(shared)
    assert strip(once) == once


def test_bytes_that_only_a_segment_describes_stay(shared):
    original, stripped = tables(shared)[1], tables(strip(shared))[1]
    for old, new in zip(original, stripped, strict=True):
        assert old[:2] + old[3:] == new[:2] + new[3:]
    assert shared.count(b"no section describes this") == strip(shared).count(b"no section describes this")


def test_offsets_stay_congruent_to_addresses_for_the_real_alignment(shared):
    for kind, _, offset, vaddr, *_, align in tables(strip(shared))[1]:
        if kind == PT_LOAD:
            assert (offset - vaddr) % align == 0


def test_arm64_segments_are_aligned_to_a_page_on_demand_and_others_never(shared):
    """Only p_offset and p_align change; what is mapped, and where, does not."""
    original, plain, realigned = shared, strip(shared), strip(shared, realign=True)
    assert strip(realigned, realign=True) == realigned
    if tables(original)[0][2] == X86_64:
        assert realigned == plain
        return
    assert len(realigned) < len(plain) - 0x8000
    for old, new in zip(tables(original)[1], tables(realigned)[1], strict=True):
        assert old[:2] + old[3:7] == new[:2] + new[3:7]
        if new[0] == PT_LOAD:
            assert (new[2] - new[3]) % new[7] == 0
            assert new[7] == 0x1000
        else:
            assert new[7] == old[7]
    prove(original, realigned, realigned=True)
    with pytest.raises(Unstrippable, match="a segment's alignment changed"):
        prove(original, realigned)


def test_allocated_sections_keep_index_address_and_content(shared):
    old_table, new_table = tables(shared)[2], tables(strip(shared))[2]
    for index, (name, old) in enumerate(old_table):
        if old[2] & ALLOC:
            new_name, new = new_table[index]
            assert (new_name, new[1:4], new[5]) == (name, old[1:4], old[5])
            if old[1] != NOBITS:
                assert content(shared, old) == content(strip(shared), new)


def test_the_section_table_keeps_what_tools_need():
    stripped = strip(shared_object())
    names = [name for name, _ in tables(stripped)[2]]
    assert b".note.gnu.build-id" in names
    assert names[-1] == b".shstrtab"
    assert content(stripped, section(stripped, b".gnu_debuglink")).startswith(b"foo.debug")


def test_a_section_that_is_neither_symbols_nor_debugging_information_stays():
    stripped = strip(shared_object())
    assert content(stripped, section(stripped, b".unknown")) == b"a program may look for this"


def test_sections_refer_to_the_same_sections():
    stripped = strip(shared_object())
    table = tables(stripped)[2]
    assert table[section(stripped, b".dynsym")[6]][0] == b".dynstr"
    assert table[section(stripped, b".rela.dyn")[6]][0] == b".dynsym"
    assert table[section(stripped, b".rela.dyn")[7]][0] == b".text"


def test_a_reference_to_a_dropped_section_becomes_none():
    elf = Builder()
    elf.section(b".rela.plt", RELA, b"rela" * 6, bias=0, link=b".symtab", align=8)
    elf.segment(PT_LOAD, 0, bias=0)
    elf.section(b".symtab", 2, b"symbol.." * 3000, align=8)
    data = elf.finish()
    stripped = strip(data)
    prove(data, stripped)
    assert section(stripped, b".rela.plt")[6] == 0


def test_a_segment_without_bytes_keeps_its_page_in_the_file():
    data = shared_object(empty_load=True, patchelf=False, others=False)
    stripped = strip(data)
    prove(data, stripped)
    empty = next(row for row in tables(stripped)[1] if row[0] == PT_LOAD and row[5] == 0)
    assert empty[2] // 0x1000 * 0x1000 < len(stripped)


def test_no_bits_sections_stay_within_the_file(shared):
    stripped = strip(shared)
    assert section(stripped, b".bss")[4] <= len(stripped)
    assert section(stripped, b".bss")[5] == section(shared, b".bss")[5]


def test_an_offset_among_dropped_bytes_moves_to_the_end_of_what_precedes_it():
    elf = Builder()
    elf.segment(PT_LOAD, 0, bias=0, extra=0x2000)
    end = len(elf.data)
    elf.section(b".symtab", 2, b"symbol.." * 3000, align=8)
    elf.nobits(b".bss", end, 0x1000)
    data = elf.finish()
    stripped = strip(data)
    prove(data, stripped)
    assert section(stripped, b".bss")[4] == end
    assert strip(stripped) == stripped


def test_program_headers_may_be_anywhere():
    data = bytearray(shared_object())
    header, segments, _ = tables(data)
    last = max(row[2] for row in segments if row[0] == PT_LOAD)
    data[last : last + 9 * 56] = data[64 : 64 + 9 * 56]
    struct.pack_into("<Q", data, 32, last)
    stripped = strip(data)
    prove(data, stripped)
    assert len(stripped) < len(data)
    assert tables(stripped)[0][5] < header[5] + last


def patched(offset, form, value):
    data = bytearray(shared_object())
    struct.pack_into(form, data, offset, value)
    return bytes(data)


def section_field(index, offset):
    return tables(shared_object())[0][6] + index * 64 + offset


REFUSED = {
    "empty": (b"", "shorter"),
    "only a magic": (b"\x7fELF" + bytes(60), "64-bit little-endian"),
    "32 bits": (patched(4, "<B", 1), "64-bit little-endian"),
    "big endian": (patched(5, "<B", 2), "64-bit little-endian"),
    "relocatable object": (patched(16, "<H", 1), "relocatable object"),
    "fixed program": (patched(16, "<H", 2), "fixed addresses"),
    "core": (patched(16, "<H", 4), "core dump"),
    "other machine": (patched(18, "<H", 243), "another machine"),
    "e_ehsize": (patched(52, "<H", 52), "unknown version or size"),
    "e_phentsize": (patched(54, "<H", 32), "program header table"),
    "PN_XNUM": (patched(56, "<H", 0xFFFF), "program header table"),
    "e_shentsize": (patched(58, "<H", 40), "section table"),
    "no section table": (patched(40, "<Q", 0), "no section table"),
    "section table outside": (patched(40, "<Q", 1 << 40), "outside of the file"),
    "segment outside": (patched(64 + 56 + 32, "<Q", 1 << 40), "outside of the file"),
    "misaligned": (patched(64 + 2 * 56 + 16, "<Q", 0x1234), "disagree with its alignment"),
    "p_align": (patched(64 + 2 * 56 + 48, "<Q", 0x3000), "power of two"),
    "payload": (shared_object() + b"PK\3\4" * 10, "appended"),
    "payload of zeros": (shared_object() + bytes(5000), "appended"),
    "p_filesz": (patched(64 + 2 * 56 + 40, "<Q", 8), "larger in the file than in memory"),
    "sh_name": (patched(section_field(2, 0), "<I", 1 << 20), "no readable name"),
    "no null section": (patched(section_field(0, 4), "<I", 1), "null section"),
    "sh_addralign": (patched(section_field(2, 48), "<Q", 24), "section's alignment"),
    "section outside": (patched(section_field(2, 32), "<Q", 1 << 40), "outside of the file"),
    "shstrndx": (patched(62, "<H", 0), "no section names"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_an_ordinary_shared_object_is_refused_with_a_reason(case):
    data, reason = REFUSED[case]
    with pytest.raises(Unstrippable, match=reason):
        strip(data)


def test_a_payload_in_a_hole_is_refused():
    elf = Builder()
    elf.segment(PT_LOAD, 0, bias=0)
    elf.data += b"payload!" * 2000
    with pytest.raises(Unstrippable, match="no header describes"):
        strip(elf.finish())


@pytest.mark.parametrize("name", [b".rodata1", b".note.fdo.integrity"])
def test_a_digest_of_the_own_file_is_refused(name):
    elf = Builder()
    elf.section(name, 1, b"h" * 32, bias=0)
    elf.segment(PT_LOAD, 0, bias=0)
    with pytest.raises(Unstrippable, match="digest of its own file"):
        strip(elf.finish())


def test_overlapping_tables_cannot_cost_unbounded_work():
    elf = Builder(phnum=200)
    elf.data += bytes(100_000)
    for _ in range(200):
        elf.segment(PT_LOAD, 0, bias=0)
    with pytest.raises(Unstrippable, match="overlap"):
        strip(elf.finish())


def test_overlapping_sections_cannot_cost_unbounded_work():
    elf = Builder()
    elf.segment(PT_LOAD, 0, bias=0)
    elf.section(b".large", 1, bytes(100_000), bias=0)
    elf.sections += elf.sections[-1:] * 20
    with pytest.raises(Unstrippable, match="overlap"):
        strip(elf.finish())


@pytest.mark.parametrize("data", [shared_object(), bytearray(shared_object()), memoryview(shared_object())])
def test_any_buffer_will_do(data):
    assert strip(data) == strip(bytes(data))


def strip_or_refuse(data):
    """Do what the stage does; anything but a proven result or Unstrippable fails the test."""
    try:
        stripped = strip(data)
        prove(data, stripped)
    except Unstrippable:
        return
    assert strip(stripped) == stripped


@settings(deadline=None)
@example([(64 + 56 + 8, b"\xff" * 8)])
@given(st.lists(st.tuples(st.sampled_from(TABLES), st.binary(min_size=1, max_size=8)), max_size=6))
def test_damage_to_the_tables_gives_a_proven_result_or_a_refusal(damage):
    data = bytearray(SMALL)
    for offset, value in damage:
        data[offset : offset + len(value)] = value
    strip_or_refuse(data)


FIELDS = st.one_of(st.integers(0, 0x6000), st.sampled_from([1 << 16, (1 << 32) - 1, 1 << 63, (1 << 64) - 1]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6), FIELDS), min_size=1, max_size=4))
def test_any_program_header_gives_a_proven_result_or_a_refusal(damage):
    data = bytearray(SMALL)
    for row, field, value in damage:
        struct.pack_into("<Q", data, 64 + row * 56 + field * 8, value)
    strip_or_refuse(data)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, SECTIONS - 1), st.integers(0, 7), FIELDS), min_size=1, max_size=4))
def test_any_section_header_gives_a_proven_result_or_a_refusal(damage):
    data = bytearray(SMALL)
    shoff = tables(SMALL)[0][6]
    for row, field, value in damage:
        struct.pack_into("<Q", data, shoff + row * 64 + field * 8, value)
    strip_or_refuse(data)


@settings(deadline=None)
@given(st.integers(0, len(SMALL)), st.binary(max_size=20))
def test_a_cut_file_gives_a_refusal(length, tail):
    strip_or_refuse(SMALL[:length] + tail)


def test_memory_stays_near_the_size_of_the_result():
    data = shared_object(symbols=400_000)
    large = bytearray(data)
    tracemalloc.start()
    stripped = strip(large)
    prove(large, stripped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(stripped) + 500_000


@pytest.mark.skipif(not shutil.which("gcc"), reason="there is no gcc on this machine")
def test_a_compiled_object_still_loads_and_works(tmp_path):
    source = tmp_path / "answer.c"
    source.write_text("static __thread int t = 40; static int z[9000]; int answer(void) { return t + 2 + z[8999]; }\n")
    library = tmp_path / "answer.so"
    subprocess.run(["gcc", "-g3", "-shared", "-fPIC", "-o", library, source], check=True)
    data = library.read_bytes()
    stripped = strip(data)
    prove(data, stripped)
    assert len(stripped) < len(data) * 0.7
    result = tmp_path / "stripped.so"
    result.write_bytes(stripped)
    assert ctypes.CDLL(str(result)).answer() == 42
