"""Every shape, and the functions of a workspace, answer in AWS's own runtime interface client."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.support.shell import unpack

pytestmark = pytest.mark.registry

HANDLER = """
import pathlib, idna, orjson, markupsafe

def handler(event, context):
    return {
        "name": idna.encode(event["name"]).decode(),
        "orjson": orjson.dumps([1]).decode(),
        "markup": str(markupsafe.escape("<")),
        "idna": idna.__file__,
        "compiled": pathlib.Path(idna.core.__cached__).is_file(),
    }
"""
PYPROJECT = """
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["idna", "orjson", "markupsafe"]

[tool.uv]
package = false

[tool.uv.workspace]
members = ["members/*"]

[tool.lambda-slim]
runtime = "python3.13"
handler = "app.handler"
verify = "static"
"""
FUNCTIONS = """
[tool.lambda-slim.functions.api]

[tool.lambda-slim.functions.bare]
module = "bare"
handler = "bare.handler"

[tool.lambda-slim.functions.thumbnail]
module = "members/thumbnail"
handler = "thumbnail.app.handler"

[tool.lambda-slim.functions.worker]
module = "members/worker"
handler = "worker.handler"
shape = "layer"
layer = { split = 2 }
"""
MEMBER = '[project]\nname = "{}"\nversion = "1.0"\nrequires-python = ">=3.10"\ndependencies = {}\n'
BUILT = '\n[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
FILES = {
    "app.py": HANDLER,
    "bare/bare.py": "def handler(event, context):\n    return event['name']\n",
    "bare/requirements.txt": "",
    "members/thumbnail/pyproject.toml": MEMBER.format("thumbnail", ["common", "idna"]) + BUILT
    + "[tool.uv.sources]\ncommon = { workspace = true }\n",
    "members/thumbnail/thumbnail/__init__.py": "",
    "members/thumbnail/thumbnail/app.py": "import common, idna\n\ndef handler(event, context):\n"
    "    return common.shout(idna.encode(event['name']).decode())\n",
    "members/common/pyproject.toml": MEMBER.format("common", []) + BUILT,
    "members/common/common.py": "def shout(text):\n    return text.upper()\n",
    "members/worker/pyproject.toml": MEMBER.format("worker", ["orjson", "markupsafe"]) + "[tool.uv]\npackage = false\n",
    "members/worker/worker.py": "import markupsafe, orjson\n\ndef handler(event, context):\n"
    "    return [orjson.dumps(event).decode(), markupsafe.__file__]\n",
}  # fmt: skip
EVENT = {"name": "größe.example"}
NAME = "xn--gre-6ka8i.example"
ANSWER = {"name": NAME, "orjson": "[1]", "markup": "&lt;", "compiled": True}


@pytest.fixture(scope="module")
def shop(shell, tmp_path_factory):
    """Give a locked workspace, and let nothing of it be built yet."""
    folder = tmp_path_factory.mktemp("shapes") / "shop"
    for path, text in {"pyproject.toml": PYPROJECT, **FILES, "event.json": json.dumps(EVENT)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    shell.uv("lock", "--quiet", cwd=folder)
    return folder


@pytest.fixture
def build(shop, shell):
    """Build the project, return what the command says."""

    def build(*arguments):
        return json.loads(shell.hatch_lambda("build", "--json", *arguments, cwd=shop).stdout)

    yield build
    shutil.rmtree(shop / "dist", ignore_errors=True)
    (shop / "pyproject.toml").write_text(PYPROJECT)


@pytest.fixture
def invoke(shop, shell):
    """Let the client invoke a package with the event, and return the response."""

    def invoke(package, handler, *layers):
        options = [option for layer in layers for option in ("--layer", layer)]
        command = ("invoke", package, "--handler", handler, "--event", "event.json", "--timeout", "60", *options)
        return json.loads(shell.hatch_lambda(*command, cwd=shop).stdout)

    return invoke


def layers_of(made):
    return [other["path"] for other in made["others"] if other["kind"] == "layer"]


@pytest.mark.parametrize("split", [1, 2])
def test_a_layer_and_its_function_answer(split, build, invoke):
    made = build("--as", "layer", "-C", f"layer.split={split}")
    assert len(layers_of(made)) == split
    answer = invoke(made["zip"], "app.handler", *layers_of(made))
    assert answer.pop("idna").endswith("/opt/python/idna/__init__.py")
    assert answer == ANSWER


def test_a_nested_package_answers_with_the_bytecode_that_it_unpacks(build, invoke):
    made = build("--as", "nested", "-C", "nested-limit=0")
    answer = invoke(made["zip"], made["handler"])
    assert answer.pop("idna").startswith("/tmp/hatch-lambda-")
    assert answer == ANSWER


def test_functions_of_a_workspace_answer(shop, build, invoke):
    """One with the project's dependencies, one with none, one built as the member that it is, one in layers."""
    (shop / "pyproject.toml").write_text(PYPROJECT + FUNCTIONS)
    made = {document["function"]: document for document in build()["packages"]}
    assert set(made) == {"api", "bare", "thumbnail", "worker"}
    assert invoke(made["api"]["zip"], "app.handler")["name"] == NAME
    assert invoke(made["bare"]["zip"], "bare.handler") == EVENT["name"]
    assert invoke(made["thumbnail"]["zip"], "thumbnail.app.handler") == NAME.upper()
    layers = layers_of(made["worker"])
    text, place = invoke(made["worker"]["zip"], "worker.handler", *layers)
    assert (len(layers), json.loads(text)) == (2, EVENT)
    assert place.endswith("/opt/python/markupsafe/__init__.py")
    with zipfile.ZipFile(made["thumbnail"]["zip"]) as package:
        assert {name.partition("/")[0] for name in package.namelist() if "info" not in name} == {
            *("common.py", "__pycache__", "idna", "thumbnail")
        }


def test_a_layer_for_arm64_has_its_libraries_and_says_so(build, tmp_path):
    made = build("--as", "layer", "--architecture", "arm64")
    (layer,) = layers_of(made)
    told = next(other["path"] for other in made["others"] if other["path"].endswith("-layer.json"))
    assert json.loads(Path(told).read_text())["CompatibleArchitectures"] == ["arm64"]
    libraries = list(unpack(layer, tmp_path).rglob("*.so"))
    assert {path.read_bytes()[18:20] for path in libraries} == {b"\xb7\0"}  # EM_AARCH64
    assert any(path.match("idna/__pycache__/core.cpython-313.pyc") for path in tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("shape", ["directory", "wheel"])
def test_bytecode_is_still_in_use_where_a_shape_was_put(shape, build, shop, shell, python313, tmp_path):
    """Nobody compares it with its source: a changed source is not even looked at."""
    made = build("--as", shape)
    path = made["others"][0]["path"] if made["others"] else made.get("zip") or made["path"]
    targets = [path]
    if shape == "wheel":
        targets = [tmp_path / "uv", tmp_path / "pip"]
        options = ("--no-deps", "--target")
        python = ("--python", python313, "--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_34")
        shell.uv("pip", "install", "--quiet", *python, *options, targets[0], path, cwd=shop)
        shell.run(python313, "-m", "pip", "install", "--quiet", "--no-compile", *options, targets[1], path, cwd=shop)
    for target in targets:
        Path(target, "idna/core.py").write_text("1 / 0\n")
        program = "import sys; sys.path.insert(0, sys.argv[1]); import idna; print(idna.encode('a.b').decode())"
        done = shell.run(python313, "-I", "-S", "-B", "-c", program, target, cwd=shop)
        assert done.stdout == "a.b\n"


def test_the_backend_makes_a_split_layer_that_answers(shop, shell, invoke, tmp_path):
    """The front end's settings reach inner tables, and leave their other keys alone."""
    files = {
        "pyproject.toml": PYPROJECT.partition("[tool.uv]")[0]
        + '[build-system]\nrequires = ["hatchling", "hatch-lambda"]\nbuild-backend = "hatch_lambda.backend"\n'
        + '[tool.hatch.build.targets.wheel]\nonly-include = ["app.py"]\n'
        + '[tool.lambda-slim]\nruntime = "python3.13"\nhandler = "app.handler"\nlayer = { name = "deps" }\n',
        "app.py": HANDLER,
    }
    for path, text in files.items():
        (tmp_path / path).write_text(text)
    shell.uv("lock", "--quiet", cwd=tmp_path)
    settings = ("-C", "lambda.shape=layer", "-C", "lambda.layer.split=2")
    shell.uv("build", "--quiet", "--wheel", *settings, cwd=tmp_path)
    stem = tmp_path / "dist" / "shop-1.0-python3.13-x86_64"
    names = {json.loads(path.read_text())["LayerName"] for path in stem.parent.glob("*.json")}
    assert names == {"deps-1", "deps-2"}
    layers = [f"{stem}-layer-{number}.zip" for number in (1, 2)]
    assert invoke(f"{stem}.zip", "app.handler", *layers)["name"] == NAME
