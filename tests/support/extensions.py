"""Sdists with native code, and what it takes to build them without the whole pipeline."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import textwrap
import zipfile
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from hatch_lambda.config.settings import SdistSettings
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.model import LockedSource
from hatch_lambda.core.uv import Uv
from hatch_lambda.stages.install.sdists.bench import Bench
from hatch_lambda.stages.install.sdists.build import build_wheel

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = "HATCH_LAMBDA_TESTS_NEED_NATIVE"
"""With this variable in the environment the system's tools have to be there."""

C_MODULE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>
static PyObject *answer(PyObject *self, PyObject *none) {
    char text[8];
    memcpy(text, "native", 7);
    return PyUnicode_FromString(text);
}
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, methods};
PyMODINIT_FUNC PyInit_NAME(void) { return PyModule_Create(&module); }
"""
CPP_MODULE = "#include <sstream>\n#include <stdexcept>\n#include <vector>\n" + C_MODULE.replace(
    'memcpy(text, "native", 7);',
    'try { std::vector<int>().at(1); } catch (std::out_of_range &) { std::ostringstream out; out << "native";'
    " memcpy(text, out.str().c_str(), 7); }",
).replace("PyMODINIT_FUNC", 'extern "C" PyObject *').replace(
    'extern "C" PyObject * PyInit', 'extern "C" __attribute__((visibility("default"))) PyObject *PyInit'
)
SETUP = """
import os, sys
from setuptools import Extension, setup
{statement}
setup(ext_modules=[Extension({name!r}, [{source!r}], optional={optional!r})])
"""


def missing(what):
    """Skip the test, unless everything has to be there."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} is set")
    pytest.skip(what)


def setuptools_files(name, code=C_MODULE, *, suffix=".c", statement="", optional=False):
    """Return the files of a project whose one module is compiled."""
    source = f"{name}{suffix}"
    return {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools>=80"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "{name}"\nversion = "1.0"\n[tool.setuptools]\npy-modules = []\n',
        "setup.py": SETUP.format(name=name, source=source, statement=statement, optional=optional),
        source: code.replace("NAME", name),
    }


def write_tree(folder: Path, files) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


def make_archive(folder: Path, name, files) -> Path:
    """Write an sdist of *files*."""
    tree = write_tree(folder / f"tree-{name}", files)
    (tree / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    sdist = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tree, f"{name}-1.0")
    return sdist


class Works:
    """Builds sources with one cache."""

    def __init__(self, folder: Path, cache: Path):
        self.folder = folder.resolve()
        self.cache = Cache(root=cache)
        self.environment = {**os.environ, "UV_LINK_MODE": "hardlink"}

    def build(self, source, runtime="python3.11", architecture="arm64", containerfile=None, **settings) -> Path:
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        bench = Bench(
            target=Target(runtime=runtimes()[runtime], architecture=Architecture(architecture)),
            settings=SdistSettings(**settings),
            containerfile=containerfile,
            uv=Uv.find(self.environment),
            cache=self.cache,
            workspace=work,
            cwd=self.folder,
        )
        return build_wheel(source, bench)

    def local(self, name, files) -> LockedSource:
        """Return a folder of the user's, as a path dependency is."""
        folder = write_tree(self.folder / name, files)
        return LockedSource(name=name, version="1.0", origin=name, identity=name, directory=str(folder))

    def sdist(self, path: Path) -> LockedSource:
        """Return an sdist as a lock has it."""
        name, sha256 = path.name.split("-")[0], hashlib.sha256(path.read_bytes()).hexdigest()
        pinned = (
            f'lock-version = "1.0"\ncreated-by = "tests"\n[[packages]]\nname = "{name}"\nversion = "1.0"\n'
            f'sdist = {{ path = "{path.as_posix()}", hashes = {{ sha256 = "{sha256}" }} }}\n'
        )
        return LockedSource(name=name, version="1.0", origin=path.name, identity=sha256, pinned=pinned)

    def published(self, name) -> LockedSource:
        """Return the newest sdist of a distribution in the registry, as uv locks it."""
        (self.folder / "wanted.in").write_text(name, encoding="utf-8")
        options = ("--no-deps", "--no-binary", name, "--format", "pylock.toml", "--quiet")
        pinned = Uv.find(self.environment).run("pip", "compile", *options, "wanted.in", cwd=self.folder)
        return LockedSource(name=name, version="(newest)", origin="the registry", identity=pinned, pinned=pinned)


def objects(wheel: Path) -> dict[str, tuple[str, int]]:
    """Return the machine of each object in a wheel and the newest minor version of glibc that it asks for.

    By another reader of ELF than the product's.
    """
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            with archive.open(name) as stream:
                if stream.read(4) != b"\x7fELF":
                    continue
                stream.seek(0)
                elf = ELFFile(stream)
                section = elf.get_section_by_name(".gnu.version_r")
                versions = [
                    int(needed.name.split(".")[1])
                    for _, entries in (section.iter_versions() if section else ())  # type: ignore[attr-defined]
                    for needed in entries
                    if needed.name.startswith("GLIBC_2.")
                ]
                found[name] = elf["e_machine"], max(versions, default=0)
    return found
