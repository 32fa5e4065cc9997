"""Compare the loader of ``shape = "nested"`` with that of serverless-python-requirements.

Run it by ``python -m tests.benchmarks.nested``. Both unpack the same dependencies (numpy, scipy, scikit-learn as they
are after slimming) in fresh processes, turn by turn; the least of each counts. The last row nests what a package has
to nest that is too large by a quarter.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from hatch_lambda import api
from tests.benchmarks.workloads import locked

_TURNS = 7
_THEIRS = """
import os, shutil, sys, zipfile
pkgdir, tempdir = sys.argv[2] + "/req", sys.argv[2] + "/temp"
sys.path.insert(1, pkgdir)
if not os.path.exists(pkgdir):
    if os.path.exists(tempdir):
        shutil.rmtree(tempdir)
    zipfile.ZipFile(sys.argv[1], "r").extractall(tempdir)
    os.rename(tempdir, pkgdir)
"""
"""What their ``unzip_requirements`` does, with the paths as arguments."""

_OURS = """
import sys
from runpy import run_path
run_path(sys.argv[3])["unpack"](sys.argv[1], sys.argv[2])
"""


def main() -> None:
    """Print milliseconds, of the clock and of the processors, and their ratios."""
    import hatch_lambda.pipeline.shapes

    loader = Path(hatch_lambda.pipeline.shapes.__file__).with_name("nested_loader.py")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = locked("ml", folder / "ml")
        whole = api.build(project, shape="nested", nested_limit=0)
        inner = _inner(whole.path, folder / "whole")
        partly = api.build(project, shape="nested", nested_limit=whole.tree.size * 4 // 5)
        part = _inner(partly.path, folder / "part")
        rows = {
            "unzip_requirements, all": (_THEIRS, inner),
            "our loader, all": (_OURS, inner),
            "our loader, what does not fit": (_OURS, part),
        }
        seconds: dict[str, list[float]] = {row: [] for row in rows}
        cpu: dict[str, list[float]] = {row: [] for row in rows}
        for _ in range(_TURNS):
            for row, (program, archive) in rows.items():
                target = Path(tempfile.mkdtemp(dir=folder))
                start, before = time.perf_counter(), _used()
                subprocess.run([sys.executable, "-I", "-S", "-c", program, archive, target, loader], check=True)
                seconds[row].append(time.perf_counter() - start)
                cpu[row].append(_used() - before)
                shutil.rmtree(target)
        theirs = next(iter(rows))
        for row in rows:
            wall, work = min(seconds[row]), min(cpu[row])
            ratios = wall / min(seconds[theirs]), work / min(cpu[theirs])
            print(f"{row:32} {wall * 1000:6.0f} ms {ratios[0]:5.2f}   CPU {work * 1000:6.0f} ms {ratios[1]:5.2f}")


def _used() -> float:
    """Return the seconds of CPU that finished processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _inner(package: Path, folder: Path) -> Path:
    with zipfile.ZipFile(package) as outer:
        return Path(outer.extract("hatch_lambda_nested.zip", folder))


if __name__ == "__main__":
    main()
