"""Run commands as whole processes and measure them by the operating system's own accounting."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of a command, with the processes that it started."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system."""
    peak: int
    """Bytes that the largest of its processes had in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command to measure, and what has to be done before each run, unmeasured."""

    name: str
    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    prepare: Callable[[], None] = lambda: None

    def run(self) -> Sample:
        """Run it once; what it prints is shown only if it fails."""
        self.prepare()
        with tempfile.TemporaryFile() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                output.seek(0)
                raise SystemExit(f"{self.name}: {self.command} failed:\n{output.read().decode(errors='replace')}")
        return Sample(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss * 1024)


def alternate(steps: Sequence[Step], runs: int) -> dict[str, list[Sample]]:
    """Run all *steps* in turn, *runs* times after one run that is not counted, so that drift meets each alike."""
    samples: dict[str, list[Sample]] = {step.name: [] for step in steps}
    for number in range(runs + 1):
        for step in steps:
            sample = step.run()
            if number > 0:
                samples[step.name].append(sample)
    return samples


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    return Sample(
        wall=statistics.median(sample.wall for sample in samples),
        cpu=statistics.median(sample.cpu for sample in samples),
        peak=int(statistics.median(sample.peak for sample in samples)),
    )
