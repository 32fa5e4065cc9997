"""The sizes that Lambda accepts."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from hatch_lambda.model import Finding, Severity
from hatch_lambda.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.model import Tree

_MIB = 1 << 20
_MB = 1_000_000
_NAMED = 3


def _above(size: int, unit: int) -> str:
    """Round up, so that no message compares a number with itself."""
    return f"{math.ceil(size * 10 / unit) / 10:.1f}"


def check_unzipped(tree: Tree, layers: int = 0, *, nested: bool = False) -> Iterator[Finding]:
    """Find a tree that, with the bytes of its *layers*, is larger than a function may be unzipped, or empty.

    Its size does not matter where some of it will be *nested*.
    """
    if not tree.files:
        yield Finding(
            code="HL008",
            severity=Severity.ERROR,
            message="the package is empty: there is no Python module in the project, and no dependency",
            hint="name the folder of a project; `hatch-lambda explain .` tells what became of its files",
        )
    if nested or tree.size + layers <= UNZIPPED_QUOTA:
        return
    sizes: Counter[str] = Counter()
    for file in tree:
        sizes[file.distribution or "the project"] += file.size
    with_layers = f" with {_above(layers, _MIB)} MiB of layers" if layers else ""
    largest = ", ".join(f"{name} {size / _MIB:.1f} MiB" for name, size in sizes.most_common(_NAMED))
    yield Finding(
        code="HL001",
        severity=Severity.ERROR,
        message=f"the package is {_above(tree.size + layers, _MIB)} MiB unzipped{with_layers};"
        f" Lambda takes {UNZIPPED_QUOTA // _MIB} MiB"
        f" (largest: {largest})",
        hint="leave out what the function does not use with tool.lambda-slim.patterns,"
        ' or let it be unpacked at the start with shape = "nested"',
    )


def check_zipped(size: int, name: str = "the zip") -> Iterator[Finding]:
    """Find a zip, the *name* of which may be told, that is too large to be uploaded directly."""
    if size > DIRECT_UPLOAD_QUOTA:
        yield Finding(
            code="HL002",
            severity=Severity.NOTE,
            message=f"{name} has {_above(size, _MB)} MB; a direct upload takes {DIRECT_UPLOAD_QUOTA // _MB} MB",
            hint="upload it through S3, or leave out what the function does not use",
        )
