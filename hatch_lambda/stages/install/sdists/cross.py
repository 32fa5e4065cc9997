"""Build C and C++ for the target's machine and glibc on this machine, with the compiler of zig."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.python import find, missing
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.sdists.bench import failed
from hatch_lambda.stages.install.sdists.fitness import has_objects
from hatch_lambda.stages.install.sdists.native import build_if_pure, writable
from hatch_lambda.stages.install.sdists.pure import build_wheel
from hatch_lambda.stages.install.sdists.toolchain import Toolchain

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.stages.install.sdists.bench import Bench, SourceTree


_RUST = re.compile(r"^\s*requires\s*=[^\]]*[\"'](maturin|setuptools[-_]rust)\b", re.MULTILINE)
_CONTAINER = 'build it in a container (`sdist = "container"`), or choose a version that has wheels for the target'
_LAST_LINES = 12


def build(tree: SourceTree, bench: Bench) -> Path:
    """Build *tree*, with a cross-compiler if it asks for a compiler. Raises InstallError where that is not possible."""
    tree = replace(tree, folder=writable(tree, bench))
    return build_if_pure(tree, bench) or _compile(tree, bench)


def _compile(tree: SourceTree, bench: Bench) -> Path:
    _refuse(tree)
    if bench.python is None:
        if find(bench.python_version, bench.uv, bench.cache, cwd=bench.workspace) is None:
            raise missing(bench.python_version, f"to compile {tree.source.shown} with", _CONTAINER)
        bench = replace(bench)  # which looks for it again
    toolchain = Toolchain.make(bench)
    try:
        wheel = build_wheel(tree, bench, *toolchain.options(tree.folder), **toolchain.environment)
    except CommandError as error:
        raise failed(error, tree.source, bench) from error
    if not has_objects(wheel):
        lines = toolchain.failures()[-_LAST_LINES:] or ["the build does not say why"]
        told = "\n".join(f"    {line}" for line in lines)
        shown = f"{tree.source.shown} (from {tree.source.origin})"
        raise InstallError(
            f"{shown} asked for a compiler, and no native code came of it:\n{told}",
            hint=f'`sdist = "pure"` takes it so; else {_CONTAINER}',
        )
    return wheel


def _refuse(tree: SourceTree) -> None:
    """Refuse what cannot work before anything is downloaded for it."""
    shown = f"{tree.source.shown} (from {tree.source.origin})"
    pyproject = tree.folder / "pyproject.toml"
    if pyproject.is_file() and _RUST.search(pyproject.read_text(encoding="utf-8", errors="replace")):
        raise InstallError(f"{shown} is written in Rust, which is not cross-compiled here", hint=_CONTAINER)
    if sys.platform != "linux":
        raise InstallError(f"{shown} has native code, which is cross-compiled on Linux only", hint=_CONTAINER)
