"""Native code for another machine and another glibc, from its sdist and without a container."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from hatch_lambda.errors import InstallError
from hatch_lambda.stages.install.sdists.toolchain import VERSION
from tests.support.extensions import C_MODULE, CPP_MODULE, Works, make_archive, missing, objects, setuptools_files
from tests.support.shell import REPOSITORY, Shell, interpreter
from tests.support.wheels import make_project

pytestmark = [
    pytest.mark.registry,
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="it cross-compiles on Linux only"),
]
GLIBC = {"python3.11": 26, "python3.13": 34}
MACHINE = {"arm64": "EM_AARCH64", "x86_64": "EM_X86_64"}
ARM64_PYTHON = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libc6", "zlib1g", "libexpat1", "libssl3", "libffi8"),
)
"""Debian's packages of an interpreter, for its release 12."""


@pytest.fixture(scope="session")
def compilers(tmp_path_factory):
    """Give a folder for the cache, in which the compiler is kept for all tests."""
    return tmp_path_factory.mktemp("compilers")


@pytest.fixture
def works(tmp_path, compilers):
    interpreter("3.11")
    return Works(tmp_path, compilers)


@pytest.fixture(scope="session")
def arm64(tmp_path_factory):
    """Give a command that runs Debian's Python 3.11 for arm64, emulated; packages come from a state of apt's own."""
    for program in ("qemu-aarch64-static", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            missing(f"there is no {program} to run programs for arm64 with")
    folder = tmp_path_factory.mktemp("arm64")
    for inner in ("lists/partial", "archives/partial", "root"):
        (folder / inner).mkdir(parents=True)
    (folder / "status").write_text("")
    options = ("APT::Architecture=arm64", "APT::Architectures=arm64", f"Dir::State::lists={folder}/lists")
    options += (f"Dir::State::status={folder}/status", f"Dir::Cache={folder}", "APT::Sandbox::User=root")
    apt = ["apt-get", *(part for option in options for part in ("-o", option)), "-qq"]
    for command in (["update"], ["download", *ARM64_PYTHON]):
        done = subprocess.run([*apt, *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0 and command[0] == "download":
            missing(f"no Python 3.11 for arm64 from this system's packages: {done.stderr}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    return ["qemu-aarch64-static", "-L", folder / "root", folder / "root/usr/bin/python3.11", "-B"]


def unpacked(wheel, folder) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def says(command, folder, program) -> str:
    """Return what *program* prints when it finds what is in *folder*."""
    lines = f"import sys; sys.path.insert(0, {str(folder)!r}); {program}"
    done = subprocess.run([*command, "-c", lines], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def check(wheel, runtime, architecture):
    """Ask another reader of ELF: each object is for the target, and there is one."""
    found = objects(wheel)
    assert found
    assert {machine for machine, _ in found.values()} == {MACHINE[architecture]}
    assert max(newest for _, newest in found.values()) <= GLIBC[runtime]
    machine = "aarch64" if architecture == "arm64" else architecture
    assert wheel.name.endswith(f"-manylinux_2_{GLIBC[runtime]}_{machine}.whl")
    assert not [name for name in found if ".cpython-" in name and f"{machine}-linux-gnu" not in name]


def test_c_for_another_machine_runs_there(works, arm64, tmp_path):
    """From the lock to the package: its module is imported by an interpreter for that machine, and the report marks it.

    The compiler comes through uv, and is kept.
    """
    source = works.sdist(make_archive(tmp_path, "cmodule", setuptools_files("cmodule")))
    project = make_project(tmp_path / "service", lock=source.pinned, settings='architecture = "arm64"\nsdist = "cross"')
    options = ("-o", "app.zip", "--json", "--runtime", "python3.11", "--cache-dir", works.cache.root)
    told = json.loads(Shell().hatch_lambda("build", *options, cwd=project).stdout)
    assert ["cmodule 1.0" in found["message"] for found in told["findings"] if found["code"] == "HL070"] == [True]
    site = unpacked(project / "app.zip", tmp_path / "site")
    assert (site / "cmodule.cpython-311-aarch64-linux-gnu.so").is_file()
    assert says(arm64, site, "import cmodule; print(cmodule.answer())") == "native"
    assert (works.cache.root / "tools" / f"ziglang-{VERSION}").is_dir() or find_spec("ziglang")


def test_what_asks_for_no_compiler_is_built_without_one(tmp_path):
    """A pure sdist needs neither a compiler nor Linux; the cache has no tools afterwards."""
    works = Works(tmp_path, tmp_path / "cache")
    files = {"pyproject.toml": setuptools_files("plain")["pyproject.toml"].replace("[]", '["plain"]'), "plain.py": ""}
    wheel = works.build(works.local("plain", files), method="cross")
    assert wheel.name == "plain-1.0-py3-none-any.whl"
    assert not (tmp_path / "cache" / "tools").exists()


def test_an_optional_module_whose_compilation_fails_is_not_lost_silently(works, tmp_path):
    """Its wheel then has the target's tag and no module, and setuptools exits with 0."""
    files = setuptools_files("halfway", f"#error stop here\n{C_MODULE}", optional=True)
    with pytest.raises(InstallError, match=r"(?s)asked for a compiler.*stop here") as caught:
        works.build(works.sdist(make_archive(tmp_path, "halfway", files)), method="cross")
    assert "container" in caught.value.hint


def test_a_failed_build_shows_its_last_lines_and_where_the_others_are(works, tmp_path):
    files = setuptools_files("broken", C_MODULE.replace("return PyUnicode", "retrun PyUnicode"))
    with pytest.raises(InstallError, match=r"broken 1\.0") as caught:
        works.build(works.sdist(make_archive(tmp_path, "broken", files)), method="cross")
    log = Path(caught.value.hint.rpartition(" ")[2])
    assert "retrun" in log.read_text()


@pytest.mark.slow
def test_a_folder_of_the_user_stays_as_it_was(works):
    source = works.local("mine", setuptools_files("mine"))
    before = sorted(Path(source.directory).rglob("*"))
    works.build(source, method="cross")
    assert sorted(Path(source.directory).rglob("*")) == before


def test_rust_is_refused_before_anything_is_downloaded(tmp_path):
    works = Works(tmp_path, tmp_path / "cache")
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["maturin>=1"]\nbuild-backend = "maturin"\n'
        '[project]\nname = "rusty"\nversion = "1.0"\n',
        "Cargo.toml": "[package]\n",
    }
    with pytest.raises(InstallError, match=r"rusty 1\.0 .* Rust") as caught:
        works.build(works.local("rusty", files), method="cross")
    assert "container" in caught.value.hint
    assert not (tmp_path / "cache" / "tools").exists()


def test_the_extra_pins_the_version_that_is_installed_on_demand():
    assert f'cross = ["ziglang=={VERSION}"]' in (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")


CMAKE = """
cmake_minimum_required(VERSION 3.21)
project(cmodule LANGUAGES C CXX)
find_package(Python COMPONENTS Interpreter Development.Module REQUIRED)
python_add_library(NAME MODULE NAME.cpp WITH_SOABI)
install(TARGETS NAME DESTINATION .)
"""
MESON = """
project('NAME', 'cpp', version: '1.0')
py = import('python').find_installation(pure: false)
py.extension_module('NAME', 'NAME.cpp', install: true)
"""
CYTHON = "def answer():\n    return 'native'\n"


def head(name, requires, backend):
    build = f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
    return f'{build}[project]\nname = "{name}"\nversion = "1.0"\n'


def project_files(kind):
    """Return a project for each build system that people use for C, C++ and Cython."""
    name = f"with_{kind}"
    module = {f"{name}.cpp": CPP_MODULE.replace("NAME", name)}
    if kind == "cpp":
        return setuptools_files(name, CPP_MODULE, suffix=".cpp")
    if kind == "cython":
        files = setuptools_files(name, CYTHON, suffix=".pyx")
        requires = ("pyproject.toml", files["pyproject.toml"].replace('"setuptools>=80"', '"setuptools>=80", "cython"'))
        return {**files, **dict([requires])}
    if kind == "meson":
        return {
            "pyproject.toml": head(name, '["meson-python"]', "mesonpy"),
            "meson.build": MESON.replace("NAME", name),
            **module,
        }
    return {
        "pyproject.toml": head(name, '["scikit-build-core"]', "scikit_build_core.build"),
        "CMakeLists.txt": CMAKE.replace("NAME", name),
        **module,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cpp", "cython", "meson", "cmake"])
def test_the_build_systems_that_people_use_work(works, arm64, tmp_path, kind):
    """With exceptions and streams of C++, whose library is linked in."""
    name = f"with_{kind}"
    source = works.sdist(make_archive(tmp_path, name, project_files(kind)))
    wheel = works.build(source, method="cross")
    check(wheel, "python3.11", "arm64")
    program = f"import {name} as module; print(module.answer())"
    assert says(arm64, unpacked(wheel, tmp_path / "site"), program) == "native"


PROGRAMS = {
    "markupsafe": "import markupsafe, markupsafe._speedups; print(markupsafe.escape('<'))",
    "psutil": "import psutil; print(psutil.Process().pid > 0)",
    "wrapt": "import wrapt, wrapt._wrappers; print(wrapt.ObjectProxy(3) + 1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
@pytest.mark.parametrize("runtime", ["python3.11", "python3.13"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_real_distributions_are_built_for_each_target(works, arm64, tmp_path, name, runtime, architecture):
    """Each as its project publishes it."""
    command = [interpreter(runtime.removeprefix("python"))]
    wheel = works.build(works.published(name), runtime, architecture, method="cross")
    check(wheel, runtime, architecture)
    if (architecture, runtime) == ("arm64", "python3.13"):
        return  # nobody can run it here
    command = arm64 if architecture == "arm64" else command
    assert says(command, unpacked(wheel, tmp_path / "site"), PROGRAMS[name])
