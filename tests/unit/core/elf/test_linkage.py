"""What an object asks of the loader is read as the loader reads it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys

import pytest

from hatch_lambda.core.elf.linkage import linkage
from tests.support.elf import AARCH64, X86_64, asking

WEAK = 2


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Give an object of gcc that needs two versions of one library, and where the flags of each are."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no gcc for ELF objects")
    folder = tmp_path_factory.mktemp("versions")
    versions = "V_1.0 { global: old; };\nV_2.0 { global: new; } V_1.0;\n"
    (folder / "versions.map").write_text(versions)
    (folder / "library.c").write_text("int old(void) { return 1; } int new(void) { return 2; }")
    (folder / "user.c").write_text("int old(void); int new(void); int both(void) { return old() + new(); }")
    options = ["gcc", "-shared", "-fPIC", "-nostdlib"]
    library = ["-Wl,--version-script=versions.map", "-Wl,-soname,libv.so.1", "-o", "libv.so", "library.c"]
    subprocess.run([*options, *library], cwd=folder, check=True)
    subprocess.run([*options, "-o", "user.so", "user.c", "-L.", "-lv"], cwd=folder, check=True)
    content = (folder / "user.so").read_bytes()
    return content, _flags(content)


def _flags(content):
    """Return where ``vna_flags`` is of each version that an object needs, by pyelftools."""
    import io

    from elftools.elf.elffile import ELFFile

    section = ELFFile(io.BytesIO(content)).get_section_by_name(".gnu.version_r")
    ((needed, versions),) = [(needed, list(versions)) for needed, versions in section.iter_versions()]  # type: ignore[attr-defined]
    places, at = {}, section["sh_offset"] + needed["vn_aux"]
    for version in versions:
        places[version.name] = at + 4
        at += version["vna_next"]
    return places


def versions(content):
    return linkage(memoryview(content), "user.so").versions


def test_the_highest_version_of_a_family_is_told(compiled):
    content, places = compiled
    assert set(places) == {"V_1.0", "V_2.0"}
    assert versions(content) == (("libv.so.1", "V_2.0"),)


@pytest.mark.parametrize(
    ("weak", "left"),
    [({"V_2.0"}, [("libv.so.1", "V_1.0")]), ({"V_1.0"}, [("libv.so.1", "V_2.0")]), ({"V_1.0", "V_2.0"}, [])],
)
def test_a_weak_version_may_be_missing(compiled, weak, left):
    """The loader says nothing where all references to it are weak (VER_FLG_WEAK; elf/dl-version.c of glibc)."""
    content, places = compiled
    patched = bytearray(content)
    for name in weak:
        struct.pack_into("<H", patched, places[name], WEAK)
    assert list(versions(bytes(patched))) == left


@pytest.mark.parametrize("content", [b"", b"INPUT(libfoo.so.1)", b"!<arch>\n" * 20, b"NOPE\2\1" + bytes(100)])
def test_what_is_no_object_asks_for_nothing(content):
    """A linker's script has the name of a library, too."""
    assert linkage(memoryview(content), "libfoo.so") is None


@pytest.mark.parametrize(("machine", "kind"), [(X86_64, b"\x01\x01"), (AARCH64, b"\x02\x02")])
def test_x32_and_big_endian_arm_are_other_machines_than_lambdas(machine, kind):
    """They have the numbers of Lambda's machines, whose loader refuses them."""
    content = bytearray(asking(machine=machine))
    content[4:6] = kind
    if kind[1] == 2:
        content[18:20] = content[19:17:-1]
    assert linkage(memoryview(content), "a.so").machine not in {"x86_64", "aarch64"}
    assert linkage(memoryview(asking(machine=machine)), "a.so").machine in {"x86_64", "aarch64"}
