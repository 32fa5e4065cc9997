"""Tell whether a wheel that was built somewhere runs on the target: by its tags, its file names and its objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

    from hatch_lambda.target import Target

_MACHINES = {62: "x86_64", 183: "aarch64"}
"""``e_machine`` of the ELF header (System V ABI)."""
_64_BIT_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_FOREIGN = {
    b"MZ": "a binary of Windows",
    b"\xcf\xfa\xed\xfe": "a binary of macOS",
    b"\xca\xfe\xba\xbe": "a binary of macOS",
}
_MODULE = re.compile(r"\.(?P<python>cpython-3\d+|cp3\d+|abi3)(?:-(?P<platform>[\w-]+))?\.(?:so|pyd)$")
_GLIBC = re.compile(rb"(?<=\0)GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)")
"""A version of glibc's symbols, as the string table of an object that needs it has it."""


def unfit(wheel: Path, target: Target) -> str | None:
    """Return why *wheel* does not run on *target*, or None if it does.

    Its tag alone says too little: a build names the machine it ran on whatever it made (``linux_x86_64`` says nothing
    of glibc), and one whose compiler failed may be called pure.
    """
    import zipfile

    try:
        tags = parse_wheel_filename(wheel.name)[-1]
    except InvalidWheelFilename as error:
        return str(error)
    if tags.isdisjoint(target.tags):
        return f"its tag is {'.'.join(sorted(map(str, tags)))}"
    pure = all(tag.platform == "any" for tag in tags)
    with zipfile.ZipFile(wheel) as archive:
        reasons = (_strange_member(archive, name, target, pure=pure) for name in archive.namelist())
        return next(filter(None, reasons), None)


def _strange_member(archive: zipfile.ZipFile, name: str, target: Target, *, pure: bool) -> str | None:
    if reason := _strange_name(name, target):
        return f"{name} is {reason}"
    with archive.open(name) as stream:
        head = stream.read(20)
        foreign = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
        if foreign and name.endswith((".so", ".pyd", ".dll", ".dylib")):
            return f"{name} is {foreign}"
        if not head.startswith(b"\x7fELF"):
            return None
        if pure and ".so" in name:
            return f"its tag says that it is pure Python, and {name} is not"
        reason = _strange_object(head, stream.read(), target)
        return reason and f"{name} {reason}"


def _strange_name(name: str, target: Target) -> str | None:
    """Read the suffix of an extension module (PEP 3149): an interpreter imports only what has its own."""
    match = _MODULE.search(name)
    if match is None:
        return None
    major, minor = target.runtime.python_version
    if match["python"] not in {f"cpython-{major}{minor}", "abi3"} or name.endswith(".pyd"):
        return f"a module for {match['python']}"
    expected = f"{target.architecture.machine}-linux-gnu"
    if match["platform"] is not None and match["platform"] != expected:
        return f"a module for {match['platform']}"
    return None


def _strange_object(head: bytes, rest: bytes, target: Target) -> str | None:
    machine = _MACHINES.get(int.from_bytes(head[18:20], "little")) if head.startswith(_64_BIT_LITTLE_ENDIAN) else None
    if machine != target.architecture.machine:
        return f"is for the machine {machine or 'of another kind'}"
    newest = max((int(match[1]) for match in _GLIBC.finditer(rest)), default=0)
    major, minor = target.runtime.glibc
    if newest > minor:
        return f"needs glibc {major}.{newest}, and {target.runtime.amazon_linux} has {major}.{minor}"
    return None
