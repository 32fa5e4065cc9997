"""Shapes and functions by every door: whichever one a user opens, the same bytes come out."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys

import pytest

from tests.support.shell import run_handler, uv_executable
from tests.support.shell import unpack as unzip

pytestmark = pytest.mark.registry

PYPROJECT = """
[build-system]
requires = ["hatchling", "hatch-lambda"]
build-backend = "hatchling.build"

[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["idna"]

[project.optional-dependencies]
fast = ["orjson"]

[tool.hatch.build.targets.wheel]
packages = ["shop"]

[tool.hatch.build.targets.lambda]

[tool.hatch.build.hooks.lambda]

[tool.lambda-slim]
runtime = "python3.13"
handler = "shop.app.handler"

[tool.lambda-slim.functions.api]

[tool.lambda-slim.functions.fast]
extras = ["fast"]
shape = "layer"

[tool.lambda-slim.functions.bare]
module = "functions/bare"
handler = "bare.handler"
"""
APP = "import idna\n\ndef handler(event, context):\n    return idna.encode('größe.example').decode()\n"
BARE = "import pathlib\n\ndef handler(event, context):\n    return pathlib.Path('note.txt').read_text()\n"
MADE = {
    "shop-1.0-api-python3.13-x86_64.zip",
    "shop-1.0-fast-python3.13-x86_64.zip",
    "shop-1.0-fast-python3.13-x86_64-layer.zip",
    "shop-1.0-fast-python3.13-x86_64-layer.json",
    "shop-1.0-bare-python3.13-x86_64.zip",
}


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix in {".zip", ".json"}
    }


@pytest.fixture(scope="session")
def shop(shell, tmp_path_factory):
    """Give a locked project with three functions, all built by our own command."""
    folder = tmp_path_factory.mktemp("shop") / "shop"
    files = {
        "pyproject.toml": PYPROJECT,
        "shop/__init__.py": "",
        "shop/app.py": APP,
        "functions/bare/bare.py": BARE,
        "functions/bare/note.txt": "noted",
        "functions/bare/requirements.txt": "",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    shell.uv("lock", "--quiet", cwd=folder)
    shell.hatch_lambda("build", "--quiet", cwd=folder)
    (folder / "dist").rename(folder / "reference")
    return folder


def test_each_function_runs(shop, python313, tmp_path):
    """One with the project's dependencies, one with an extra in a layer, one with a folder and nothing else."""
    assert set(digests(shop / "reference")) == MADE
    task = {name: unzip(shop / "reference" / name, tmp_path / name) for name in MADE if name.endswith(".zip")}
    assert json.loads(run_handler(python313, task["shop-1.0-api-python3.13-x86_64.zip"], "shop.app.handler"))
    bare = task["shop-1.0-bare-python3.13-x86_64.zip"]
    assert json.loads(run_handler(python313, bare, "bare.handler")) == "noted"
    assert {path.name for path in bare.iterdir()} - {"__pycache__"} == {"bare.py", "note.txt"}
    layer = task["shop-1.0-fast-python3.13-x86_64-layer.zip"] / "python"
    assert {"idna", "orjson"} <= {path.name for path in layer.iterdir()}
    shutil.copytree(layer, task["shop-1.0-fast-python3.13-x86_64.zip"], dirs_exist_ok=True)
    assert json.loads(run_handler(python313, task["shop-1.0-fast-python3.13-x86_64.zip"], "shop.app.handler"))


@pytest.mark.parametrize("door", ["hatch build -t lambda", "uv build", "uv build --wheel"])
def test_every_door_makes_all_functions(door, shop, shell, tmp_path):
    project = shutil.copytree(shop, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("reference", "dist"))
    name, *arguments = door.split()
    command = [uv_executable()] if name == "uv" else [sys.executable, "-m", "hatch"]
    shell.run(*command, *arguments, cwd=project, HATCH_DATA_DIR=str(tmp_path / "hatch"))
    assert digests(project / "dist") == digests(shop / "reference")


def test_hatchs_versions_of_the_target_are_the_shapes(shop, shell, tmp_path):
    project = shutil.copytree(shop, tmp_path / "elsewhere", ignore=shutil.ignore_patterns("reference", "dist"))
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.partition("[tool.lambda-slim.functions.api]")[0])
    for command in (
        [sys.executable, "-m", "hatch", "build", "-t", "lambda:layer", "-t", "lambda:wheel"],
        [sys.executable, "-m", "hatch_lambda", "build", "--as", "layer"],
        [sys.executable, "-m", "hatch_lambda", "build", "--as", "wheel"],
    ):
        shell.run(*command, cwd=project, HATCH_DATA_DIR=str(tmp_path / "hatch"))
        if command[2] == "hatch":
            by_hatch = {path.name: path.read_bytes() for path in (project / "dist").iterdir()}
            shutil.rmtree(project / "dist")
    assert {path.name: path.read_bytes() for path in (project / "dist").iterdir()} == by_hatch
    assert set(by_hatch) == {
        "shop-1.0-python3.13-x86_64.zip",
        "shop-1.0-python3.13-x86_64-layer.zip",
        "shop-1.0-python3.13-x86_64-layer.json",
        "shop_lambda-1.0-cp313-cp313-manylinux_2_34_x86_64.whl",
    }


def test_a_function_outside_of_the_project_is_refused_as_it_could_not_travel(shop, shell, tmp_path):
    project = shutil.copytree(shop, tmp_path / "here", ignore=shutil.ignore_patterns("reference", "dist"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "bare.py").write_text(BARE)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("functions/bare", "../there"))
    done = shell.uv("build", cwd=project, check=False)
    assert done.returncode != 0
    assert "is not in the project" in done.stderr
