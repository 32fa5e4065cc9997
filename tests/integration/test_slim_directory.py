"""``hatch-lambda slim DIR`` after ``--target``: smaller, still running, and no cache is touched."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.elf import AARCH64, shared_object
from tests.support.shell import Shell, run_handler
from tests.support.wheels import make_project, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

TARGET = ("--python-version", "3.13", "--python-platform", "x86_64-manylinux_2_28", "--only-binary", ":all:")
TAG = "cp313-cp313-manylinux_2_17_x86_64"
ARM = "cp313-cp313-manylinux2014_aarch64.manylinux_2_17_aarch64"


@pytest.fixture
def shell(tmp_path) -> Shell:
    """Give a shell with caches of its own, to be looked into afterwards."""
    caches = {"UV_CACHE_DIR": str(tmp_path / "uv cache"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return Shell({**os.environ, **caches, "UV_LINK_MODE": "hardlink"})


@pytest.fixture
def wheels(tmp_path):
    """Make a compiled distribution, and one that leaves a command."""
    return [
        make_wheel(
            tmp_path / "wheels",
            "compiled",
            {
                "compiled/__init__.py": "def handler(event, context):\n    return event\n",
                "compiled/__init__.pyi": "def handler(event, context): ...\n",
                "compiled/native.so": shared_object(),
            },
            tag=TAG,
        ),
        make_wheel(tmp_path / "wheels", "talker", {"talker.py": "", "bin/talk": "#!/usr/bin/python3\n"}),
    ]


@pytest.fixture
def folder(shell, wheels, tmp_path) -> Path:
    """Give what uv installed."""
    return install(shell, tmp_path / "folder", *wheels)


def install(shell, folder, *wheels):
    shell.uv("pip", "install", "--quiet", "--offline", *TARGET, "--target", folder, *wheels, cwd=wheels[0].parent)
    return folder


def slim(shell, folder, *arguments, **variables):
    """Slim *folder* and return the result."""
    return json.loads(shell.hatch_lambda("slim", "--json", folder, *arguments, cwd=folder.parent, **variables).stdout)


def state(folder):
    """Return what would differ if a file below *folder* had been written."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_ino,
            path.stat().st_mtime_ns,
            path.stat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_slimming_changes_no_file_in_place_and_no_cache(folder, shell, tmp_path):
    """A stripped file is a new inode: the old one is a hard link into uv's cache, which others share."""
    cache = tmp_path / "uv cache"
    before, cached = state(folder), state(cache)
    assert (folder / "compiled" / "native.so").stat().st_nlink > 1
    result = slim(shell, folder)
    after = state(folder)

    assert state(cache) == cached
    assert after["compiled/native.so"][0] != before["compiled/native.so"][0]
    assert after["compiled/native.so"][3] != before["compiled/native.so"][3]
    assert after["compiled/__init__.py"] == before["compiled/__init__.py"]
    assert not {"compiled/__init__.pyi", "bin/talk", ".lock", "compiled-1.0.dist-info/RECORD"} & set(after)
    assert "compiled-1.0.dist-info/METADATA" in after
    assert result["unzipped_bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert not (folder / "bin").exists()


def test_dry_run_tells_the_same_and_writes_nothing(folder, shell):
    """Neither bytes, nor dates, nor inodes change."""
    before = state(folder)
    told = slim(shell, folder, "--dry-run")

    assert state(folder) == before
    done = slim(shell, folder)
    assert told["dry_run"] is True
    assert done["dry_run"] is False
    assert [change | {"seconds": 0} for change in told["changes"]] == [
        change | {"seconds": 0} for change in done["changes"]
    ]


def test_slimming_again_changes_nothing(folder, shell):
    """The second run has nothing to do, and does nothing."""
    slim(shell, folder)
    before = state(folder)
    again = slim(shell, folder)

    assert state(folder) == before
    assert again["changes"] == []


@pytest.mark.parametrize("settings", [(), ("-C", 'dist-info="remove"')], ids=["minimal", "remove"])
def test_slimming_again_knows_the_target_still(settings, wheels, shell, tmp_path):
    """The first run read it from WHEEL, which installers alone read otherwise; without any, the objects tell it."""
    layer = tmp_path / "layer"
    foreign = make_wheel(
        tmp_path / "wheels", "foreign", {"foreign.cpython-313-x86_64-linux-gnu.so": shared_object()}, tag=TAG
    )
    install(shell, layer / "python", *wheels, foreign)
    first, second = (slim(shell, layer, *settings) for _ in range(2))

    assert (first["runtime"], first["architecture"]) == ("python3.13", "x86_64")
    assert (second["runtime"], second["architecture"]) == ("python3.13", "x86_64")
    assert not (layer / "python" / "talker-1.0.dist-info" / "WHEEL").exists()


def test_slimming_again_warns_again(folder, shell, tmp_path):
    """Of what is not for the target: that has not gone."""
    make_project(tmp_path / "service", settings='architecture = "arm64"')
    first, second = (slim(shell, folder, "--project", tmp_path / "service")["findings"] for _ in range(2))

    assert [found["code"] for found in first] == [found["code"] for found in second] == ["HL007"]


@pytest.mark.parametrize("quiet", [False, True], ids=["told", "quiet"])
def test_the_text_names_the_target_and_quiet_says_nothing(quiet, folder, shell):
    """``-q`` is silent where there is nothing to warn of."""
    done = shell.hatch_lambda("slim", folder, *(["-q"] if quiet else []), cwd=folder.parent)

    assert done.stdout.endswith("") if quiet else "python3.13 on x86_64" in done.stdout
    assert (done.stdout + done.stderr == "") is quiet


@pytest.mark.parametrize("site", ["python", "python/lib/python3.13/site-packages"])
def test_a_layer_is_slimmed_where_its_packages_are(site, shell, wheels, tmp_path):
    """Patterns are anchored there, paths are told as they are seen from the layer's folder."""
    layer = tmp_path / "layer"
    install(shell, layer / site, *wheels)
    (layer / "LICENSE.pyi").touch()
    result = slim(shell, layer, "-C", 'patterns=["/talker.py"]')

    assert not (layer / site / "talker.py").exists()
    assert f"{site}/compiled/__init__.pyi" in {change["path"] for change in result["changes"]}
    assert (layer / site / "compiled" / "__init__.py").exists()
    assert (layer / "LICENSE.pyi").exists()
    assert (result["runtime"], result["architecture"]) == ("python3.13", "x86_64")


def test_both_places_of_a_layer_are_slimmed(shell, wheels, tmp_path):
    """A pure distribution above, a compiled one below."""
    layer = tmp_path / "layer"
    install(shell, layer / "python" / "lib" / "python3.13" / "site-packages", wheels[0])
    install(shell, layer / "python", wheels[1])
    result = slim(shell, layer)

    left = {path.relative_to(layer / "python").as_posix() for path in layer.rglob("*") if path.is_file()}
    below = "lib/python3.13/site-packages"
    assert {"talker.py", f"{below}/compiled/__init__.py", f"{below}/compiled/native.so"} <= left
    assert result["files"] == len(left)
    assert [stage["name"] for stage in result["stages"]] == ["folder", "slim", "strip"]


def test_settings_come_from_the_project_that_is_named(folder, shell, tmp_path):
    """Its patterns, and its target, with which the wheels are compared."""
    make_project(tmp_path / "service", settings='patterns = ["talker.py", "!*.pyi"]\nstrip = false')
    before = state(folder)
    result = slim(shell, folder, "--project", tmp_path / "service")
    after = state(folder)

    assert "talker.py" not in after
    assert "compiled/__init__.pyi" in after
    assert after["compiled/native.so"] == before["compiled/native.so"]
    assert not result["findings"]
    changed = slim(shell, folder.parent / "folder", "--project", tmp_path / "service", "-C", "runtime=python3.12")
    assert changed["runtime"] == "python3.12"


def test_a_folder_for_another_target_than_the_projects_is_warned_of(folder, shell, tmp_path):
    """It was installed for python3.13 on x86_64."""
    make_project(tmp_path / "service", settings='architecture = "arm64"')
    (finding,) = slim(shell, folder, "--dry-run", "--project", tmp_path / "service")["findings"]

    assert finding["code"] == "HL007"
    assert "not for python3.13 on arm64: compiled is for manylinux_2_17_x86_64" in finding["message"]


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        (ARM, "other is for manylinux2014_aarch64, manylinux_2_17_aarch64"),
        ("cp313-cp313-macosx_11_0_arm64", "other is for macosx_11_0_arm64"),
        ("cp313-cp313-win_amd64", "other is for win_amd64"),
        ("cp39-abi3-musllinux_1_2_x86_64", "other is for musllinux_1_2_x86_64"),
        ("cp312-cp312-manylinux_2_17_x86_64", "other is for python3.12"),
    ],
)
def test_wheels_for_something_else_are_named(tag, told, folder, shell, tmp_path):
    """They were installed in two runs, or on a laptop: the first import on Lambda would fail."""
    other = make_wheel(tmp_path / "wheels", "other", {"other.py": ""}, tag=tag)
    with subprocess.Popen(
        [sys.executable, "-c", UNPACK, str(other), str(folder)], stdin=subprocess.DEVNULL
    ) as unpacking:
        assert unpacking.wait() == 0
    install(shell, tmp_path / "third", make_wheel(tmp_path / "wheels", "third", {"third.so": ""}, tag=TAG))
    for path in (tmp_path / "third").iterdir():
        if path.name.startswith("third"):
            path.rename(folder / path.name)
    (finding,) = slim(shell, folder, "--dry-run")["findings"]

    assert finding["code"] == "HL007"
    assert finding["severity"] == "warning"
    assert finding["message"] == f"not for python3.13 on x86_64: {told}"


UNPACK = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])"


@pytest.mark.parametrize("tag", ["py3-none-any", "py2.py3-none-any", "cp39-abi3-manylinux_2_17_x86_64", TAG])
def test_wheels_that_fit_are_not_warned_of(tag, folder, shell, tmp_path):
    """Pure ones, those with the stable ABI, and those of the same target."""
    install(shell, folder, make_wheel(tmp_path / "wheels", "other", tag=tag))

    assert slim(shell, folder, "--dry-run")["findings"] == []


def test_pure_wheels_tell_no_target(shell, wheels, tmp_path):
    """They run on every one."""
    result = slim(shell, install(shell, tmp_path / "folder", wheels[1]))

    assert (result["runtime"], result["architecture"]) == (None, None)


def test_an_arm_folder_is_slimmed_on_any_host(shell, tmp_path):
    """Its objects are stripped, its target is told by its wheel."""
    wheel = make_wheel(tmp_path / "wheels", "compiled", {"native.so": shared_object(machine=AARCH64)}, tag=ARM)
    arm = [word.replace("x86_64", "aarch64") for word in TARGET]
    shell.uv("pip", "install", "-q", "--offline", *arm, "--target", tmp_path / "folder", wheel, cwd=tmp_path)
    result = slim(shell, tmp_path / "folder")

    assert (result["runtime"], result["architecture"]) == ("python3.13", "arm64")
    assert "strip" in {change["stage"] for change in result["changes"]}


HANDLER = """
import importlib.metadata

import markupsafe
import markupsafe._speedups


def handler(event, context):
    return [str(markupsafe.escape(event["text"])), importlib.metadata.version("markupsafe")]
"""


@pytest.mark.registry
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_function_still_runs_after_slimming(installer, shell, python313, tmp_path):
    """With what the real installers leave, and from the registry's own wheels."""
    folder = tmp_path / "folder"
    if installer == "uv":
        shell.uv("pip", "install", "-q", *TARGET, "--target", folder, "markupsafe==3.0.2", cwd=tmp_path)
    else:
        options = ("--python-version", "3.13", "--platform", "manylinux2014_x86_64", "--only-binary", ":all:")
        pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--root-user-action=ignore")
        if shell.run(*pip[:3], "--version", cwd=tmp_path, check=False).returncode != 0:
            pip = ("uv", "tool", "run", "pip", "install", "-q")
        shell.run(*pip, *options, "--target", folder, "markupsafe==3.0.2", cwd=tmp_path)
    (folder / "app.py").write_text(HANDLER)
    result = slim(shell, folder)

    assert (result["runtime"], result["architecture"]) == ("python3.13", "x86_64")
    assert not list(folder.rglob("*.pyc"))
    assert not list(folder.rglob("*.c"))
    assert json.loads(run_handler(python313, folder, "app.handler", '{"text": "<b>"}')) == ["&lt;b&gt;", "3.0.2"]
    assert sum(
        change["bytes_before"] - change["bytes_after"] for change in result["changes"] if change["stage"] == "strip"
    )
