"""A digest of what can be known of a local folder's sources."""

from __future__ import annotations

import os
import re

import pytest

from hatch_lambda.stages.install.snapshot import snapshot

PYPROJECT = """
[project]
name = "lib"
{version}
readme = "../README.md"
license-files = ["../LICEN[CS]E*", "LICENSE"]
[tool.hatch.build.targets.wheel.force-include]
"../shared" = "lib/shared"
[[tool.list]]
deep = [["../deep/x.txt"]]
[tool.hatch.build]
exclude = ["/", "../*/gone"]
"""
FILES = (
    *("lib/lib/code.c", "lib/.hidden", "lib/build/x.c", "lib/lib/build/x.c", "lib/dist/x", "lib/setup.py"),
    *("README.md", "LICENSE", "LICENCE.txt", "shared/a/b.txt", "deep/x.txt", "elsewhere/x"),
    *("lib/lib/__pycache__/x.pyc", "lib/x.pyc", "lib/lib.egg-info/SOURCES.txt", "lib/env/pyvenv.cfg", "lib/env/x"),
    *("lib/target/CACHEDIR.TAG", "lib/target/x", "lib/.git/index", "lib/.git/HEAD", "lib/.git/refs/tags/v1"),
)


@pytest.fixture
def lib(tmp_path):
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    write(tmp_path / "lib", "version = '1'")
    return tmp_path / "lib"


def write(lib, version):
    (lib / "pyproject.toml").write_text(PYPROJECT.format(version=version))


@pytest.mark.parametrize("name", FILES)
def test_it_changes_with_each_file_that_a_build_may_take_and_with_no_other(lib, name):
    """What every build or program writes anew must not make every build another one."""
    before = snapshot(lib)
    assert snapshot(lib) == before
    (lib.parent / name).write_text("2")
    ignored = re.search(r"pyc$|egg-info|/env/|/target/|\.git/|elsewhere", name)
    assert (snapshot(lib) == before) == bool(ignored)


def test_it_changes_with_a_file_that_comes_or_goes_or_is_renamed(lib):
    digests = {snapshot(lib)}
    (lib / "new").write_text("1")
    digests.add(snapshot(lib))
    (lib / "new").rename(lib / "newer")
    digests.add(snapshot(lib))
    (lib.parent / "README.md").unlink()
    digests.add(snapshot(lib))
    assert len(digests) == 4


@pytest.mark.parametrize("name", [".git/HEAD", ".git/refs/tags/v1", ".git/packed-refs"])
def test_the_commit_counts_where_the_version_may_be_made_of_it(lib, name):
    """Not in the project's own words: then a commit would compile it again for nothing."""
    for version, counts in (("version = '1'", False), ("dynamic = ['version']", True)):
        write(lib, version)
        before = snapshot(lib)
        (lib / name).write_text(version)
        assert (snapshot(lib) != before) == counts


def test_the_repository_may_be_above_and_be_that_of_another_worktree(lib):
    write(lib, "dynamic = ['version']")
    (lib / ".git").rename(lib.parent / "main")
    own = lib.parent / "main" / "worktrees" / "own"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/own")
    (own / "commondir").write_text("../..\n")
    (lib.parent / ".git").write_text(f"gitdir: {own}\n")
    before = snapshot(lib)
    (lib.parent / "main" / "refs" / "tags" / "v1").write_text("3")
    tagged = snapshot(lib)
    (own / "HEAD").write_text("ref: refs/heads/other")
    assert len({before, tagged, snapshot(lib)}) == 3


@pytest.mark.skipif(os.name == "nt", reason="links and such bits are POSIX's")
def test_links_count_as_what_they_lead_to_and_circles_end(lib):
    (lib / "out").symlink_to("../elsewhere")
    (lib / "round").symlink_to(".")
    (lib / "lib" / "up").symlink_to("..")
    (lib / "nowhere").symlink_to("gone")
    os.mkfifo(lib / "pipe")
    before = snapshot(lib)
    (lib.parent / "elsewhere" / "x").write_text("2")
    linked = snapshot(lib)
    (lib / "setup.py").chmod(0o755)
    assert len({before, linked, snapshot(lib)}) == 3


@pytest.mark.parametrize(
    "text", ["[", "x = " + "[" * 5000, "\0", '"x" = "../../../../../../*/..\\u0000"', "project = 1"]
)
def test_a_file_that_is_no_project_is_left_to_the_build(lib, text):
    (lib / "pyproject.toml").write_text(text)
    assert len(snapshot(lib)) == 64


def test_folders_may_be_nested_as_deeply_as_the_system_lets_them(lib):
    deep = lib
    for _ in range(400):
        deep /= "d"
        deep.mkdir()
    (deep / "x").write_text("1")
    before = snapshot(lib)
    (deep / "x").write_text("2")
    assert snapshot(lib) != before


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "CACHEDIR.TAG"])
def test_a_source_that_is_an_environment_itself_is_read_all_the_same(tmp_path, mark):
    """As after `python -m venv .`: what it holds beside the environment is still what is built."""
    (tmp_path / mark).write_text("")
    (tmp_path / "code.c").write_text("int x;")
    before = snapshot(tmp_path)
    (tmp_path / "code.c").write_text("int y;")
    assert snapshot(tmp_path) != before
