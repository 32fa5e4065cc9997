"""Measure hatch-lambda against the documented recipe and the limit: ``python -m tests.benchmarks``.

The start-up of the command. Then on each workload, alternating in one run: a build with an empty cache, a build of
nothing new, one after an edit of the project's code, one after a change of one distribution in the lock; the recipe of
uv's guide (``uv export``, ``uv pip install --target``, ``zip -r``), for which ``zip`` must be installed; and the limit,
which is copying the finished zip with ``cp`` plus the start-up of ``python -c 'import hatch_lambda'``. Then many
functions that share their dependencies. All of that without bytecode, which is measured by itself: against
``python -m compileall``, and by the time of an import with it and without. uv's own cache is warm all the time. It
needs a package registry, once.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from tests.benchmarks.compiled import measure_bytecode
from tests.benchmarks.functions import measure_functions
from tests.benchmarks.startup import measure_startup
from tests.benchmarks.tables import functions_table, ratios_table, workload_table, workload_title
from tests.benchmarks.workloads import WORKLOADS, measure_workload


def main() -> None:
    """Measure, print the tables, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command (default: 5)")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names, with commas between them")
    parser.add_argument("--functions", default="1,10,50", help="numbers of functions, with commas between them")
    parser.add_argument("--bytecode", default="ml", help="a workload, or nothing (default: ml)")
    parser.add_argument("--json", type=Path, help="where the figures go as a JSON document")
    arguments = parser.parse_args()
    workloads = [name for name in arguments.workloads.split(",") if name]
    for name in filter(None, (*workloads, arguments.bytecode)):
        if name not in WORKLOADS:
            parser.error(f"there is no workload {name!r} (there are {', '.join(WORKLOADS)})")
    console = Console(width=None if sys.stdout.isatty() else 100)
    document = {"python": platform.python_version(), "machine": platform.machine()}
    document |= {"workloads": {}, "functions": {}, "bytecode": {}}
    with tempfile.TemporaryDirectory(prefix="hatch-lambda-benchmark-") as folder:
        document["start-up"] = measure_startup(Path(folder), arguments.runs)
        console.print("\nstart-up")
        console.print(ratios_table(document["start-up"]))
        for name in workloads:
            result = measure_workload(name, Path(folder) / name, arguments.runs)
            document["workloads"][name] = result
            console.print(f"\n{workload_title(name, result)}", soft_wrap=True)
            console.print(workload_table(result))
        counts = [int(count) for count in filter(None, arguments.functions.split(","))]
        if counts:
            document["functions"] = measure_functions(counts, Path(folder) / "functions", arguments.runs)
            console.print("\nfunctions with the same dependencies, warm")
            console.print(functions_table(document["functions"]))
        if arguments.bytecode:
            document["bytecode"] = measure_bytecode(arguments.bytecode, Path(folder) / "bytecode", arguments.runs)
            if document["bytecode"]:
                console.print(f"\nbytecode of {arguments.bytecode}")
                console.print(ratios_table(document["bytecode"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
