"""What a package is called, and which files of a folder are packages that were made here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.target import Target


_FILES = (".zip", ".json", ".whl")
_TARGET = r"python3\.\d+-(x86_64|arm64)"


def package_name(name: str, version: str | None, target: Target, function: str | None = None) -> str:
    """Return the file name of the package of a project, or of one of its functions: the same by every door."""
    return "-".join(part for part in (name, version, function, str(target)) if part) + ".zip"


def packages_in(directory: Path, name: str) -> Iterator[Path]:
    """Yield the packages of the project *name* in *directory*, in any shape, of any version, function and target.

    What a killed build may have left there counts too; nothing else does.
    """
    stem = rf"{re.escape(name)}(-[0-9][^-]*)?(-[A-Za-z][A-Za-z0-9_-]*)?-{_TARGET}"
    wheel = rf"{re.escape(name)}(_[a-z0-9_]+)?_lambda-[^-]+-cp3\d+-cp3\d+-manylinux_2_\d+_(x86_64|aarch64)\.whl"
    yield from _in(directory, rf"({stem}|{wheel})")


def packages_of(output: Path) -> Iterator[Path]:
    """Yield what is called after *output*, a package with a name of its own, in any shape, and unfinished ones."""
    yield from _in(output.parent, re.escape(output.name.removesuffix(".zip")))


def _in(directory: Path, stem: str) -> Iterator[Path]:
    """Yield the files of the packages called *stem*, a regular expression, and their folders as they are or were."""
    name = rf"{stem}(\.zip|-layer(-\d)?(\.zip|\.json|-permission-\w+\.json)|)"
    unfinished = rf"\.{name}(\.hatch-lambda)?\.[0-9a-f]{{8}}\.(old\.)?tmp"
    pattern = re.compile(f"{name}|{unfinished}")
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if pattern.fullmatch(path.name) and not (path.is_dir() and path.suffix in _FILES):
                yield path
