"""Build tiny shared objects with the shapes that real wheels have."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

X86_64 = 62
AARCH64 = 183

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS = 1, 2, 4, 7
PROGBITS, SYMTAB, STRTAB, RELA, NOTE, NOBITS, DYNSYM = 1, 2, 3, 4, 7, 8, 11
ALLOC = 2

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")


@dataclass
class Section:
    """A section as the builder puts it into the table; ``link`` and ``info`` are names."""

    name: bytes
    type: int
    content: bytes = b""
    flags: int = 0
    addr: int = 0
    offset: int = 0
    size: int | None = None
    link: bytes = b""
    info: bytes = b""
    align: int = 1


@dataclass
class Builder:
    """Lay out segments and sections one after the other."""

    machine: int = X86_64
    align: int = 0x1000
    phnum: int = 9
    data: bytearray = field(default_factory=bytearray)
    segments: list[tuple[int, ...]] = field(default_factory=list)
    sections: list[Section] = field(default_factory=lambda: [Section(b"", 0)])

    def __post_init__(self):
        self.data += bytes(EHDR.size + self.phnum * PHDR.size)

    def pad(self, modulus, fill=b"\0"):
        """Go on to the next multiple of *modulus*: a hole, if that was not reached."""
        self.data += fill * (-len(self.data) % modulus)

    def section(self, name, type_, content, *, bias=None, link=b"", info=b"", align=1):
        """Append a section, allocated at its offset plus *bias* if that is given."""
        self.pad(align)
        allocated = bias is not None
        self.sections.append(
            Section(
                name,
                type_,
                content,
                ALLOC if allocated else 0,
                len(self.data) + bias if allocated else 0,
                len(self.data),
                link=link,
                info=info,
                align=align,
            )
        )
        self.data += content

    def nobits(self, name, addr, size):
        """Append a section without bytes in the file."""
        self.sections.append(Section(name, NOBITS, b"", ALLOC, addr, len(self.data), size))

    def segment(self, type_, start, *, bias, end=None, extra=0, align=None):
        """Declare a segment from *start* to *end*, or to what was appended last."""
        size = (len(self.data) if end is None else end) - start
        self.segments.append((type_, 4, start, start + bias, start + bias, size, size + extra, align or self.align))

    def finish(self, *, shoff_align=8):
        """Append the section table and fill in the headers."""
        self.sections.append(Section(b".shstrtab", STRTAB))
        names = b"\0".join(section.name for section in self.sections) + b"\0"
        self.sections[-1].offset, self.sections[-1].content = len(self.data), names
        self.data += names
        self.pad(shoff_align)
        shoff = len(self.data)
        index = {section.name: number for number, section in enumerate(self.sections)}
        for section in self.sections:
            self.data += SHDR.pack(
                names.index(b"\0" + section.name + b"\0") + 1 if section.name else 0,
                section.type,
                section.flags,
                section.addr,
                section.offset,
                len(section.content) if section.size is None else section.size,
                index[section.link],
                index[section.info],
                section.align if section.type else 0,
                0,
            )
        self.segments += [(0x6474E551, 6, 0, 0, 0, 0, 0, 16)] * (self.phnum - len(self.segments))
        ident = b"\x7fELF\x02\x01\x01" + bytes(9)
        count = len(self.sections)
        EHDR.pack_into(
            self.data, 0, ident, 3, self.machine, 1, 0, 64, shoff, 0, 64, 56, self.phnum, 64, count, count - 1
        )  # fmt: skip
        for number, segment in enumerate(self.segments):
            PHDR.pack_into(self.data, 64 + number * 56, *segment)
        return bytes(self.data)


def shared_object(*, machine=X86_64, align=0x1000, symbols=3000, patchelf=True, empty_load=False, others=True):
    """Build an object with three segments, symbols in between, and one that patchelf appended.

    Its allocated ``.dynstr`` comes after ``.symtab`` in the section table, as patchelf leaves it.
    """
    elf = Builder(machine=machine, align=align)
    elf.section(b".note.gnu.build-id", NOTE, b"build-id" * 4, bias=0, align=4)
    elf.segment(PT_NOTE, elf.sections[-1].offset, bias=0, align=4)
    elf.section(b".dynsym", DYNSYM, b"dynsym.." * 9, bias=0, link=b".dynstr", align=8)
    elf.section(b".rela.dyn", RELA, b"rela" * 6, bias=0, link=b".dynsym", info=b".text", align=8)
    elf.segment(PT_LOAD, 0, bias=0)
    elf.pad(align)
    start = len(elf.data)
    elf.section(b".text", PROGBITS, b"text" * 700, bias=0, align=16)
    elf.segment(PT_LOAD, start, bias=0)
    elf.data += b"scrap" * 30 if others else b""
    elf.section(b".comment", PROGBITS, b"GCC: (GNU) 99\0")
    elf.pad(align)
    elf.data += bytes(0x120)
    start = len(elf.data)
    elf.section(b".tdata", PROGBITS, b"tls!" * 8, bias=align, align=8)
    elf.segment(PT_TLS, start, bias=align, extra=64, align=8)
    elf.section(b".dynamic", 6, b"dynamic." * 20, bias=align, link=b".dynstr", align=8)
    elf.segment(PT_DYNAMIC, elf.sections[-1].offset, bias=align, align=8)
    elf.section(b".data", PROGBITS, b"data" * 50, bias=align, align=16)
    elf.segment(PT_LOAD, start, bias=align, extra=0x500)
    elf.nobits(b".bss", len(elf.data) + align, 0x500)
    if symbols:
        elf.section(b".symtab", SYMTAB, b"symbol.." * symbols, link=b".strtab", align=8)
        elf.section(b".strtab", STRTAB, b"names" * symbols)
        elf.section(b".debug_info", PROGBITS, b"debug" * symbols)
    if others:
        elf.section(b".gnu_debuglink", PROGBITS, b"foo.debug\0\0\0" + b"crc!", align=4)
        elf.section(b".unknown", PROGBITS, b"a program may look for this")
    if empty_load:
        elf.data += b"z" * 100
        elf.segment(PT_LOAD, len(elf.data), bias=4 * align, extra=0x100)
    if patchelf:
        elf.pad(align)
        start = len(elf.data)
        elf.data += b"no section describes this" * 20
        elf.section(b".dynstr", STRTAB, b"\0libc.so.6\0" * 30, bias=8 * align, align=8)
        elf.segment(PT_LOAD, start, bias=8 * align)
    else:
        elf.sections.append(Section(b".dynstr", STRTAB, flags=ALLOC, offset=start, addr=start + align))
    return elf.finish()


def asking(*versions, machine=X86_64):
    """Return the smallest object that asks for *versions* of the C library: no section, as after a strip of all."""
    strings = b"\0".join([b"", b"libc.so.6", *(version.encode() for version in versions), b""])
    at = {name: strings.index(b"\0" + name + b"\0") + 1 for name in strings.split(b"\0") if name}
    dynamic = EHDR.size + 2 * PHDR.size
    needs = dynamic + 5 * 16
    text = needs + 16 + 16 * len(versions)
    tags = ((0x6FFFFFFE, needs), (0x6FFFFFFF, 1 if versions else 0), (5, text), (10, len(strings)), (0, 0))
    rows = [struct.pack("<IHHII", 0, 0, number, at[version.encode()], 16) for number, version in enumerate(versions, 2)]
    content = b"".join(
        [
            *(struct.pack("<qQ", *tag) for tag in tags),
            struct.pack("<HHIII", 1, len(versions), at[b"libc.so.6"], 16, 0),
            *rows,
            strings,
        ]
    )
    size = dynamic + len(content)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = EHDR.pack(ident, 3, machine, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, 2, SHDR.size, 0, 0)
    load = PHDR.pack(PT_LOAD, 5, 0, 0, 0, size, size, 4096)
    return head + load + PHDR.pack(PT_DYNAMIC, 6, dynamic, dynamic, dynamic, 80, 80, 8) + content


def tables(data):
    """Return header, program headers and sections by name, read without the code under test."""
    header = EHDR.unpack_from(data)
    segments = [PHDR.unpack_from(data, header[5] + 56 * number) for number in range(header[10])]
    rows = [SHDR.unpack_from(data, header[6] + 64 * number) for number in range(header[12])]
    names = rows[header[13]][4]

    def name(row):
        start = names + row[0]
        return bytes(data[start : data.index(b"\0", start)])

    return header, segments, [(name(row), row) for row in rows]


def library(*needed: str) -> bytes:
    """Return a shared object that asks for the libraries *needed*, and is good for nothing else."""
    strings, names = b"\0", []
    for name in needed:
        names.append(len(strings))
        strings += name.encode() + b"\0"
    base = 64 + 2 * 56
    tags = [*((1, name) for name in names), (5, 0x1000 + base), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in tags)
    size = base + len(strings) + len(dynamic)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x1000, 0x1000, size, size, 0x1000)
    inner = struct.pack("<IIQQQQQQ", 2, 6, base + len(strings), 0, 0, len(dynamic), len(dynamic), 8)
    return header + load + inner + strings + dynamic
