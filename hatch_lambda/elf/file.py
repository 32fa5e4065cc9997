"""Strip one file into another, and prove the result."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.elf.prove import prove
from hatch_lambda.elf.read import Unstrippable
from hatch_lambda.elf.strip import apply, plan

if TYPE_CHECKING:
    from pathlib import Path


class Outcome(Struct, frozen=True):
    """What came of one object: a smaller file, a reason to keep the original, or neither."""

    size: int | None = None
    reason: str | None = None


def strip_file(source: Path, destination: Path, *, realign: bool = False) -> Outcome:
    """Write what is left of *source* to *destination*, if it is smaller and proven."""
    try:
        stripped = _strip_proven(source, realign=realign)
    except Unstrippable as refusal:
        return Outcome(reason=refusal.reason)
    if stripped is None:
        return Outcome()
    with destination.open("xb") as stream:
        stream.write(stripped)
    return Outcome(size=len(stripped))


def _strip_proven(source: Path, *, realign: bool) -> bytearray | None:
    """Return the stripped content of *source*, or None where there is nothing to gain. Raises Unstrippable.

    The map is unmapped with its last view, so it is not closed by hand: views outlive a refusal's traceback.
    """
    with source.open("rb") as stream:
        data = memoryview(mmap(stream.fileno(), 0, access=ACCESS_READ))
    decided = plan(data, realign=realign)
    if decided.size >= len(data):
        return None
    stripped = apply(data, decided)
    prove(data, stripped, realigned=decided.page_aligned)
    return stripped
