"""The target's loader is asked before the package ships."""

from __future__ import annotations

import pytest

from hatch_lambda.inspect.audit.linking import check_linking
from hatch_lambda.inspect.audit.subject import Layer

MODULE = "pkg/fast.cpython-313-x86_64-linux-gnu.so"


def told(findings):
    return [(finding.code, finding.severity.value, finding.path) for finding in findings]


def messages(subject):
    return [finding.message for finding in check_linking(subject)]


def test_what_manylinux_promises_is_no_finding(linked):
    needed = ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "ld-linux-x86-64.so.2")
    versions = (("libc.so.6", "GLIBC_2.34"), ("libstdc++.so.6", "GLIBCXX_3.4.29"), ("libgcc_s.so.1", "GCC_7.0.0"))
    assert list(check_linking(linked({MODULE: {"needed": needed, "versions": versions}}))) == []


@pytest.mark.parametrize(
    ("runtime", "library", "version", "has"),
    [
        ("python3.13", "libc.so.6", "GLIBC_2.35", "GLIBC_2.34"),
        ("python3.13", "libm.so.6", "GLIBC_2.39", "GLIBC_2.34"),
        ("python3.13", "libc.so.6", "GLIBC_ABI_DT_RELR", "GLIBC_2.34"),
        ("python3.11", "libc.so.6", "GLIBC_2.28", "GLIBC_2.26"),
        ("python3.11", "libstdc++.so.6", "GLIBCXX_3.4.25", "GLIBCXX_3.4.24"),
        ("python3.12", "libstdc++.so.6", "CXXABI_1.3.15", "CXXABI_1.3.13"),
        ("python3.13", "libgcc_s.so.1", "GCC_12.0.0", "GCC_11.0"),
    ],
)
def test_a_version_that_the_runtime_has_not_is_an_error_that_names_it(linked, runtime, library, version, has):
    (finding,) = check_linking(linked({MODULE: {"versions": ((library, version),)}}, runtime=runtime))
    assert (finding.code, finding.severity.value, finding.path) == ("HL102", "error", MODULE)
    assert finding.message.startswith(f"needs {version} of {library}; {runtime} has {has} (Amazon Linux")


def test_versions_of_a_library_that_the_package_brings_are_its_own_affair(linked):
    link = {"needed": ("libstdc++.so.6",), "versions": (("libstdc++.so.6", "GLIBCXX_3.4.33"),), "rpath": ("$ORIGIN",)}
    assert messages(linked({MODULE: link}, others=["pkg/libstdc++.so.6"])) == []
    assert len(messages(linked({MODULE: link}))) == 1


@pytest.mark.parametrize(
    ("folders", "place"),
    [
        ({"rpath": ("$ORIGIN/../pkg.libs",)}, "pkg.libs/libfoo-1a.so.1"),
        ({"runpath": ("/usr/local/lib", "${ORIGIN}/lib")}, "pkg/lib/libfoo-1a.so.1"),
        ({}, "lib/libfoo-1a.so.1"),
        ({}, "libfoo-1a.so.1"),
    ],
)
def test_a_library_is_found_where_the_loader_looks(linked, folders, place):
    assert messages(linked({MODULE: {"needed": ("libfoo-1a.so.1",), **folders}}, others=[place])) == []


def test_a_layer_has_libraries_in_lib(linked):
    subject = linked(
        {MODULE: {"needed": ("libGL.so.1",)}}, layers=(Layer(paths=frozenset({"lib/libGL.so.1"}), size=1),)
    )
    assert messages(subject) == []


def test_a_runpath_takes_the_place_of_an_rpath(linked):
    link = {"needed": ("libfoo.so",), "rpath": ("$ORIGIN",), "runpath": ("$ORIGIN/no",)}
    assert told(check_linking(linked({MODULE: link}, others=["pkg/libfoo.so"]))) == [("HL105", "note", MODULE)]


def test_a_library_has_the_rpath_of_who_loads_it(linked):
    """As ld.so(8) says of DT_RPATH, and not of DT_RUNPATH."""
    objects = {
        MODULE: {"needed": ("liba.so",), "rpath": ("$ORIGIN/a", "$ORIGIN/b")},
        "pkg/a/liba.so": {"needed": ("libb.so",), "is_module": False},
    }
    assert messages(linked(objects, others=["pkg/b/libb.so"])) == []
    objects[MODULE] = {"needed": ("liba.so",), "runpath": ("$ORIGIN/a", "$ORIGIN/b")}
    assert told(check_linking(linked(objects, others=["pkg/b/libb.so"]))) == [("HL105", "note", "pkg/a/liba.so")]


def test_a_library_elsewhere_in_the_package_is_only_noted(linked):
    """Python code may have loaded it before, as torch and numpy do."""
    objects = {MODULE: {"needed": ("libfoo.so.2",)}, "other/renamed.so": {"soname": "libfoo.so.2", "is_module": False}}
    (finding,) = check_linking(linked(objects))
    assert (finding.code, finding.severity.value) == ("HL105", "note")
    assert "other/renamed.so" in finding.message


@pytest.mark.parametrize(("library", "code"), [("libGL.so.1", "HL103"), ("libtbb.so.12", "HL104")])
def test_what_is_known_to_be_missing_and_what_is_not_known_differ(linked, library, code):
    severity = {"HL103": "error", "HL104": "warning"}[code]
    assert told(check_linking(linked({MODULE: {"needed": (library,)}}))) == [(code, severity, MODULE)]


@pytest.mark.parametrize(("library", "severity"), [("libGL.so.1", "warning"), ("libtbb.so.12", "note")])
def test_what_no_module_loads_matters_less(linked, library, severity):
    plugin = {"needed": (library,), "is_module": False}
    (finding,) = check_linking(linked({MODULE: {}, "pkg/plugins/libx.so": plugin}))
    assert finding.severity.value == severity
    (finding,) = check_linking(linked({MODULE: {"needed": ("libx.so",)}, "lib/libx.so": plugin}))
    assert finding.severity.value in {"error", "warning"} - ({severity} if severity == "warning" else set())


@pytest.mark.parametrize(("runtime", "count"), [("python3.11", 1), ("python3.13", 1), (None, 1)])
def test_segments_that_the_loader_does_not_map_are_an_error(linked, runtime, count):
    found = told(check_linking(linked({MODULE: {"misaligned": True}}, runtime=runtime)))
    assert found == [("HL106", "error", MODULE)] * count


def test_an_executable_stack_is_noted(linked):
    assert told(check_linking(linked({MODULE: {"executable_stack": True}}))) == [("HL107", "note", MODULE)]


def test_objects_for_another_machine_are_not_asked_what_they_need(linked):
    assert messages(linked({MODULE: {"machine": "aarch64", "needed": ("libGL.so.1",)}})) == []


def test_damaged_objects_are_told(package):
    subject = package({MODULE: b"\x7fELF\2\1\1" + bytes(57), "b.so": b"\x7fELF"})
    assert [(finding.path, finding.code) for finding in check_linking(subject)] == [
        ("b.so", "HL106"),
        (MODULE, "HL106"),
    ]
