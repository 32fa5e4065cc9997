"""Every runtime of Lambda on both architectures, for copies of the workloads that are locked for all of them."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import tomllib

import pytest

from hatch_lambda.config.target import runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.python import find
from hatch_lambda.core.uv import Uv
from tests.support.shell import WORKLOADS, run_handler, unpack

pytestmark = [pytest.mark.registry, pytest.mark.long]

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
SHORT = {("web", "python3.10", "x86_64"), ("web", "python3.12", "arm64"), ("boto", "python3.14", "x86_64")}
"""What runs every time: old and new glibc, both architectures, and the newest runtime."""
MATRIX = [
    pytest.param(*case, id="-".join(case), marks=() if case in SHORT else pytest.mark.slow)
    for case in (
        (workload, f"python3.{minor}", architecture)
        for workload in sorted(path.name for path in WORKLOADS.iterdir())
        for minor in range(10, 15)
        for architecture in MACHINES
    )
]


@pytest.mark.parametrize(("name", "runtime", "architecture"), MATRIX)
def test_a_workload_builds_for_every_target_and_runs_where_it_can(shell, tmp_path, name, runtime, architecture):
    """From one lock for all of them; where it has no wheel for a target, that is told, and a lock of its own does.

    A lock knows markers of Python and of the machine, but none of glibc. So it may choose wheels that are too new
    for Amazon Linux 2 (glibc 2.26); uv finds older ones when it is told the platform.
    """
    root = tmp_path / name
    shutil.copytree(WORKLOADS / name, root, ignore=shutil.ignore_patterns("uv.lock", "dist", "__pycache__"))
    text = re.sub('requires-python = ".*"', 'requires-python = ">=3.10"', (root / "pyproject.toml").read_text())
    (root / "pyproject.toml").write_text(text.replace('runtime = "python3.13"', f'runtime = "{runtime}"'))
    shell.uv("lock", "--quiet", cwd=root)

    version = runtime.removeprefix("python")
    python = find(version, Uv.find(os.environ), Cache(root=tmp_path / "found"), cwd=tmp_path, download=False)
    runs_here = python is not None and architecture == ("arm64" if platform.machine() == "aarch64" else "x86_64")
    options = ["--json", "--architecture", architecture, "-C", "sdist=never"]
    options += [] if python is not None else ["-C", "bytecode=none"]
    options += ["-C", "verify=import" if runs_here else "verify=static"]
    done = shell.hatch_lambda("build", *options, cwd=root, check=False)
    if done.returncode != 0:
        assert done.returncode == 4, done.stderr
        assert f"uv.lock: no wheel for {runtime}-{architecture}:" in done.stderr
        refused = told(done.stderr)
        assert refused
        assert without_wheel(root / "uv.lock", runtime, architecture, refused) == refused
        done = shell.hatch_lambda("build", *options, "--lock", locked_for(shell, root, runtime, architecture), cwd=root)

    result = json.loads(done.stdout)
    assert result["unzipped_bytes"] <= result["unzipped_quota_bytes"]
    codes = {found["code"] for found in result["findings"] if found["severity"] != "note"}
    # A large zip has to go through S3, and of some runtimes AWS has ended the support.
    assert codes <= {"HL002", "HL006"}, result["findings"]
    task = unpack(root / "dist" / result["zip"].rpartition("/")[2], tmp_path / "task")
    if runs_here:
        assert json.loads(run_handler(str(python.path), task, "handler.handler"))["ok"] is True


def told(message: str) -> set[tuple[str, str]]:
    """Return the distributions that a refusal names."""
    return set(re.findall(r"^ +(\S+) (\S+): there is .* to build, and `sdist` is \"never\"$", message, re.MULTILINE))


def without_wheel(lock, runtime, architecture, asked):
    """Return those of *asked* whose locked files have no wheel that the target could load, by their names alone."""
    glibc, machine = runtimes()[runtime].glibc[1], MACHINES[architecture]
    digits = runtime.removeprefix("python").replace(".", "")

    def loads(filename):
        python, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
        fits = f"cp{digits}" in python.split(".") or "abi3" in abi or "py3" in python
        olds = re.findall(rf"manylinux_2_(\d+)_{machine}", platforms)
        return fits and (
            {"any", f"manylinux2014_{machine}"} & {*platforms.split(".")} or min(map(int, olds), default=99) <= glibc
        )

    found = set()
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        names = [wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", ())]
        if (package["name"], package.get("version")) in asked and not any(map(loads, names)):
            found.add((package["name"], package["version"]))
    return found


def locked_for(shell, root, runtime, architecture):
    """Lock for one target, as the README says."""
    system = "manylinux_2_17" if runtimes()[runtime].glibc < (2, 28) else "manylinux_2_34"
    name = f"pylock.{runtime.replace('.', '')}-{architecture}.toml"
    command = ("pip", "compile", "--quiet", "--only-binary=:all:", "--generate-hashes", "--format=pylock.toml")
    platforms = (f"--python-version={runtime[6:]}", f"--python-platform={MACHINES[architecture]}-{system}")
    shell.uv(*command, *platforms, "--output-file", name, "pyproject.toml", cwd=root)
    return name
