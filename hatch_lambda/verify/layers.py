"""The layers of a function: they count for its quotas, and the loader looks into them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda import archive
from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST_LAYERS = 5
"""AWS, "Lambda quotas"."""


class Layer(Struct, frozen=True, kw_only=True):
    """What is in one."""

    paths: frozenset[str]
    size: int
    """Bytes unzipped."""


def read_layers(zips: Iterable[str | Path]) -> tuple[Layer, ...]:
    """Read the directories of *zips*. Raises ArchiveError."""
    layers = []
    for path in zips:
        files = [entry for entry in archive.entries(Path(path)) if not entry.is_directory]
        layers.append(Layer(paths=frozenset(file.path for file in files), size=sum(file.size for file in files)))
    return tuple(layers)


def check_layers(layers: Sequence[Layer]) -> Iterator[Finding]:
    """Find more layers than a function may have."""
    if len(layers) > MOST_LAYERS:
        yield Finding(
            code="HL122",
            severity=Severity.ERROR,
            message=f"tool.lambda-slim.layers: {len(layers)} layers; a function has {MOST_LAYERS} at most",
            hint="put several together",
        )
