"""No build and no command touches what is not ours: outputs, folders of outputs, caches.

All wheels are made here and found by their paths, so no registry is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile

import pytest

from hatch_lambda import api
from hatch_lambda.errors import ArchiveError
from tests.support.wheels import make_project, make_wheel

STEM = "some_service-1.2-python3.13-x86_64"
WHEEL = "some_service_lambda-1.2-cp313-cp313-manylinux_2_34_x86_64.whl"
LAYERED = "[tool.lambda-slim.layer]\nallowed-accounts = ['*']"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    wheel = make_wheel(tmp_path / "wheels", "dep")
    folder = make_project(tmp_path / "service", wheel, head='[project]\nname = "some-service"\nversion = "1.2"\n')
    (folder / "app.py").write_text("import dep\n")
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def foreign_zip(path):
    """Write a zip as other tools do: with the date of each file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2):
            archive.writestr(zipfile.ZipInfo(f"python/{number}.py", (2024, 5, 1, 12, number, 0)), "mine")
    return path.read_bytes()


def older(package):
    """Return what the warning about older builds names."""
    (told, *more) = [finding for finding in package.findings if finding.code == "HL046"] or [None]
    assert not more
    return told and sorted(told.message.partition(":")[0].split(", "))


def command(project, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "hatch_lambda", *arguments],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


# Caches


def test_a_project_is_no_cache(project, monkeypatch):
    """One line, before anything is written."""
    (project / "work" / "important").mkdir(parents=True)
    (project / "work" / "important" / "thesis.txt").write_text("years of work")
    moment = time.time() - 3 * 24 * 3600
    os.utime(project / "work" / "important", (moment, moment))
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('cache-dir = "."\n')
    monkeypatch.delenv("HATCH_LAMBDA_CACHE_DIR")
    before = sorted(project.rglob("*"))
    for arguments in (["build"], ["cache", "prune"], ["cache", "clear"], ["cache", "info"], ["explain", "app.py"]):
        done = command(project, *arguments)
        assert (done.returncode, done.stdout) == (3, "")
        assert "tool.lambda-slim.cache-dir: " in done.stderr
        assert "hint: name a folder that is empty" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(project.rglob("*")) == before
    assert command(project, "build", "--no-cache").returncode == 0


@pytest.mark.parametrize("how", ["variable", "option"])
def test_a_home_is_no_cache(project, tmp_path, how):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    variables, options = {"HOME": str(home)}, ["--cache-dir", str(home)]
    if how == "variable":
        variables, options = {**variables, "HATCH_LAMBDA_CACHE_DIR": str(home)}, []
    done = command(project, "build", *options, **variables)
    assert done.returncode == 3
    assert f"{home} is no cache: it holds .ssh; it was left as it is" in done.stderr
    assert names(home) == [".ssh"]
    assert not (project / "dist").exists()


# Outputs of another shape

SHAPES = {
    "function": [f"{STEM}.zip"],
    "layer": [f"{STEM}-layer-permission-everyone.json", f"{STEM}-layer.json", f"{STEM}-layer.zip", f"{STEM}.zip"],
    "directory": [STEM],
    "wheel": [WHEEL],
}


@pytest.mark.parametrize("first", SHAPES)
@pytest.mark.parametrize("then", SHAPES)
def test_what_an_older_build_left_in_another_shape_is_named_and_cleaned(project, first, then):
    with (project / "pyproject.toml").open("a") as settings:
        settings.write(LAYERED)
    dist = project / "dist"
    assert older(api.build(project, shape=first)) is None
    assert [name for name in names(dist) if not name.startswith(".")] == SHAPES[first]
    (dist / f"{STEM}.txt").write_text("mine")

    package = api.build(project, shape=then)

    left = sorted(set(SHAPES[first]) - set(SHAPES[then]))
    assert older(package) == (left or None)
    assert older(api.build(project, shape=then)) == (left or None)
    api.clean(project)
    assert names(dist) == [f"{STEM}.txt"]
    assert older(api.build(project, shape=then)) is None


def test_a_person_is_told_of_it(project):
    command(project, "build", "--as", "layer")
    done = command(project, "build")
    assert f"{STEM}-layer.json, {STEM}-layer.zip: " in done.stderr
    assert "hatch-lambda clean" in done.stderr


@pytest.mark.parametrize("then", ["function", "layer"])
def test_what_others_put_beside_the_package_is_not_named(project, then):
    """The name that the user gave may be the beginning of anything's."""
    api.build(project, output="app.zip", shape=then)
    for number, text in enumerate(('{"name": "mine"}', "[]", "mine", "[" * 100_000)):
        (project / f"app-layer-{number}.json").write_text(text)
    (project / "app-layer-5.zip").write_text("mine")
    foreign_zip(project / "app-layer-4.zip")
    (project / "app").mkdir()
    (project / "dist").mkdir()
    (project / WHEEL).write_text("mine")
    assert older(api.build(project, output="app.zip", shape=then)) is None


def test_another_function_that_is_called_after_this_one_is_no_older_shape(project):
    with (project / "pyproject.toml").open("a") as settings:
        settings.write("[tool.lambda-slim.functions]\none.output = 'x.zip'\ntwo.output = 'x-layer.zip'\n")
    for _ in range(2):
        built = [package for _, package in api.build_all([project])]
        assert [older(package) for package in built] == [None, None]


def test_another_version_target_or_function_is_no_older_shape(project):
    dist = project / "dist"
    dist.mkdir()
    for name in (
        "some_service-1.1-python3.13-x86_64",
        "some_service-1.2-python3.13-arm64",
        "some_service-1.2-a-python3.13-x86_64",
    ):
        (dist / f"{name}.zip").write_bytes(b"")
    assert older(api.build(project)) is None


# What others have where we would write


def test_what_no_build_made_is_not_replaced_and_not_cleaned(project):
    with (project / "pyproject.toml").open("a") as settings:
        settings.write(f'output = "app.zip"\n{LAYERED}')
    for name in ("app-layer.json", "app-layer-permission-everyone.json", "app-layer.zip"):
        theirs = project / name
        content = foreign_zip(theirs) if name.endswith(".zip") else b'{"layers": "mine"}'
        theirs.write_bytes(content)
        with pytest.raises(ArchiveError, match=rf"{name}: no build made this; it was left as it is"):
            api.build(project, shape="layer")
        assert api.clean(project) == []
        assert theirs.read_bytes() == content
        assert not (project / "app.zip").exists()
        theirs.unlink()
    api.build(project, shape="layer")
    api.build(project, shape="layer")
    cleaned = {path.name for path in api.clean(project)}
    assert cleaned == {"app.zip", "app-layer.zip", "app-layer.json", "app-layer-permission-everyone.json"}


def test_a_wheel_of_another_project_is_not_replaced_and_not_cleaned(project, tmp_path):
    """Somebody may have called theirs ``some-service-lambda``."""
    theirs = project / "dist" / WHEEL
    content = make_wheel(tmp_path / "w", "some-service-lambda", version="1.2").read_bytes()
    theirs.parent.mkdir()
    theirs.write_bytes(content)
    with pytest.raises(ArchiveError, match="no build made this"):
        api.build(project, shape="wheel")
    assert api.clean(project) == []
    assert theirs.read_bytes() == content


def test_a_zip_that_no_build_wrote_is_not_cleaned_for_its_name(project):
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('output = "data.zip"\n')
    content = foreign_zip(project / "data.zip")
    assert api.clean(project) == []
    assert (project / "data.zip").read_bytes() == content
    api.build(project)
    assert api.clean(project) == [project / "data.zip"]


def write_among_bytecode(path):
    (path.parent / "__pycache__").mkdir()
    (path.parent / "__pycache__" / "thesis.txt").write_text("years of work")


WORK = {
    "a file": lambda path: path.write_text("years of work"),
    "a file among bytecode": write_among_bytecode,
    "a link to a folder": lambda path: path.symlink_to(path.parents[3], target_is_directory=True),
    "a link to a file": lambda path: path.symlink_to(path.parents[3] / "service" / "app.py"),
}


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("put_there", WORK.values(), ids=WORK)
def test_a_folder_with_anybodys_work_is_neither_replaced_nor_cleaned(project, put_there):
    folder = api.build(project, shape="directory").path
    put_there(folder / "thesis")
    before = sorted(folder.rglob("*"))
    with pytest.raises(ArchiveError, match="the folder was left as it is"):
        api.build(project, shape="directory")
    assert api.clean(project) == []
    assert sorted(folder.rglob("*")) == before


def test_work_that_is_saved_while_a_build_runs_is_not_lost(project, monkeypatch):
    folder = api.build(project, shape="directory").path

    def write(*_):
        (folder / "thesis.txt").write_text("years of work")

    monkeypatch.setattr("hatch_lambda.pipeline.shapes.directory._write", write)
    with pytest.raises(ArchiveError, match=r"no build put thesis\.txt there"):
        api.build(project, shape="directory")
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert (folder / "app.py").exists()
    assert not list(folder.parent.glob("*.tmp"))


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_in_the_place_of_a_text_goes_alone(project, tmp_path):
    """What it leads to is somebody else's, even if it looks like ours."""
    (tmp_path / "theirs").write_text(
        json.dumps({"LayerName": "x", "CompatibleRuntimes": [], "CompatibleArchitectures": []})
    )
    (project / "dist").mkdir()
    (project / "dist" / f"{STEM}-layer.json").symlink_to(tmp_path / "theirs")
    with pytest.raises(ArchiveError, match="no build made this"):
        api.build(project, shape="layer")
    assert json.loads((tmp_path / "theirs").read_text())["LayerName"] == "x"
