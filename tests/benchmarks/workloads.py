"""What is measured on one workload."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Step, alternate, median

SOURCES = Path(__file__).parents[1] / "workloads"
WORKLOADS = ("ml", "web", "boto", "google")
OLDER = {"ml": "joblib<1.5", "web": "starlette<0.48", "boto": "jmespath<1.1", "google": "httplib2<0.31"}
"""For each workload a distribution that is locked in an older version to see what one change costs."""

RECIPE = """
set -e
mkdir -p {out}; rm -rf {out}/packages {out}/package.zip
uv export --quiet --frozen --no-dev --no-editable -o {out}/requirements.txt
uv pip install --quiet --no-installer-metadata --no-compile-bytecode --python-platform x86_64-manylinux_2_34 \
    --python-version 3.13 --python {python} --target {out}/packages -r {out}/requirements.txt
(cd {out}/packages && zip -r -q ../package.zip .)
zip -q {out}/package.zip handler.py
"""


COMPARABLE = ("-C", "bytecode=none", "-C", "verify=static")
"""The recipe neither compiles nor runs what it makes."""


def measure_workload(name: str, folder: Path, runs: int) -> dict[str, Any]:
    """Measure all ways of building the workload *name* and return figures, ratios and sizes."""
    project = locked(name, folder / name)
    environment = dict(os.environ)
    output, made = project / "dist" / "package.zip", folder / "recipe"
    build = [sys.executable, "-m", "hatch_lambda", "build", "--quiet", *COMPARABLE, "-o", str(output)]
    handler = project / "handler.py"
    original, edits = handler.read_text(encoding="utf-8"), iter(range(10_000))
    locks = {"now": (project / "uv.lock").read_bytes(), "older": older_lock(project, OLDER[name])}
    caches = {kind: folder / f"cache-{kind}" for kind in ("cold", "warm", "edited", "one changed")}

    def step(kind: str, prepare: Any = lambda: None) -> Step:
        variables = {**environment, "HATCH_LAMBDA_CACHE_DIR": str(caches[kind])}
        return Step(name=kind, command=build, cwd=project, environment=variables, prepare=prepare)

    def edit() -> None:
        handler.write_text(f"{original}\nEDIT = {next(edits)}\n", encoding="utf-8")

    def lock(which: str) -> None:
        handler.write_text(original, encoding="utf-8")
        (project / "uv.lock").write_bytes(locks[which])

    def change_one() -> None:
        shutil.rmtree(caches["one changed"], ignore_errors=True)
        lock("older")
        step("one changed").run()
        lock("now")

    recipe = Step(
        name="recipe",
        command=["bash", "-c", RECIPE.format(python=shlex.quote(sys.executable), out=shlex.quote(str(made)))],
        cwd=project,
        environment={**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"},
        prepare=lambda: lock("now"),
    )
    copy = shlex.join(["cp", str(output), str(made / "copy.zip")])
    limit_command = f"{copy} && {shlex.quote(sys.executable)} -c 'import hatch_lambda'"
    steps = [
        recipe,
        step("cold", lambda: shutil.rmtree(caches["cold"], ignore_errors=True)),
        step("warm", lambda: lock("now")),
        Step(name="limit", command=["sh", "-c", limit_command], cwd=project, environment=environment),
        step("edited", edit),
        step("one changed", change_one),
    ]
    samples = {kind: median(found) for kind, found in alternate(steps, runs).items()}
    same = recompressed(made / "packages", handler, folder / "same")
    return {
        "figures": {
            kind: {"wall": sample.wall, "cpu": sample.cpu, "peak": sample.peak} for kind, sample in samples.items()
        },
        "ratios": {
            "cold / recipe": samples["cold"].wall / samples["recipe"].wall,
            "warm / recipe": samples["warm"].wall / samples["recipe"].wall,
            "edited / recipe": samples["edited"].wall / samples["recipe"].wall,
            "one changed / recipe": samples["one changed"].wall / samples["recipe"].wall,
            "warm / limit": samples["warm"].wall / samples["limit"].wall,
            "edited / limit": samples["edited"].wall / samples["limit"].wall,
        },
        "sizes": {
            "recipe": sizes(made / "package.zip"),
            "ours": sizes(output),
            "the same files": same / (made / "package.zip").stat().st_size,
        },
    }


def locked(name: str, folder: Path) -> Path:
    """Copy a workload and lock it."""
    shutil.copytree(SOURCES / name, folder)
    uv(folder, "lock", "--quiet")
    return folder


def older_lock(project: Path, requirement: str) -> bytes:
    """Return a lock that differs from the project's in one distribution, and leave the project as it was."""
    lock = project / "uv.lock"
    now = lock.read_bytes()
    uv(project, "lock", "--quiet", "--upgrade-package", requirement)
    older = lock.read_bytes()
    lock.write_bytes(now)
    if older == now:
        raise SystemExit(f"{requirement}: the lock did not change; choose another distribution")
    return older


def recompressed(packages: Path, handler: Path, folder: Path) -> int:
    """Return the bytes of our zip of the very files that the recipe packs: nothing slimmed, nothing stripped."""
    shutil.copytree(packages, folder)
    shutil.copy(handler, folder)
    output = folder.parent / "same.zip"
    command = [sys.executable, "-m", "tests.benchmarks.same", str(folder), str(output)]
    Step(name="the same files", command=command, cwd=Path(__file__).parents[2], environment=os.environ).run()
    return output.stat().st_size


def sizes(package: Path) -> dict[str, int]:
    """Return the bytes of a zip and of what is in it."""
    with zipfile.ZipFile(package) as archive:
        return {"zip": package.stat().st_size, "unzipped": sum(entry.file_size for entry in archive.infolist())}


def uv(cwd: Path, *arguments: str) -> None:
    """Run uv in *cwd* with the environment that hatch-lambda gives it."""
    from hatch_lambda.core.uv import Uv

    Uv.find(os.environ).run(*arguments, cwd=cwd)
