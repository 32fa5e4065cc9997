"""Compile the modules of a folder as a build does: ``python -m tests.benchmarks.compiled PYTHON VERSION DIR JOBS``.

And what bytecode costs and brings: against ``python -m compileall`` of the same files, and in the time of an import.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatch_lambda.core import python as interpreter
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.files import walk
from hatch_lambda.core.model import File, Silent, Tree
from hatch_lambda.core.uv import Uv
from hatch_lambda.stages.bytecode.compile import Compiler, compile_tree
from hatch_lambda.stages.bytecode.plan import CompileOptions, plan
from tests.benchmarks.measure import Step, alternate, median
from tests.benchmarks.workloads import locked

JOBS = 2
IMPORT = "import sys; sys.path.insert(0, sys.argv[1]); import handler"


def measure_bytecode(name: str, folder: Path, runs: int) -> dict[str, Any]:
    """Measure both on the workload *name*; an empty result where there is no interpreter of its runtime."""
    project = locked(name, folder / name)
    found = interpreter.find("3.13", Uv.find(os.environ), Cache(root=None), cwd=project, download=False)
    if found is None:
        return {}
    python = str(found.path)
    trees = {bytecode: _unpacked(project, bytecode, folder / bytecode) for bytecode in ("none", "include")}
    modules = _modules(trees["none"], found.version, folder / "modules")
    repository, compiled = Path(__file__).parents[2], [sys.executable, "-m", "tests.benchmarks.compiled"]
    environment = dict(os.environ)

    def forget() -> None:
        for cached in modules.rglob("__pycache__"):
            shutil.rmtree(cached)

    def step(kind: str, command: list[str], cwd: Path = repository, prepare: Any = lambda: None) -> Step:
        return Step(name=kind, command=command, cwd=cwd, environment=environment, prepare=prepare)

    samples = alternate(
        [
            step("compileall", [python, "-m", "compileall", "-q", "-j", str(JOBS), str(modules)], prepare=forget),
            step("ours", [*compiled, python, found.version, str(modules), str(JOBS)], prepare=forget),
            step("import", [python, "-I", "-S", "-B", "-c", IMPORT, str(trees["none"])], folder),
            step("import with bytecode", [python, "-I", "-S", "-B", "-c", IMPORT, str(trees["include"])], folder),
        ],
        runs,
    )
    figures = {kind: median(sample) for kind, sample in samples.items()}
    return {
        "figures": {kind: {"wall": one.wall, "cpu": one.cpu, "peak": one.peak} for kind, one in figures.items()},
        "ratios": {
            "ours / compileall": figures["ours"].wall / figures["compileall"].wall,
            "with bytecode / without": figures["import with bytecode"].wall / figures["import"].wall,
        },
    }


def _unpacked(project: Path, bytecode: str, folder: Path) -> Path:
    output = project / f"{bytecode}.zip"
    command = [sys.executable, "-m", "hatch_lambda", "build", "--quiet", "-C", f"bytecode={bytecode}"]
    Step(name=bytecode, command=[*command, "-o", str(output)], cwd=project, environment=os.environ).run()
    with zipfile.ZipFile(output) as archive:
        archive.extractall(folder)
    return folder


def _modules(source: Path, version: str, folder: Path) -> Path:
    """Copy the modules of *source* that a build compiles, and nothing else, to *folder*."""
    for found in plan(_tree(source), _options(version)):
        destination = folder / found.source.path
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found.source.source, destination)
    return folder


def _tree(folder: Path) -> Tree:
    return Tree.of(File(path=path, source=source, size=source.stat().st_size) for path, source in walk(folder))


def _options(version: str) -> CompileOptions:
    return CompileOptions(layout="include", optimize=0, interpreter=version)


def main() -> None:
    """Compile what the command line names, with an empty cache of its own."""
    python, version, folder, jobs = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="hatch-lambda-benchmark-") as work:
        compiler = Compiler(
            executable=Path(python),
            environment=os.environ,
            cache=Cache(root=Path(work, "cache")),
            progress=Silent(),
            jobs=int(jobs),
            work=Path(work),
        )
        compile_tree(_tree(Path(folder)), _options(version), compiler)


if __name__ == "__main__":
    main()
