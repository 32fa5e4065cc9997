"""How long the command takes to start, against the least that it can need."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import Step, alternate, median

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "hatch-lambda --version": ["-m", "hatch_lambda", "--version"],
}


def measure_startup(folder: Path, runs: int) -> dict[str, Any]:
    """Measure the start of the interpreter, of click and of the command; the ratio is of the last two."""
    steps = [
        Step(name=name, command=[sys.executable, *arguments], cwd=folder, environment=dict(os.environ))
        for name, arguments in COMMANDS.items()
    ]
    figures = {name: median(found) for name, found in alternate(steps, runs).items()}
    _, least, ours = figures.values()
    return {
        "figures": {name: {"wall": one.wall, "cpu": one.cpu, "peak": one.peak} for name, one in figures.items()},
        "ratios": {"--version / import click": ours.wall / least.wall},
    }
