"""Facts and rules that are data, not code: each file is TOML with a source or a reason for every entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatch_lambda.decoding import parse_toml


def load(name: str) -> dict[str, Any]:
    """Read the data file *name* (for example ``"runtimes.toml"``) of this package."""
    return parse_toml(Path(__file__).with_name(name).read_text(encoding="utf-8"))
