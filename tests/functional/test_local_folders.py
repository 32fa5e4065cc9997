"""Local folders and members of workspaces: what their build takes, from wherever, is in the package, and no older."""

from __future__ import annotations

import json
import os

import pytest

from hatch_lambda.config.project import Project
from hatch_lambda.core.cache import Cache
from hatch_lambda.stages.locks.formats import pdm, pipenv, poetry
from hatch_lambda.stages.locks.lock import LockRequest
from tests.support.sources import make_source

from .test_kinds import SETTINGS, Site

FILES = {
    "lib/__init__.py": "import lib.build.core\n",
    "lib/build/core.py": "A = 1\n",
    "lib/dist/data.txt": "1",
    "lib/.hidden": "1",
    "lib/lib.egg-info/x.txt": "1",
    "lib/node_modules/x.js": "1",
    "build/lib/top.py": "1\n",
    "dist/top.txt": "1",
    ".top": "1",
    "lib/tool": "#!/bin/sh\n",
    "lib/linked.txt": "",
}


class Shelf(Site):
    """A project with one lock or another, and the library beside it that its lock names as a folder."""

    def library(self, **more):
        self.lib = make_source(self.folder / "lib", "lib", FILES, outside={"lib/outside.txt": "../outside.txt"}, **more)
        for name in ("outside.txt", "linked.txt"):
            (self.folder / name).write_text("1")
        (self.lib / "lib" / "linked.txt").unlink()
        (self.lib / "lib" / "linked.txt").symlink_to("../../linked.txt")

    def write(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")

    def request(self, name):
        """Return what a format gets to read its lock; enough for the stamp that it compares."""
        project = Project.read(self.root)
        return LockRequest(path=self.root / name, project=project, terms=None, uv=None, work=None, maker="`lock`")


def uv_path(shelf):
    shelf.project("lib", sources='lib = { path = "../lib" }')
    shelf.lock()


def uv_editable(shelf):
    shelf.project("lib", sources='lib = { path = "../lib", editable = true }')
    shelf.lock()


def uv_member(shelf):
    """Let the project be the root of the workspace, and the library a member of it."""
    shelf.root = shelf.folder
    shelf.project("lib", more='[tool.uv.workspace]\nmembers = ["lib"]', sources="lib = { workspace = true }")
    shelf.lock()


def pylock_spaced(shelf):
    shelf.project("lib")
    head = 'lock-version = "1.0"\ncreated-by = "tests"\n'
    shelf.write("pylock.toml", f'{head}[[packages]]\nname = "lib"\ndirectory = {{ path = "../lib" }}\n')


def pylock_dense(shelf):
    """TOML asks for no space, and for no table of its own."""
    shelf.project("lib")
    head = 'lock-version="1.0"\ncreated-by="tests"\n'
    shelf.write("pylock.toml", f'{head}[[packages]]\nname="lib"\ndirectory={{path="../lib"}}\n')


def pylock_dotted(shelf):
    shelf.project("lib")
    head = 'lock-version = "1.0"\ncreated-by = "tests"\n'
    shelf.write("pylock.toml", f'{head}[[packages]]\nname = "lib"\n"directory".path = "../lib"\n')


def pylock_inline(shelf):
    shelf.project("lib")
    packages = 'packages = [{name = "lib", directory = {path = "../lib"}}]\n'
    shelf.write("pylock.toml", f'lock-version = "1.0"\ncreated-by = "tests"\n{packages}')


def requirements(shelf):
    shelf.project()
    shelf.write("requirements.txt", "../lib\n")


def requirements_editable(shelf):
    shelf.project()
    shelf.write("requirements.txt", "-e ../lib\n")


def requirements_named(shelf):
    shelf.project()
    shelf.write("requirements.txt", f"lib@{shelf.lib.as_uri()}\n")


def poetry_lock(shelf):
    shelf.project("lib")
    (stamp,) = poetry._stamps(shelf.request("poetry.lock"))
    shelf.write(
        "poetry.lock",
        '[[package]]\nname="lib"\nversion="1.0"\ngroups=["main"]\nfiles=[]\nsource={type="directory",url="../lib"}\n'
        f'[metadata]\nlock-version = "2.1"\ncontent-hash = "{stamp}"\n',
    )


def pdm_lock(shelf):
    shelf.project("lib")
    stamp = pdm._stamp(shelf.request("pdm.lock"))
    shelf.write(
        "pdm.lock",
        '[[package]]\nname="lib"\nversion="1.0"\ngroups=["default"]\n"path"="../lib"\n[metadata]\n'
        f'groups=["default"]\nstrategy=["inherit_metadata"]\ncontent_hash="sha256:{stamp}"\n',
    )


def pipfile_lock(shelf):
    shelf.root.joinpath("pyproject.toml").write_text(SETTINGS + "[tool.uv]\nno-index = true\n")
    shelf.write("app.py", "def handler(event, context):\n    return event\n")
    pipfile = {"packages": {"lib": {"path": "../lib"}}}
    shelf.write("Pipfile", '[packages]\nlib = { path = "../lib" }\n')
    stamp = pipenv._stamp(pipfile, pipenv._Meta(hash={}))
    meta = {"hash": {"sha256": stamp}, "sources": []}
    shelf.write("Pipfile.lock", json.dumps({"_meta": meta, "default": {"lib": {"path": "../lib"}}}))


LOCKS = [
    *(uv_path, uv_editable, uv_member),
    *(pylock_spaced, pylock_dense, pylock_dotted, pylock_inline),
    *(requirements, requirements_editable, requirements_named),
    *(poetry_lock, pdm_lock, pipfile_lock),
]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    shelf = Shelf(tmp_path.resolve(), monkeypatch)
    shelf.library()
    return shelf


@pytest.mark.parametrize("lock", LOCKS)
def test_an_edit_is_noticed_whatever_lock_names_the_folder(shelf, lock):
    """And what was not edited is not made anew; but what the lock chooses is asked again, for the folder may go."""
    lock(shelf)
    assert shelf.content()["lib/build/core.py"] == b"A = 1\n"
    again = shelf.build()
    assert again.from_cache
    assert "selections" not in {entry.kind for entry in Cache(root=shelf.folder / "cache").entries()}
    (shelf.lib / "lib" / "build" / "core.py").write_text("A = 2\n")
    assert shelf.content()["lib/build/core.py"] == b"A = 2\n"


@pytest.mark.parametrize("path", [*FILES, "../outside.txt", "../linked.txt"])
def test_an_edit_is_noticed_wherever_the_build_takes_the_file_from(shelf, path):
    """Hidden, in folders with any name, through a link, and outside: only the backend knows what it takes."""
    pylock_spaced(shelf)
    before = shelf.content()
    (shelf.lib / path).write_text("# an edit\n")
    changed = {name for name, content in shelf.content().items() if content != before[name]}
    assert len(changed) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such bits")
def test_a_file_that_became_executable_is_noticed(shelf):
    """Lambda runs what the package marks."""
    pylock_spaced(shelf)
    shelf.build()
    (shelf.lib / "lib" / "tool").chmod(0o755)
    tree = {file.path: file for file in shelf.build().tree}
    assert tree["lib/tool"].executable


def test_what_a_build_takes_from_the_environment_is_noticed(shelf, monkeypatch):
    """Versions come from there, too."""
    statement = "files = {}; open('lib/build/core.py', 'w').write(f'A = {os.environ[\"ANSWER\"]}')"
    shelf.library(statement=statement)
    pylock_spaced(shelf)
    for answer in ("1", "2"):
        monkeypatch.setenv("ANSWER", answer)
        assert shelf.content()["lib/build/core.py"] == f"A = {answer}".encode()


def test_what_a_build_leaves_in_its_folder_is_no_edit(shelf):
    """As setuptools does; otherwise every build would find another source than the one before."""
    leave = "[os.makedirs(d, exist_ok=True) or open(d + '/x', 'a').write('x') for d in ('build', 'lib.egg-info', '.c')]"
    shelf.library(statement=leave)
    pylock_spaced(shelf)
    assert not shelf.build().from_cache
    assert shelf.build().from_cache
    assert (shelf.lib / "build" / "x").read_text() == "xx"


def test_an_edit_of_what_the_build_does_not_take_changes_nothing(shelf):
    """Neither the bytes, nor what is kept."""
    pylock_spaced(shelf)
    shelf.build()
    (shelf.lib / "tests.py").write_text("def test(): ...\n")
    assert shelf.build().from_cache


def test_a_folder_that_several_functions_depend_on_is_built_once(shelf):
    """A run of the program sees one state of it; the next run the next."""
    from hatch_lambda import api

    shelf.library(statement="open('../built', 'a').write('x')")
    pylock_spaced(shelf)
    with (shelf.root / "pyproject.toml").open("a") as file:
        file.write("[tool.lambda-slim.functions.a]\n[tool.lambda-slim.functions.b]\n")
    for built in ("x", "xx"):
        assert [outcome.name for _, outcome in api.build_all([shelf.root])] == ["service", "service"]
        assert (shelf.folder / "built").read_text() == built
