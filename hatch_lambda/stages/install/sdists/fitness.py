"""Tell whether a wheel runs on the target, by what is in it."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from hatch_lambda.core.elf.linkage import MAGIC, family, linkage

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.target import Target


_FOREIGN = {
    b"MZ": "a binary of Windows",
    b"\xcf\xfa\xed\xfe": "a binary of macOS",
    b"\xca\xfe\xba\xbe": "a binary of macOS",
}
_MODULE = re.compile(r"\.(?P<python>cpython-3\d+|cp3\d+|abi3)(?:-(?P<platform>[\w-]+))?\.(?:so|pyd)$")


def is_pure(wheel: Path) -> bool:
    """Tell whether *wheel* says that it is for every platform."""
    return all(tag.platform == "any" for tag in parse_wheel_filename(wheel.name)[-1])


def has_objects(wheel: Path) -> bool:
    """Tell whether there is native code in *wheel*, whatever its tag says."""
    with zipfile.ZipFile(wheel) as archive:
        return any(_begin(archive, name) == MAGIC for name in archive.namelist())


def unfit(wheel: Path, target: Target) -> str | None:
    """Return why *wheel* does not run on *target*, or None if it does.

    Its tag alone says too little: a build names the machine it ran on whatever it made (``linux_x86_64`` says nothing
    of glibc), and one whose compiler failed may be called pure.
    """
    try:
        tags = parse_wheel_filename(wheel.name)[-1]
    except InvalidWheelFilename as error:
        return str(error)
    if tags.isdisjoint(target.tags):
        return f"its tag is {'.'.join(sorted(map(str, tags)))}"
    pure = is_pure(wheel)
    with zipfile.ZipFile(wheel) as archive:
        reasons = (_strange_member(archive, name, target, pure=pure) for name in archive.namelist())
        return next(filter(None, reasons), None)


def _strange_member(archive: zipfile.ZipFile, name: str, target: Target, *, pure: bool) -> str | None:
    if reason := _strange_name(name, target):
        return f"{name} is {reason}"
    head = _begin(archive, name)
    foreign = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
    if foreign and name.endswith((".so", ".pyd", ".dll", ".dylib")):
        return f"{name} is {foreign}"
    if head != MAGIC:
        return None
    if pure and ".so" in name:
        return f"its tag says that it is pure Python, and {name} is not"
    reason = _strange_object(archive.read(name), name, target)
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


def _strange_object(data: bytes, name: str, target: Target) -> str | None:
    try:
        asked = linkage(memoryview(data), name.rpartition("/")[2])
    except ValueError as error:
        return f"is a damaged object: {error}"
    if asked is None:
        return None
    if asked.machine != target.architecture.machine:
        return f"is for the machine {asked.machine}"
    versions = (number for label, number in (family(version) for _, version in asked.versions) if label == "GLIBC")
    newest = max(versions, default=())
    if newest > target.runtime.glibc:
        major, minor = target.runtime.glibc
        needed = ".".join(map(str, newest))
        return f"needs glibc {needed}, and {target.runtime.amazon_linux} has {major}.{minor}"
    return None


def _begin(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as stream:
        return stream.read(len(MAGIC))
