"""Local folders with the build backends of the field: what each reads outside of them, and leaves in them."""

from __future__ import annotations

import json
import zipfile

import pytest

pytestmark = pytest.mark.registry

LIBRARY = '[project]\nname = "lib"\nversion = "1"\nrequires-python = ">=3.10"\n'
HATCHLING = f"""{LIBRARY.replace('version = "1"', 'dynamic = ["version"]')}
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.hatch.build.targets.wheel.force-include]
"../shared" = "lib/shared"
[tool.hatch.version]
path = "../version.py"
"""
SETUPTOOLS = f"""{LIBRARY}dynamic = ["description"]
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[tool.setuptools.package-data]
lib = ["*.txt", ".hidden"]
[tool.setuptools.dynamic]
description = {{ file = "about.txt" }}
"""
UV_BUILD = f"""{LIBRARY}
[build-system]
requires = ["uv_build>=0.9"]
build-backend = "uv_build"
"""
SERVICE = """
[project]
name = "service"
version = "1"
requires-python = ">=3.10"
dependencies = ["lib"]
[tool.uv.sources]
lib = { path = "../lib", editable = true }
[tool.lambda-slim]
runtime = "python3.13"
bytecode = "none"
dist-info = "keep"
"""


@pytest.mark.parametrize(
    ("backend", "paths"),
    [
        (HATCHLING, ["lib/src/lib/build/core.py", "version.py", "shared/x.txt"]),
        (SETUPTOOLS, ["lib/src/lib/build/core.py", "lib/src/lib/.hidden", "lib/about.txt"]),
        (UV_BUILD, ["lib/src/lib/build/core.py", "lib/src/lib/.hidden"]),
    ],
    ids=["hatchling", "setuptools", "uv_build"],
)
def test_an_edit_of_each_file_that_a_backend_reads_is_noticed_and_nothing_else_is(backend, paths, shell, tmp_path):
    """Also with what setuptools writes into the folder, and though uv keeps what it has built of folders."""
    for path in ("lib/src/lib/__init__.py", "lib/src/lib/build/__init__.py", "shared/y.txt", *paths):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("__version__ = '1'\n")
    root = tmp_path / "service"
    root.mkdir()
    (tmp_path / "lib" / "pyproject.toml").write_text(backend)
    (root / "pyproject.toml").write_text(SERVICE)
    (root / "app.py").write_text("import lib.build.core\n\n\ndef handler(event, context):\n    return event\n")
    shell.uv("lock", "--quiet", cwd=root)

    def build():
        done = shell.hatch_lambda("build", "--json", cwd=root, HATCH_LAMBDA_CACHE_DIR=str(tmp_path / "cache"))
        told = json.loads(done.stdout)
        with zipfile.ZipFile(told["zip"]) as archive:
            return told["dependencies_from_cache"], {name: archive.read(name) for name in archive.namelist()}

    build()
    for number, path in enumerate(paths, start=2):
        from_cache, before = build()
        assert from_cache
        (tmp_path / path).write_text(f"__version__ = '{number}'\n")
        assert build()[1] != before, path
