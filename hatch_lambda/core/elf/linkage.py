"""Read what an ELF object asks of the loader: its machine, the libraries and versions that it needs, its segments.

This reads as the loader does, by the program headers: section tables may be gone or wrong. pyelftools tells the same
(a test compares them), in a time that a check in every build does not have.
"""

from __future__ import annotations

import re
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.core.elf.tables import EHDR, EHDR_SIZE, PAGE, PHDR, PHDR_SIZE, PT_LOAD, Ehdr, Phdr

if TYPE_CHECKING:
    from collections.abc import Iterator


MAGIC = b"\x7fELF"

_PT_DYNAMIC, _PT_GNU_STACK, _PF_X = 2, 0x6474_E551, 1
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFF_FFFE, 0x6FFF_FFFF
_ET_REL = 1
_WEAK = 2
_MACHINES = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64", 21: "ppc64", 22: "s390x", 243: "riscv"}
_64_BIT = frozenset({"x86_64", "aarch64"})
"""Lambda's machines; objects of x32 and big-endian Arm have their numbers too."""
_DYN = Struct("<qQ")
_VERNEED = Struct("<HHIII")
_VERNAUX = Struct("<IHHII")
_MOST = 10_000
"""Dynamic entries, libraries or versions above which an object is damaged."""
_LONGEST_NAME = 4096
_NUMBERED = re.compile(r"([A-Za-z_]+?)_([0-9]+(?:\.[0-9]+)*)")


class Linkage(msgspec.Struct, frozen=True, kw_only=True):
    """What an object asks of the loader."""

    machine: str
    """As ``platform.machine()`` has it; ``e_machine 1`` for one that Lambda never had."""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    """Folders of DT_RPATH."""
    runpath: tuple[str, ...] = ()
    """Folders of DT_RUNPATH, which takes DT_RPATH's place."""
    versions: tuple[tuple[str, str], ...] = ()
    """The highest of each family of versions (``GLIBC_2.34``) that it needs of each library."""
    is_module: bool = False
    """Whether it has the function by which Python begins the module of its name."""
    misaligned: bool = False
    """Whether glibc before 2.35 refuses to map its segments."""
    executable_stack: bool = False


def linkage(data: memoryview, name: str) -> Linkage | None:
    """Read the object *data*, whose file is called *name*; None for what no loader takes: other files, ``*.o``.

    Raises ValueError for a damaged one.
    """
    if data[: len(MAGIC)] != MAGIC:
        return None
    try:
        return _Reader(data).read(name)
    except (StructError, IndexError, OverflowError) as error:
        raise ValueError("its headers point outside of the file") from error


class _Reader:
    """The segments of one object, and how addresses become offsets."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.segments: tuple[Phdr, ...] = ()

    def read(self, name: str) -> Linkage | None:
        if len(self.data) < EHDR_SIZE:
            raise ValueError("it is shorter than an ELF header")
        bits, order = self.data[4], self.data[5]
        machine = int.from_bytes(self.data[18:20], "big" if order == 2 else "little")  # noqa: PLR2004 - ELFDATA2MSB
        named = _MACHINES.get(machine, f"e_machine {machine}")
        if (bits, order) != (2, 1):
            return Linkage(machine=f"{named}, and not 64-bit little-endian" if named in _64_BIT else named)
        header = Ehdr._make(EHDR.unpack_from(self.data))
        if header.e_type == _ET_REL:
            return None
        if header.e_phentsize != PHDR_SIZE:
            raise ValueError("its program header table has an unusual shape")
        table = self.data[header.e_phoff : header.e_phoff + header.e_phnum * PHDR_SIZE]
        self.segments = tuple(map(Phdr._make, PHDR.iter_unpack(table)))
        if len(self.segments) != header.e_phnum or any(
            segment.p_type == PT_LOAD and segment.p_offset + segment.p_filesz > len(self.data)
            for segment in self.segments
        ):
            raise ValueError("a segment lies outside of the file")
        return self._linkage(named, name)

    def _linkage(self, machine: str, name: str) -> Linkage:
        tags = list(self._dynamic())
        values = dict(tags)
        size = values.get(_DT_STRSZ, 0)
        start = self._offset(values[_DT_STRTAB]) if _DT_STRTAB in values else 0
        strings = bytes(self.data[start : start + size])

        def string(at: int) -> str:
            end = strings.find(b"\0", at, at + _LONGEST_NAME + 1)
            if end < 0:
                raise ValueError("a name lies outside of its table")
            return strings[at:end].decode("utf-8", "replace")

        def folders(tag: int) -> tuple[str, ...]:
            return tuple(filter(None, string(values[tag]).split(":"))) if tag in values else ()

        needs = self._versions(values[_DT_VERNEED], values.get(_DT_VERNEEDNUM, 0)) if _DT_VERNEED in values else ()
        return Linkage(
            machine=machine,
            soname=string(values[_DT_SONAME]) if _DT_SONAME in values else "",
            needed=tuple(string(value) for tag, value in tags if tag == _DT_NEEDED),
            rpath=folders(_DT_RPATH),
            runpath=folders(_DT_RUNPATH),
            versions=_highest((string(library), string(version)) for library, version in needs),
            is_module=b"\0PyInit_%b\0" % name.partition(".")[0].encode() in strings,
            misaligned=any(map(_is_misaligned, self.segments)),
            executable_stack=any(s.p_type == _PT_GNU_STACK and s.p_flags & _PF_X for s in self.segments),
        )

    def _dynamic(self) -> Iterator[tuple[int, int]]:
        for segment in self.segments:
            if segment.p_type == _PT_DYNAMIC:
                for number in range(min(segment.p_filesz // _DYN.size, _MOST)):
                    tag, value = _DYN.unpack_from(self.data, segment.p_offset + number * _DYN.size)
                    if tag == _DT_NULL:
                        return
                    yield tag, value

    def _versions(self, address: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield where the names of each library and of each version needed of it are (gABI, "Symbol Versioning")."""
        at = self._offset(address)
        left = _MOST
        for _ in range(min(count, _MOST)):
            _, names, library, first, following = _VERNEED.unpack_from(self.data, at)
            aux = at + first
            left -= names
            if left < 0:
                raise ValueError("it needs more versions than there are")
            for _ in range(names):
                _, flags, _, version, next_aux = _VERNAUX.unpack_from(self.data, aux)
                if not flags & _WEAK:
                    yield library, version
                aux += next_aux
            at += following

    def _offset(self, address: int) -> int:
        for segment in self.segments:
            if segment.p_type == PT_LOAD and segment.p_vaddr <= address < segment.p_vaddr + segment.p_filesz:
                return address - segment.p_vaddr + segment.p_offset
        raise ValueError("its dynamic section points outside of its segments")


def _is_misaligned(segment: Phdr) -> bool:
    """Tell whether glibc before 2.35 refuses to map *segment* (elf/dl-load.c, _dl_map_object_from_fd)."""
    if segment.p_type != PT_LOAD:
        return False
    return bool(segment.p_align % PAGE or (segment.p_vaddr - segment.p_offset) & (segment.p_align - 1))


def family(version: str) -> tuple[str, tuple[int, ...]]:
    """Return the family and the number of a version such as ``GLIBCXX_3.4.29``; no number where it has none."""
    match = _NUMBERED.fullmatch(version)
    return (match[1], tuple(map(int, match[2].split(".")))) if match else (version, ())


def _highest(needs: Iterator[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    found: dict[tuple[str, str], str] = {}
    for library, version in needs:
        name, number = family(version)
        known = found.get((library, name))
        if known is None or family(known)[1] < number:
            found[library, name] = version
    return tuple(sorted((library, version) for (library, _), version in found.items()))
