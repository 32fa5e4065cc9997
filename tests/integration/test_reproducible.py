"""Same input, same bytes: whoever builds, wherever, whenever, and with whatever is in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.elf import shared_object
from tests.support.shell import REPOSITORY, Shell, interpreter, uv_executable
from tests.support.wheels import make_project, make_wheel

NOBODY = 65534


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Give a service with a compiled dependency, readable by everyone, as a folder to be copied."""
    folder = Path(tmp_path_factory.mktemp("inputs"))
    tag = "cp313-cp313-manylinux_2_17_x86_64"
    files = {f"compiled/module{number}.py": f"NUMBER = {number}\n" * number for number in range(40)}
    files |= {"compiled/__init__.py": "", "compiled/native.so": shared_object(), "compiled/größe.txt": "€"}
    wheels = [
        make_wheel(folder, "compiled", files, tag=tag),
        make_wheel(folder, "talker", {"talker.py": "", "talker-1.0.data/scripts/talk": "#!python\n"}),
    ]
    settings = 'output = "app.zip"\nscripts = true\ndist-info = "keep"\n'
    return make_project(folder / "service", *wheels, settings=settings)


@pytest.fixture(scope="module")
def reference(inputs, tmp_path_factory):
    """Give what this process's own environment makes of it."""
    return build(copy(inputs, tmp_path_factory.mktemp("reference") / "service"))


def copy(inputs, folder):
    shutil.copytree(inputs, folder)
    return folder


def build(project, *arguments, python=sys.executable, before=None, user=None, **variables):
    """Build *project* and return the digest of the zip and the one of its content."""
    done = subprocess.run(
        [python, "-m", "hatch_lambda", "build", "--json", *arguments],
        cwd=project,
        env={**environment(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
        user=user,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert hashlib.sha256(Path(result["zip"]).read_bytes()).hexdigest() == result["sha256"]
    return result["sha256"], result["content_sha256"]


def environment():
    hidden = {"SOURCE_DATE_EPOCH", "PYTHONHASHSEED"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | {"UV_OFFLINE": "1"}


def test_another_machine_makes_the_same_bytes(inputs, reference, tmp_path):
    """Another folder, moment, umask, time zone, home, temporary folder, hash seed, locale, and empty caches."""
    project = copy(inputs, tmp_path / "ein anderer Ordner" / "service")
    for path in project.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    for name in ("home", "temporary", "cache", "uv"):
        (tmp_path / name).mkdir()

    assert reference == build(
        project,
        before=lambda: os.umask(0o077),
        TZ="Pacific/Kiritimati",
        HOME=str(tmp_path / "home"),
        TMPDIR=str(tmp_path / "temporary"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        UV_CACHE_DIR=str(tmp_path / "uv"),
        PYTHONHASHSEED="4711",
        LC_ALL="C",
    )


def test_permissions_of_the_source_tree_do_not_matter(inputs, reference, tmp_path):
    """Except who may execute a file: git keeps nothing else either."""
    project = copy(inputs, tmp_path / "service")
    for path in project.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)

    assert build(project) == reference


def test_one_thread_makes_the_same_bytes_as_many(inputs, reference, tmp_path):
    """What is packed first does not depend on who is ready first."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind a process to a core")
    core = min(os.sched_getaffinity(0))

    assert build(copy(inputs, tmp_path / "service"), before=lambda: os.sched_setaffinity(0, {core})) == reference


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can build as another user")
def test_another_user_makes_the_same_bytes(inputs, reference):
    """With a copy of the tool and an interpreter that this user can enter."""
    python = public_interpreter()
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        site = folder / "site"
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            if entry.name.partition("-")[0].partition(".")[0] in NEEDED:
                (shutil.copytree if entry.is_dir() else shutil.copy)(entry, site / entry.name)
        shutil.copytree(
            REPOSITORY / "hatch_lambda", site / "hatch_lambda", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(uv_executable(), folder / "uv")
        shutil.copytree(inputs.parent, folder / "inputs")
        lock = folder / "inputs" / "service" / "pylock.toml"
        lock.write_text(lock.read_text().replace(str(inputs.parent), str(folder / "inputs")))
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

        assert reference == build(
            folder / "inputs" / "service",
            python=python,
            user=NOBODY,
            HOME=str(folder),
            PATH="/usr/bin:/bin",
            PYTHONPATH=str(site),
            UV=str(folder / "uv"),
            TMPDIR=str(folder),
            XDG_CACHE_HOME=str(folder / "cache"),
            UV_CACHE_DIR=str(folder / "uv cache"),
            PYENV_ROOT="",
            PYENV_VERSION="",
        )
        assert (folder / "inputs" / "service" / "app.zip").stat().st_uid == NOBODY
    finally:
        shutil.rmtree(folder)


NEEDED = {
    *("click", "deflate", "elftools", "hatch_lambda", "hatchling", "installer", "msgspec", "packaging", "pathspec"),
    *("platformdirs", "rich", "tomli", "tomli_w", "typing_extensions", "uv", "pygments", "markdown_it", "mdurl"),
    "_deflate",
}


def public_interpreter() -> str:
    """Find a Python of this one's minor version that everyone may enter: the copied extensions must fit it."""
    version = "{}.{}".format(*sys.version_info)
    for candidate in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        path = Path(os.path.realpath(candidate))
        if path.is_file() and all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents):
            return str(path)
    return pytest.skip(f"no Python {version} on this machine can be entered by another user")


@pytest.mark.registry
@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_another_interpreter_makes_the_same_bytes(version, inputs, reference, wheelhouse, tmp_path):
    """The tool installed from its wheel, under another Python."""
    if version == "{}.{}".format(*sys.version_info):
        pytest.skip("this is the interpreter of the reference")
    shell = Shell()
    shell.uv("venv", "--quiet", "--python", interpreter(version), tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = wheelhouse.glob("*.whl")
    shell.uv("pip", "install", "--quiet", "--python", python, wheel, cwd=tmp_path)

    assert build(copy(inputs, tmp_path / "service"), python=python, PYTHONPATH="") == reference


def test_source_date_epoch_changes_the_dates_and_nothing_else(inputs, reference, tmp_path):
    """And the same epoch gives the same bytes."""
    project, again = copy(inputs, tmp_path / "one"), copy(inputs, tmp_path / "two" / "service")
    dated = build(project, SOURCE_DATE_EPOCH="1700000000")

    assert build(again, SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Kolkata") == dated
    assert dated != reference
    assert dated[1] == reference[1]
    with zipfile.ZipFile(project / "app.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    assert build(project, SOURCE_DATE_EPOCH="0") == reference
    with zipfile.ZipFile(project / "app.zip") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_content_digest_ignores_compression(inputs, reference, tmp_path):
    """Three levels, three zips, one content."""
    project = copy(inputs, tmp_path / "service")
    digests = {level: build(project, "-C", f"compression={level}") for level in ("fast", "balanced", "smallest")}

    assert digests["balanced"] == reference
    assert len({zipped for zipped, _ in digests.values()}) == 3
    assert {content for _, content in digests.values()} == {reference[1]}


def test_other_content_has_another_digest(inputs, reference, tmp_path):
    """One byte, or one permission: otherwise the digests above would prove nothing."""
    changed, executable = copy(inputs, tmp_path / "changed"), copy(inputs, tmp_path / "executable")
    (changed / "app.py").write_text((inputs / "app.py").read_text() + "\n")
    (executable / "app.py").chmod(0o744)

    digests = [reference, build(changed), build(executable)]
    assert len({zipped for zipped, _ in digests}) == len({content for _, content in digests}) == 3
