"""Every shape is made of the same two parts: what is in it, how Lambda and installers take it, what runs."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import venv
import zipfile
from pathlib import Path

import botocore.session
import botocore.validate
import pytest

from hatch_lambda import api
from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import ArchiveError, ConfigurationError, VerificationError
from tests.support.elf import library
from tests.support.packages import call, contents, names
from tests.support.shell import interpreter, run_handler, unpack
from tests.support.wheels import comments, make_project, make_wheel

HEAD = '[project]\nname = "my-service"\nversion = "1.2"\n'
APP = """
import json, pathlib, importlib.metadata
import big, small, native

def handler(event, context):
    return [big.VALUE, small.VALUE, importlib.metadata.version("big"), pathlib.Path(small.__file__).name]
"""
ANSWER = [7, 5, "1.0", "__init__.py"]
STEM = "my_service-1.2-python3.13-x86_64"


@pytest.fixture
def wheels(tmp_path):
    """Make a large pure distribution, a small one, and two of which one loads the other's library."""
    folder = tmp_path / "wheels"
    return [
        make_wheel(folder, "big", {"big/__init__.py": "VALUE = 7\n", "big/data.py": comments("big", 400_000)}),
        make_wheel(folder, "small", {"small/__init__.py": "VALUE = 5\n", "small/run.sh": "#!/bin/sh\n"},
                   modes={"small/run.sh": 0o100755}),
        make_wheel(folder, "native", {"native/__init__.py": "", "native/_core.so": library("libfoo-1a2b.so.1")}),
        make_wheel(folder, "foo", {"foo.libs/libfoo-1a2b.so.1": library("libc.so.6"),
                                   "foo.py": comments("foo", 90_000)}),
        make_wheel(folder, "part-a", {"spread/a.py": "A = 1\n"}),
        make_wheel(folder, "part-b", {"spread/b.py": comments("b", 80_000) + "B = 2\n"}),
    ]  # fmt: skip


@pytest.fixture
def project(tmp_path, wheels, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = make_project(tmp_path / "service", *wheels, head=HEAD, settings='handler = "app.handler"')
    (folder / "app.py").write_text(APP)
    return folder


def set_up(project, settings):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + settings)
    return project


# Layers


def test_a_layer_and_its_function_hold_together_what_the_function_alone_holds(project, tmp_path):
    whole = api.build(project)
    everything = names(whole.path)
    made = api.build(project, shape="layer")
    layer = next(other for other in made.others if other.kind == "layer")

    assert made.path.name == f"{STEM}.zip"
    assert names(made.path) == {"app.py"}
    assert layer.path.name == f"{STEM}-layer.zip"
    assert {f"python/{name}" for name in everything - {"app.py"}} == names(layer.path)
    task, opt = unpack(made.path, tmp_path / "task"), unpack(layer.path, tmp_path / "opt")
    assert call(task, opt) == ANSWER
    assert stat.S_IMODE((opt / "python/small/run.sh").stat().st_mode) == 0o755


def test_what_is_in_a_layer_is_where_lambda_looks_for_it(project, tmp_path, monkeypatch):
    """Libraries of no distribution in ``/opt/lib``; and bytecode names files as they are below ``/opt/python``."""
    library = tmp_path / "libx.so"
    library.write_bytes(b"")

    def with_extra_files(tree, _):
        return Tree.of([*tree, File(path="lib/libx.so", source=library, size=0)])

    monkeypatch.setattr("hatch_lambda.stages.install.sdists.container.with_extra_files", with_extra_files)
    made = api.build(project, shape="layer", bytecode="include", verify="static")
    layer = next(other for other in made.others if other.kind == "layer")
    with zipfile.ZipFile(layer.path) as archive:
        compiled = archive.read("python/big/__pycache__/__init__.cpython-313.pyc")
        assert "lib/libx.so" in archive.namelist()
    assert b"/opt/python/big/__init__.py" in compiled
    with zipfile.ZipFile(made.path) as archive:
        assert b"/var/task/app.py" in archive.read("__pycache__/app.cpython-313.pyc")


def test_a_layers_bytes_do_not_change_with_the_projects_code(project):
    first = api.build(project, shape="layer")
    layer = project / "dist" / f"{STEM}-layer.zip"
    before, code = layer.read_bytes(), first.path.read_bytes()
    (project / "app.py").write_text(APP + "\n# edited\n")
    api.build(project, shape="layer")
    assert layer.read_bytes() == before
    assert first.path.read_bytes() != code
    api.build(project, shape="layer", no_cache=True)
    assert layer.read_bytes() == before


def test_what_aws_is_told_about_a_layer_is_what_its_commands_take(project):
    set_up(project, """
[tool.lambda-slim.layer]
name = "deps"
description = "All of it"
license-info = "MIT"
compatible-runtimes = ["python3.13", "python3.14"]
compatible-architectures = ["x86_64", "arm64"]
allowed-accounts = ["123456789012", "*"]
""")  # fmt: skip
    made = api.build(project, shape="layer")
    inputs = {other.path.name: json.loads(other.path.read_text()) for other in made.others if other.kind != "layer"}
    assert inputs == {
        f"{STEM}-layer.json": {
            "LayerName": "deps",
            "Description": "All of it",
            "CompatibleRuntimes": ["python3.13", "python3.14"],
            "CompatibleArchitectures": ["x86_64", "arm64"],
            "LicenseInfo": "MIT",
        },
        f"{STEM}-layer-permission-123456789012.json": {
            "LayerName": "deps",
            "StatementId": "account-123456789012",
            "Action": "lambda:GetLayerVersion",
            "Principal": "123456789012",
        },
        f"{STEM}-layer-permission-everyone.json": {
            "LayerName": "deps",
            "StatementId": "account-everyone",
            "Action": "lambda:GetLayerVersion",
            "Principal": "*",
        },
    }
    model = botocore.session.get_session().get_service_model("lambda")
    given = {"PublishLayerVersion": {"Content": {"ZipFile": b""}}, "AddLayerVersionPermission": {"VersionNumber": 1}}
    for name, document in inputs.items():
        operation = "AddLayerVersionPermission" if "permission" in name else "PublishLayerVersion"
        shape = model.operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate({**document, **given[operation]}, shape)
        assert not report.has_errors(), report.generate_report()


def test_a_split_layer_keeps_together_what_loads_one_another(project, tmp_path):
    """Largest first, no path twice, one namespace package across two layers."""
    made = api.build(project, shape="layer", layer={"split": 3})
    layers = [other for other in made.others if other.kind == "layer"]
    assert [layer.path.name for layer in layers] == [f"{STEM}-layer-{number}.zip" for number in (1, 2, 3)]
    inside = [names(layer.path) for layer in layers]
    assert "python/big/data.py" in inside[0]
    assert sum(map(len, inside)) == len(set().union(*inside))
    for name in ("native/_core.so", "foo.libs/libfoo-1a2b.so.1", "foo.py"):
        assert f"python/{name}" in inside[1]
    assert {"python/spread/b.py"} <= inside[2]
    opt = tmp_path / "opt"
    for layer in layers:
        unpack(layer.path, opt)
    spread = "import spread.a, spread.b; assert spread.a.A + spread.b.B == 3"
    assert call(unpack(made.path, tmp_path / "task"), opt, before=spread) == ANSWER
    told = [json.loads((project / "dist" / f"{STEM}-layer-{n}.json").read_text())["LayerName"] for n in (1, 2, 3)]
    assert told == ["my-service-1", "my-service-2", "my-service-3"]


def test_a_package_that_would_be_torn_apart_is_refused(project):
    """Python looks for the modules of a regular package in one folder only."""
    (project / "big").mkdir()
    (project / "big" / "mine.py").write_text("MINE = 1\n")
    api.build(project)
    with pytest.raises(VerificationError, match="HL040: the project and big have files in one import package"):
        api.build(project, shape="layer")
    assert api.build(project, shape="layer", verify_ignore=["HL040"]).others


def test_without_dependencies_there_is_no_layer(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    folder = make_project(tmp_path / "plain", head=HEAD)
    made = api.build(folder, shape="layer")
    assert ([other.kind for other in made.others], names(made.path)) == ([], {"app.py"})
    assert [finding.code for finding in made.findings if finding.code == "HL041"]


# A directory


def test_a_directory_is_the_unpacked_zip(project, tmp_path):
    whole = api.build(project)
    made = api.build(project, shape="directory")
    assert made.path == project / "dist" / STEM
    assert contents(made.path) == contents(unpack(whole.path, tmp_path / "task"))
    assert (made.content_sha256, made.sha256, made.code_sha256) == (whole.content_sha256, None, None)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made.path.rglob("*") if path.is_dir()} == {0o755}
    assert call(made.path) == ANSWER


def test_nothing_is_left_of_an_older_directory(project):
    folder = api.build(project, shape="directory").path
    (project / "more.py").write_text("")
    api.build(project, shape="directory")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "app.cpython-313.pyc").write_bytes(b"")
    (project / "more.py").unlink()
    api.build(project, shape="directory")
    assert sorted(path.name for path in folder.iterdir() if "dist-info" not in path.name) == [
        *("app.py", "big", "foo.libs", "foo.py", "native", "small", "spread")
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == [f".{STEM}.hatch-lambda", STEM]


@pytest.mark.parametrize("before", ["nothing", "a build"])
def test_a_folder_with_anybody_elses_work_is_left_as_it_is(project, before):
    folder = project / "dist" / STEM
    if before == "a build":
        api.build(project, shape="directory")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thesis.txt").write_text("years of work")
    state = contents(folder)
    with pytest.raises(ArchiveError, match=r"no build put thesis\.txt there; the folder was left as it is"):
        api.build(project, shape="directory")
    assert contents(folder) == state
    assert api.clean(project) == []
    assert contents(folder) == state


def test_clean_removes_every_shape(project):
    for shape in ("function", "layer", "directory", "wheel", "nested"):
        api.build(project, shape=shape)
    dist = project / "dist"
    (dist / "other").mkdir()
    (dist / f"{STEM}.txt").write_text("")
    api.clean(project)
    assert sorted(path.name for path in dist.iterdir()) == [f"{STEM}.txt", "other"]


# A wheel


def test_a_wheel_installs_to_what_the_package_is(project, tmp_path):
    whole = api.build(project)
    made = api.build(project, shape="wheel")
    assert made.path.name == "my_service_lambda-1.2-cp313-cp313-manylinux_2_34_x86_64.whl"
    package = contents(unpack(whole.path, tmp_path / "task"))
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    pip = next(environment.glob("*/pip*")).with_name("python")
    for number, command in enumerate(
        (
            [pip, "-m", "pip", "install", "--quiet", "--no-index", "--no-compile", "--disable-pip-version-check"],
            [shutil.which("uv") or "uv", "pip", "install", "--quiet", "--python", pip],
        )
    ):
        target = tmp_path / f"target{number}"
        options = (
            ["--platform", "manylinux_2_34_x86_64", "--python-version", "3.13", "--only-binary=:all:"]
            if number == 0
            else ["--python-platform", "x86_64-manylinux_2_34", "--python-version", "3.13"]
        )
        subprocess.run([*command, "--no-deps", "--target", target, *options, made.path], check=True)
        own = "my_service_lambda-1.2.dist-info/"
        installed = {path: entry for path, entry in contents(target).items() if not path.startswith((own, ".lock"))}
        assert installed.keys() == package.keys()
        assert {path: entry[0] for path, entry in installed.items()} == {path: e[0] for path, e in package.items()}
        assert os.access(target / "small" / "run.sh", os.X_OK)
        assert call(target) == ANSWER


def test_a_wheel_is_valid_to_the_reference_installer(project):
    from installer.sources import WheelFile

    made = api.build(project, shape="wheel")
    with WheelFile.open(made.path) as wheel:
        wheel.validate_record()
        assert wheel.dist_info_dir == "my_service_lambda-1.2.dist-info"


# All


@pytest.mark.parametrize("shape", ["function", "layer", "wheel", "nested"])
def test_a_shape_is_the_same_bytes_from_any_cache(project, shape, tmp_path, monkeypatch):
    first = api.build(project, shape=shape)
    made = {path: path.read_bytes() for path in (first.path, *(other.path for other in first.others))}
    api.build(project, shape=shape)
    assert {path: path.read_bytes() for path in made} == made
    api.build(project, shape=shape, no_cache=True)
    assert {path: path.read_bytes() for path in made} == made


@pytest.mark.parametrize("shape", ["layer", "directory", "wheel", "nested"])
def test_a_damaged_cache_is_never_shipped(project, shape):
    first = api.build(project, shape=shape)
    content = first.content_sha256
    (section,) = Path(os.environ["HATCH_LAMBDA_CACHE_DIR"]).glob("v1/sections/*/*")
    blob = bytearray(section.read_bytes())
    blob[len(blob) // 3] ^= 4
    section.write_bytes(blob)
    again = api.build(project, shape=shape)
    assert (again.content_sha256, again.sha256, again.from_cache) == (content, first.sha256, False)


def test_an_unknown_shape_is_refused_with_what_was_probably_meant(project):
    with pytest.raises(ConfigurationError, match=r"'layers' is not one of .*; did you mean 'layer'"):
        api.build(project, shape="layers")


@pytest.mark.parametrize("shape", ["directory", "nested"])
def test_a_shape_runs_on_a_bare_interpreter_of_its_runtime(project, shape, tmp_path):
    made = api.build(project, shape=shape, nested_limit=0)
    task = made.path if shape == "directory" else unpack(made.path, tmp_path / "task")
    assert json.loads(run_handler(interpreter("3.13"), task, made.handler)) == ANSWER
