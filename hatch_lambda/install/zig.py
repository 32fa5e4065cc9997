"""The compiler of zig: for C and C++ and every target, in one distribution of PyPI."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.errors import CommandError, MissingToolError
from hatch_lambda.workspace import TOOLS, make_inside

if TYPE_CHECKING:
    from hatch_lambda.install.building import Bench

VERSION = "0.17.0"
"""Of ``ziglang``, as the extra ``cross`` has it too."""


def tools(bench: Bench) -> Path:
    """Return the folder for what is too large, or too much of this machine, to be an entry of the cache."""
    if bench.cache.root is not None:
        with suppress(OSError):
            return make_inside(bench.cache.root, TOOLS)
    return bench.workspace / TOOLS


def find_zig(bench: Bench) -> Path:
    """Return the program: of the extra ``cross``, else installed by uv beside the cache. Raises MissingToolError."""
    spec = find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).with_name("zig")
    folder = tools(bench) / f"ziglang-{VERSION}"
    return (folder if folder.is_dir() else _install(bench, folder)) / "ziglang" / "zig"


def _install(bench: Bench, folder: Path) -> Path:
    unfinished = bench.workspace / "ziglang"
    try:
        bench.uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"),
            *("--python", sys.executable, "--target", unfinished, f"ziglang=={VERSION}"),
            cwd=bench.cwd,
        )
    except CommandError as error:
        raise MissingToolError(
            f'the compiler that `sdist = "cross"` needs, ziglang {VERSION}, could not be installed:\n{error.tail()}',
            hint="check the network and the configuration of indexes, or install `hatch-lambda[cross]`",
        ) from error
    try:
        folder.parent.mkdir(exist_ok=True)
        return unfinished.rename(folder)
    except OSError:  # another build was faster, or it cannot be kept
        return folder if folder.is_dir() else unfinished
