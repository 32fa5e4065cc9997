"""Strip symbols and debugging information from shared objects, on any host for any target."""

from __future__ import annotations

from hatch_lambda.elf.stage import StripPolicy, strip_tree

__all__ = ["StripPolicy", "strip_tree"]
