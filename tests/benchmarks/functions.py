"""Many functions that share their dependencies, built in one call."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measure import Step, alternate, median
from tests.benchmarks.workloads import COMPARABLE, locked

if TYPE_CHECKING:
    from pathlib import Path


def measure_functions(counts: list[int], folder: Path, runs: int) -> dict[str, Any]:
    """Measure builds of the workload ``ml`` as 1, 10, 50 … projects with different code, all warm, in one call each."""
    original = locked("ml", folder / "ml")
    projects = []
    for number in range(max(counts)):
        project = folder / f"function-{number}"
        shutil.copytree(original, project)
        with (project / "handler.py").open("a", encoding="utf-8") as handler:
            handler.write(f"\nNUMBER = {number}\n")
        projects.append(project)
    build = [sys.executable, "-m", "hatch_lambda", "build", "--quiet", *COMPARABLE]
    environment = {**os.environ, "HATCH_LAMBDA_CACHE_DIR": str(folder / "cache")}
    steps = [
        Step(
            name=str(count),
            command=[*build, *map(str, projects[:count])],
            cwd=folder,
            environment=environment,
        )
        for count in counts
    ]
    samples = {name: median(found) for name, found in alternate(steps, runs).items()}
    one = samples[str(counts[0])].wall
    return {
        name: {"wall": sample.wall, "cpu": sample.cpu, "peak": sample.peak, "ratio": sample.wall / one}
        for name, sample in samples.items()
    }
