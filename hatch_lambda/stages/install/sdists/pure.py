"""Build a wheel on this machine, for this machine: right for pure Python, and for native code where the two agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.core.uv import INNER_BUILD
from hatch_lambda.errors import CommandError
from hatch_lambda.stages.install.sdists.bench import failed

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.stages.install.sdists.bench import Bench, SourceTree


_LONG_AGO = "315532800"
"""The first second that a zip can hold; so that no build writes its own date into what it makes."""


def build(tree: SourceTree, bench: Bench) -> Path:
    """Build *tree* as :func:`build_wheel` does. Raises InstallError with the log's place when that fails."""
    try:
        return build_wheel(tree, bench)
    except CommandError as error:
        raise failed(error, tree.source, bench) from error


def build_wheel(tree: SourceTree, bench: Bench, *options: str, **variables: str) -> Path:
    """Build *tree* isolated, with its own backend (PEP 517) and an interpreter of the target's version.

    Where this machine has none, any other that the source allows has to do: pure Python does not mind, and other
    wheels are refused by their tag. *options* are further ones of ``uv build``; *variables* are added to the
    environment. The folders that setuptools builds in are moved out of the source, where an older build's would be
    packed again. Raises CommandError.
    """
    folder = bench.workspace / "wheel"
    setuptools = bench.workspace / "setuptools.cfg"
    setuptools.write_text(f"[build]\nbuild_base = {bench.workspace / 'setuptools'}\n", encoding="utf-8")
    python = ("--python", bench.python) if bench.python is not None else ()
    bench.uv.run(
        *("build", "--wheel", "--out-dir", folder, *python, *bench.install_args, *options, tree.folder),
        cwd=bench.cwd,
        **{
            INNER_BUILD: "1",
            "PYTHONHASHSEED": "0",
            "DIST_EXTRA_CONFIG": str(setuptools),
            **({} if "SOURCE_DATE_EPOCH" in bench.uv.environment else {"SOURCE_DATE_EPOCH": _LONG_AGO}),
            **variables,
        },
    )
    (wheel,) = folder.glob("*.whl")
    return wheel
