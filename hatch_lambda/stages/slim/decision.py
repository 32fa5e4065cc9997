"""The value of the slim stage: what is decided of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from hatch_lambda.core.model import File


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a file stays, by which rule, and why."""

    file: File
    kept: bool
    rule: str
    reason: str
    pattern: str | None = None
    """The pattern that decided, where one did."""
    unsure: str | None = None
    """The path of code because of which nobody can tell whether the file is needed."""
