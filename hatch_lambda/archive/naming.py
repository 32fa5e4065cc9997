"""What a package is called, and which files of a folder are packages that were made here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.target import Target


def package_name(name: str, version: str | None, target: Target) -> str:
    """Return the file name of the package of a project: the same by every door."""
    return "-".join(part for part in (name, version, str(target)) if part) + ".zip"


def packages_in(directory: Path, name: str) -> Iterator[Path]:
    """Yield the packages of the project *name* in *directory*, of any version and for any target.

    What a killed build may have left there counts too; nothing else does.
    """
    package = re.compile(rf"{re.escape(name)}(-[0-9][^-]*)?-python3\.\d+-(x86_64|arm64)\.zip")
    unfinished = re.compile(rf"\.{package.pattern}\.[0-9a-f]{{8}}\.tmp")
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if (package.fullmatch(path.name) or unfinished.fullmatch(path.name)) and not path.is_dir():
                yield path


def unfinished_of(output: Path) -> Iterator[Path]:
    """Yield what killed builds may have left beside *output*, a package with a name of its own."""
    pattern = re.compile(rf"\.{re.escape(output.name)}\.[0-9a-f]{{8}}\.tmp")
    if output.parent.is_dir():
        yield from (path for path in sorted(output.parent.iterdir()) if pattern.fullmatch(path.name))
