"""Packages with a fault made on purpose: the audit finds that one, and nothing in sound ones."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from hatch_lambda.api import build, verify_package
from hatch_lambda.core.elf.linkage import family, linkage
from hatch_lambda.errors import ArchiveError, ConfigurationError, HatchLambdaError, VerificationError
from hatch_lambda.inspect.audit import layout as quotas
from hatch_lambda.inspect.audit import linking
from tests.support.wheels import make_project, make_wheel

MODULE = "fast.cpython-313-x86_64-linux-gnu.so"
compiler = pytest.mark.skipif(
    shutil.which("gcc") is None or os.uname().machine != "x86_64", reason="there is no gcc for x86_64"
)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))


def compiled(folder, name, *options, needs=()):
    """Compile an extension module that needs symbols, as (library, version, symbol), of libraries made for that."""
    calls = "".join(f"extern void {symbol}(void);\n" for _, _, symbol in needs)
    body = "".join(f"{symbol}();" for _, _, symbol in needs)
    stem = name.partition(".")[0]
    libraries = []
    for number, (library, version, symbol) in enumerate(needs):
        stub = folder / f"stub{number}"
        stub.mkdir(parents=True)
        (stub / "map").write_text(f"{version} {{ global: {symbol}; }};\n")
        (stub / "stub.c").write_text(f"void {symbol}(void) {{}}\n")
        script = f"-Wl,--version-script={stub / 'map'}"
        gcc("-shared", "-fPIC", f"-Wl,-soname,{library}", script, "-o", stub / library, stub / "stub.c", "-nostdlib")
        libraries.append(stub / library)
    source = folder / f"{stem}.c"
    source.write_text(f"{calls}void *PyInit_{stem}(void) {{ {body} return 0; }}\n")
    gcc("-shared", "-fPIC", *options, "-o", folder / name, source, *libraries, "-nostdlib")
    return (folder / name).read_bytes()


def gcc(*arguments):
    subprocess.run(["gcc", *map(str, arguments)], check=True, capture_output=True)


def zipped(path, files, modes=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = dict(modes).get(name, 0o100644) << 16
            archive.writestr(info, content)
    return path


def told(package, **settings):
    return [(found.code, found.severity.value, found.path) for found in verify_package(package, **settings).findings]


@compiler
@pytest.mark.parametrize(
    ("needs", "code"),
    [
        ((), None),
        ((("libc.so.6", "GLIBC_2.34", "f"), ("libstdc++.so.6", "GLIBCXX_3.4.29", "g")), None),
        ((("libc.so.6", "GLIBC_2.39", "f"),), "HL102"),
        ((("libstdc++.so.6", "GLIBCXX_3.4.30", "f"),), "HL102"),
        ((("libGL.so.1", "GL_1", "f"),), "HL103"),
        ((("libunheard.so.1", "U_1", "f"),), "HL104"),
    ],
)
def test_what_a_compiled_module_needs_is_found_in_any_zip(tmp_path, needs, code):
    package = zipped(tmp_path / "a.zip", {"app.py": "", MODULE: compiled(tmp_path, MODULE, needs=needs)})
    assert [found[0] for found in told(package)] == ([code] if code else [])


@compiler
def test_a_stack_that_is_executable_is_noted(tmp_path):
    package = zipped(tmp_path / "a.zip", {MODULE: compiled(tmp_path, MODULE, "-Wl,-z,execstack")})
    assert told(package) == [("HL107", "note", MODULE)]


@compiler
def test_a_layer_that_is_named_has_the_library(tmp_path):
    """And counts for the quota."""
    package = zipped(tmp_path / "a.zip", {MODULE: compiled(tmp_path, MODULE, needs=[("libGL.so.1", "GL_1", "f")])})
    layer = zipped(tmp_path / "layer.zip", {"lib/libGL.so.1": b"x"})
    assert told(package, layers=[str(layer)]) == []
    assert told(package, layers=[str(layer)] * 6) == [("HL122", "error", None)]
    large = zipped(tmp_path / "large.zip", {"lib/libGL.so.1": bytes(250 << 20)})
    assert told(package, layers=[str(large)]) == [("HL001", "error", None)]


@compiler
def test_segments_that_are_not_aligned_are_an_error(tmp_path):
    """As glibc before 2.35 checks them; newer ones look only at the page."""
    content = bytearray(compiled(tmp_path, MODULE))
    table = struct.unpack_from("<Q", content, 32)[0]
    for number in range(struct.unpack_from("<H", content, 56)[0]):
        at = table + 56 * number
        if struct.unpack_from("<I", content, at)[0] == 1:
            offset, address = struct.unpack_from("<QQ", content, at + 8)
            align = 0x1000
            while (offset - address) % align == 0 and align < 1 << 30:
                align *= 2
            struct.pack_into("<Q", content, at + 48, align)
    found = told(zipped(tmp_path / "a.zip", {MODULE: bytes(content)}))
    assert found == ([("HL106", "error", MODULE)] if align < 1 << 30 else [])


def test_owners_are_told_by_names_where_lists_are_gone(tmp_path):
    """As in our own packages, which have no RECORD."""
    wheels = [make_wheel(tmp_path / "wheels", name) for name in ("used", "idle")]
    project = make_project(tmp_path / "project", *wheels)
    (project / "app.py").write_text("import used\n")
    assert [item.name for item in verify_package(build(project).path).audit.unused] == ["idle"]


def test_our_reading_of_objects_agrees_with_pyelftools():
    """On what this interpreter itself is linked of and loads."""
    objects = [path for path in Path(sys.base_prefix, "lib").rglob("*.so*") if path.is_file() and not path.is_symlink()]
    read = [path for path in objects if path.read_bytes()[:4] == b"\x7fELF"][:60]
    for path in read:
        with path.open("rb") as stream:
            ours, elf = linkage(memoryview(path.read_bytes()), path.name), ELFFile(stream)
            (dynamic,) = [segment for segment in elf.iter_segments() if isinstance(segment, DynamicSegment)]
            tags = list(dynamic.iter_tags())
            assert ours.needed == tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"), path  # type: ignore[attr-defined]
            assert [ours.soname] == [tag.soname for tag in tags if tag.entry.d_tag == "DT_SONAME"] or not ours.soname  # type: ignore[attr-defined]
            highest = {}
            for section in elf.iter_sections():
                if isinstance(section, GNUVerNeedSection):
                    for library, versions in section.iter_versions():
                        for version in versions:
                            name, number = family(version.name)
                            highest[library.name, name] = max(number, highest.get((library.name, name), ()))
            assert {(library, family(version)[0]): family(version)[1] for library, version in ours.versions} == highest
    assert read


def test_a_file_that_only_its_owner_may_read_is_an_error(tmp_path):
    package = zipped(tmp_path / "a.zip", {"app.py": "", "b.py": ""}, {"b.py": 0o100600})
    assert ("HL115", "error", "b.py") in told(package)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "app.py").touch(mode=0o600)
    assert ("HL115", "error", "app.py") in told(tmp_path / "folder")


def test_a_package_in_a_folder_of_the_zip_is_an_error(tmp_path):
    wheel = make_wheel(tmp_path, "a")
    with zipfile.ZipFile(wheel) as archive:
        files = {f"package/{name}": archive.read(name) for name in archive.namelist()}
    assert ("HL116", "error", "package/") in told(zipped(tmp_path / "a.zip", files), runtime="python3.13")


def test_bytecode_of_another_version_is_an_error(tmp_path):
    """Here without source, so that nothing else can be imported."""
    package = zipped(tmp_path / "a.zip", {"app.pyc": struct.pack("<H2sLLL", 3531, b"\r\n", 0, 0, 0)})
    assert told(package, runtime="python3.13", architecture="x86_64") == [("HL111", "error", "app.pyc")]
    assert told(package, runtime="python3.12", architecture="x86_64") == []


def test_the_target_is_told_from_the_files_or_the_name(tmp_path):
    for name, files, target in (
        ("a.zip", {MODULE: b"", "app.py": b""}, ("python3.13", "x86_64")),
        ("a.zip", {"x.cpython-311-aarch64-linux-gnu.so": b""}, ("python3.11", "arm64")),
        ("a.zip", {"__pycache__/app.cpython-312.pyc": b""}, ("python3.12", None)),
        ("svc-1.0-python3.12-arm64.zip", {"app.py": b""}, ("python3.12", "arm64")),
        ("a.zip", {"app.py": b""}, (None, None)),
    ):
        verified = verify_package(zipped(tmp_path / name, files))
        assert (verified.runtime, verified.architecture) == target
        assert ("HL121" in {found.code for found in verified.findings}) is (None in target)


@pytest.mark.parametrize("data", [b"", b"text", b"PK\3\4", None])
def test_what_is_no_package_is_one_clear_line(tmp_path, data):
    if data is not None:
        (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ArchiveError) as caught:
        verify_package(tmp_path / "a.zip")
    assert len(caught.value.message.splitlines()) == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError):
        verify_package(tmp_path / "empty")


def run(*arguments, cwd):
    command = [sys.executable, "-m", "hatch_lambda", "verify", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_tells_and_its_exit_code_too(tmp_path):
    package = zipped(tmp_path / "a.zip", {"app.py": "", "b.py": "", ".env": ""}, {"b.py": 0o100600})
    done = run("a.zip", cwd=tmp_path)
    assert done.returncode == VerificationError.exit_code
    lines = done.stdout.splitlines()
    assert lines[0] == "1 error"
    assert lines[1].startswith("  HL115  b.py: has the mode 0600")
    assert "1 warning" in lines
    assert lines[-1].startswith("a.zip: 1 error, 1 warning, 1 note for an unknown target")
    assert run("--ignore", "HL115", package, cwd=tmp_path).returncode == 0
    document = json.loads(run("--json", "a.zip", cwd=tmp_path).stdout)
    assert [found["code"] for found in document["findings"]] == ["HL115", "HL119", "HL121"]
    assert {"unused", "requires", "runtime", "unzipped_bytes"} <= set(document)


def test_a_code_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no check has the code 'HL999'"):
        verify_package(zipped(tmp_path / "a.zip", {"app.py": ""}), verify_ignore=["HL999"])


@compiler
def test_a_build_fails_with_every_error_unless_it_is_ignored(tmp_path):
    """The same from the cache: what was found once is judged each time, and the compressed files are not read again."""
    content = compiled(tmp_path, MODULE, needs=[("libc.so.6", "GLIBC_2.39", "f")])
    wheel = make_wheel(tmp_path / "wheels", "fast", {MODULE: content}, tag="cp313-cp313-manylinux_2_17_x86_64")
    project = make_project(tmp_path / "project", wheel)
    for _ in range(2):
        with pytest.raises(VerificationError, match=f"HL102: {MODULE}: needs GLIBC_2.39 of libc.so.6"):
            build(project)
        assert not list(project.glob("dist/*"))
    package = build(project, verify_ignore=["HL102"])
    assert package.from_cache
    assert ("HL102", "note") in {(found.code, found.severity.value) for found in package.findings}
    assert ("HL102", "error", MODULE) in told(package.path)


def test_a_build_tells_which_distributions_nobody_imports(tmp_path):
    wheels = [
        make_wheel(tmp_path / "wheels", "used", {"used.py": "import deeper\n"}, metadata="Requires-Dist: deeper\n"),
        make_wheel(tmp_path / "wheels", "deeper"),
        make_wheel(tmp_path / "wheels", "idle", {"idle.py": "x = 1\n" * 1000}),
    ]
    project = make_project(tmp_path / "project", *wheels)
    (project / "app.py").write_text("import used\n")
    for _ in range(2):
        package = build(project)
        assert [item.name for item in package.audit.unused] == ["idle"]
        assert package.document().requires["used"] == ["deeper"]
    (project / "app.py").write_text("import used, idle\n")
    assert build(project).audit.unused == ()


def test_a_handler_that_is_no_python_fails_the_build(tmp_path):
    """Where this interpreter is of the target's version; elsewhere nobody can tell."""
    runtime = f"python3.{sys.version_info[1]}"
    project = make_project(tmp_path / "project", settings='handler = "app.handler"')
    (project / "template.py").write_text("{{ name }} = \n")
    package = build(project, runtime=runtime)
    assert [(found.code, found.path) for found in package.findings if found.code == "HL113"] == [
        ("HL113", "template.py")
    ]
    (project / "app.py").write_text("def handler(:\n")
    with pytest.raises(HatchLambdaError, match=r"HL113: app\.py: is not Python"):
        build(project, runtime=runtime)


def test_sound_packages_of_ours_have_no_finding(tmp_path):
    wheel = make_wheel(tmp_path / "wheels", "a", {"a/__init__.py": "import importlib.metadata as m\nm.version('a')\n"})
    project = make_project(tmp_path / "project", wheel, settings='handler = "app.handler"')
    (project / "app.py").write_text("import a\ndef handler(event, context): ...\n")
    package = build(project)
    assert package.findings == ()
    assert told(package.path) == []


def test_what_did_not_change_is_not_checked_again(tmp_path, monkeypatch):
    """Nor after an edit that changes nothing of what is checked; sizes are looked at each time."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    wheel = make_wheel(tmp_path / "wheels", "a", {"a/__init__.py": ""})
    project = make_project(tmp_path / "project", wheel)
    code = (project / "app.py").read_text()
    first = build(project, verify="static")

    def check(*_):
        raise AssertionError("it was checked again")

    monkeypatch.setattr(linking, "check_linking", check)
    (project / "app.py").write_text(f"{code}# edited\n")
    assert build(project, verify="static").audit == first.audit
    monkeypatch.setattr(quotas, "UNZIPPED_QUOTA", 1)
    with pytest.raises(VerificationError, match="HL001"):
        build(project, verify="static")
    monkeypatch.undo()
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    (project / "app.py").write_text(code.replace("import a", "pass"))
    assert [item.name for item in build(project, verify="static").audit.unused] == ["a"]
