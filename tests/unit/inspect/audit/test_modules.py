"""The target's Python can import what is there."""

from __future__ import annotations

import struct

import pytest

from hatch_lambda.inspect.audit.modules import check_bytecode, check_modules

GOOD = "pkg/a.cpython-313-x86_64-linux-gnu.so"


def told(findings):
    return [(finding.code, finding.severity.value, finding.path) for finding in findings]


@pytest.mark.parametrize("name", ["a.cpython-313-x86_64-linux-gnu.so", "a.abi3.so", "a.so", "libx-1a2b.so.1"])
def test_modules_that_fit_are_no_finding(linked, name):
    assert told(check_modules(linked({f"pkg/{name}": {}}))) == []


@pytest.mark.parametrize(
    "tag",
    [
        "cpython-312-x86_64-linux-gnu",
        "cpython-313t-x86_64-linux-gnu",
        "cpython-313-aarch64-linux-gnu",
        "cpython-313-x86_64-linux-musl",
    ],
)
def test_a_module_for_another_python_is_an_error(linked, tag):
    assert told(check_modules(linked({f"pkg/a.{tag}.so": {}}))) == [("HL109", "error", f"pkg/a.{tag}.so")]


def test_a_module_for_another_machine_is_an_error_whatever_its_name(linked):
    for path in (GOOD, "pkg/a.abi3.so"):
        assert told(check_modules(linked({path: {"machine": "aarch64"}}))) == [("HL101", "error", path)]


def test_what_lies_beside_modules_that_fit_is_dead_weight_and_no_error(linked):
    other = "pkg/a.cpython-312-x86_64-linux-gnu.so"
    assert told(check_modules(linked({GOOD: {}, other: {}, "pkg/b.so": {"machine": "aarch64"}}))) == [
        ("HL109", "note", other),
        ("HL101", "note", "pkg/b.so"),
    ]


def test_a_library_for_another_machine_is_noted(linked):
    link = {"machine": "aarch64", "is_module": False}
    assert told(check_modules(linked({"pkg/libattach.so": link}))) == [("HL101", "note", "pkg/libattach.so")]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("pkg/a.cpython-313-darwin.so", b"\xcf\xfa\xed\xfe" + bytes(60)),
        ("pkg/a.abi3.so", b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(60)),
        ("pkg/a.cp313-win_amd64.pyd", b"MZ" + bytes(60)),
    ],
)
def test_modules_for_macos_and_windows_are_errors(package, path, content):
    assert told(check_modules(package({path: content}))) == [("HL108", "error", path)]


def test_programs_for_other_systems_are_noted_and_java_is_none(package):
    files = {"pkg/cli.exe": b"MZ" + bytes(60), "pkg/libx.dylib": b"\xcf\xfa\xed\xfe" + bytes(60)}
    java = {"pkg/A.class": b"\xca\xfe\xba\xbe\0\0\0\x41" + bytes(60)}
    assert told(check_modules(package({**files, **java}))) == [("HL108", "note", path) for path in files]


def pyc(magic, flags=0):
    return struct.pack("<H2sLLL", magic, b"\r\n", flags, 0, 0) + b"code"


def test_bytecode_without_source_is_of_the_targets_version(package):
    assert told(check_bytecode(package({"a.pyc": pyc(3571), "b.pyc": pyc(3531), "c.pyc": pyc(3531), "c.py": ""}))) == [
        ("HL111", "error", "b.pyc")
    ]


def test_bytecode_that_is_compiled_again_is_told_once(package):
    files = {f"{name}.py": "" for name in "abc"}
    cached = {f"__pycache__/{name}.cpython-313.pyc": pyc(3571) for name in "abc"}
    (finding,) = check_bytecode(package({**files, **cached}))
    assert (finding.code, finding.severity.value) == ("HL112", "warning")
    assert finding.message.startswith("3 .pyc are valid only with the date")
    hashed = {path: pyc(3571, flags=1) for path in cached}
    assert told(check_bytecode(package({**files, **hashed}))) == []


def test_one_that_slipped_into_a_wheel_is_only_noted(package):
    files = {f"m{number}.py": "" for number in range(20)}
    (finding,) = check_bytecode(package({**files, "__pycache__/m1.cpython-313.pyc": pyc(3571)}))
    assert finding.severity.value == "note"


def test_bytecode_that_is_never_read_is_told(package):
    files = {"a.py": "", "__pycache__/a.cpython-312.pyc": pyc(3531), "__pycache__/a.cpython-313.pyc": pyc(3531)}
    assert told(check_bytecode(package(files))) == [
        ("HL112", "warning", "__pycache__/a.cpython-312.pyc"),
        ("HL112", "warning", "__pycache__/a.cpython-313.pyc"),
    ]
