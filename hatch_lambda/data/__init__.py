"""Facts and rules that are data, not code: each file is TOML with a source or a reason for every entry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load(name: str) -> dict[str, Any]:
    """Read the data file *name* (for example ``"runtimes.toml"``) of this package."""
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
