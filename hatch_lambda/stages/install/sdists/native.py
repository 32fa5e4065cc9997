"""What the ways of building native code share: who needs them, and what of it does not fit every machine."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import CommandError
from hatch_lambda.stages.install.sdists.fitness import is_pure
from hatch_lambda.stages.install.sdists.pure import build_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.stages.install.sdists.bench import Bench, Built, SourceTree


_PROBE = """\
#!/bin/sh
echo asked >>{note}
exit 1
"""
"""A compiler that only notes that somebody asked for it."""


def native_notes(built: Iterable[Built]) -> tuple[Finding, ...]:
    """Say which of the wheels that were *built* need not have the same bytes on another machine."""
    return tuple(
        Finding(
            code="HL070",
            severity=Severity.NOTE,
            message=f"{one.source.shown} was built from {one.source.origin}: native code, whose bytes may differ by"
            " machine",
            hint="depend on a version that has a wheel for the target, and the package is the same everywhere",
        )
        for one in built
        if not is_pure(one.wheel)
    )


def build_if_pure(tree: SourceTree, bench: Bench) -> Path | None:
    """Build *tree* without any compiler; return None where it asked for one, so that it has native code.

    The wheel alone does not tell: extension modules are often optional, and a build whose compiler fails then makes
    a wheel without them and says nothing.
    """
    work = bench.workspace / "without-compiler"
    work.mkdir()
    note, probe = work / "asked", work / "cc"
    make_script(probe, _PROBE.format(note=shlex.quote(str(note))))
    compilers = {} if os.name == "nt" else dict.fromkeys(("CC", "CXX", "LD", "FC"), str(probe))
    try:
        wheel = build_wheel(tree, replace(bench, workspace=work), **compilers)
    except CommandError:
        return None
    return wheel if is_pure(wheel) and not note.exists() else None


def writable(tree: SourceTree, bench: Bench) -> Path:
    """Return a folder with the source that native builds, which write where they read, may use as they like."""
    if tree.immutable:
        return tree.folder
    copy = bench.workspace / "source"
    shutil.copytree(tree.folder, copy, symlinks=True, ignore=_environments)
    return copy


def make_script(path: Path, text: str) -> None:
    """Write a program of the shell."""
    path.write_text(text, encoding="utf-8", newline="\n")
    path.chmod(0o755)


def _environments(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name / "pyvenv.cfg").is_file()]
