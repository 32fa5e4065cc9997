"""``build`` and ``cache`` stopped at any of their file operations: each output is the old or the new, and whole.

What such an end leaves beside them goes with the next build or with ``clean``.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

import pytest

from hatch_lambda import api
from hatch_lambda.core.cache import Cache
from tests.support.faults import Killed, faults, interrupt, kill
from tests.support.wheels import make_project, make_wheel

SHAPES = ("function", "layer", "directory", "wheel", "nested")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    wheel = make_wheel(tmp_path / "wheels", "dep", {"dep/__init__.py": "", "dep/data.txt": "x" * 300})
    folder = make_project(tmp_path / "service", wheel, head='[project]\nname = "some-service"\nversion = "1.2"\n')
    (folder / "dist").mkdir()
    return folder


def build(project, shape, text):
    (project / "app.py").write_text(f"import dep\n\n\ndef handler(event, context):\n    return {text!r}\n")
    api.build(project, shape=shape)


def outputs(dist):
    """Return what a deployment would take: each file's bytes, each folder's content."""
    return {path.name: content(path) for path in dist.iterdir() if not path.name.startswith(".")}


def content(path):
    if path.is_dir():
        return {inner.relative_to(path).as_posix(): content(inner) for inner in path.rglob("*") if inner.is_file()}
    return path.read_bytes()


def unfinished(dist):
    return [path.name for path in dist.iterdir() if path.name.endswith(".tmp")]


class Case:
    """Two states of one shape's outputs, and how many operations lead from the first to the second."""

    def __init__(self, project, shape):
        self.project, self.shape, self.dist = project, shape, project / "dist"
        build(project, shape, "old")
        self.old = outputs(self.dist)
        self.kept = shutil.copytree(self.dist, project.parent / "kept", symlinks=True)
        with faults(self.dist) as counted:
            build(project, shape, "new")
        self.new, self.operations = outputs(self.dist), counted.done
        assert self.new.keys() == self.old.keys()
        assert self.new != self.old

    def stopped(self, at, fault):
        shutil.rmtree(self.dist)
        shutil.copytree(self.kept, self.dist, symlinks=True)
        with faults(self.dist, at=at, fault=fault), pytest.raises(Killed):
            build(self.project, self.shape, "new")
        return outputs(self.dist)

    def is_between_renames(self, at):
        """Tell whether the one rename of a folder is done and the other is not: then there is none.

        Signals wait there, so that nothing but a kill comes between them.
        """
        done = [path for name, path in self.operations[: at - 1] if name == "os.rename"]
        away = any(path.endswith(".old.tmp") for path in done)
        return away and not any(path == str(self.dist / name) for name in self.old for path in done)


@pytest.fixture(params=SHAPES)
def case(request, project):
    return Case(project, request.param)


def test_at_any_point_of_a_build_each_output_is_the_old_or_the_new_and_the_next_build_is_right(case):
    assert len(case.operations) > 3
    for at in range(1, len(case.operations) + 1):
        found = case.stopped(at, kill)
        missing = case.old.keys() - found.keys()
        assert not missing or case.is_between_renames(at), case.operations[at - 1]
        for name, state in found.items():
            assert state in (case.old[name], case.new[name]), case.operations[at - 1]
        api.build(case.project, shape=case.shape)
        assert outputs(case.dist) == case.new, case.operations[at - 1]
        api.clean(case.project)
        assert [path.name for path in case.dist.iterdir()] == [], case.operations[at - 1]


def test_what_interrupts_a_build_leaves_each_output_whole_and_nothing_beside_it(case):
    for at in range(1, len(case.operations) + 1):
        if case.is_between_renames(at) or case.operations[at - 1][0] in {"os.remove", "os.rmdir"}:
            continue  # signals wait
        found = case.stopped(at, interrupt)
        assert found.keys() == case.old.keys(), case.operations[at - 1]
        for name, state in found.items():
            assert state in (case.old[name], case.new[name]), case.operations[at - 1]
        assert unfinished(case.dist) == [], case.operations[at - 1]


# Caches


def filled(tmp_path, size=9):
    cache = Cache(root=tmp_path / "cache")
    for number in range(size):
        cache.put("streams", f"{number:064x}", b"%d" % number * 1000)
        os.utime(cache._path("streams", f"{number:064x}"), (number, number))
    return cache


def held(cache, size=9):
    return {
        number: bytes(kept) for number in range(size) if (kept := cache.get("streams", f"{number:064x}")) is not None
    }


@pytest.mark.parametrize("fault", [kill, interrupt])
@pytest.mark.parametrize("command", ["prune", "clear", "put"])
def test_at_any_point_a_cache_holds_whole_entries_and_goes_on(tmp_path, command, fault):
    def run(cache):
        if command == "prune":
            cache.prune(4000)
        elif command == "clear":
            cache.clear()
        else:
            cache.put("streams", f"{0:064x}", b"0" * 1000)

    undisturbed = filled(tmp_path / "0")
    with faults(tmp_path / "0") as counted:
        run(undisturbed)
    assert counted.done
    for at in range(1, len(counted.done) + 1):
        folder = tmp_path / str(at)
        cache = filled(folder)
        whole = held(cache)
        with faults(folder, at=at, fault=fault), suppress(Killed):  # or what kept it from working is noted
            run(cache)
        again = Cache(root=folder / "cache")
        for number, payload in held(again).items():
            assert payload == whole[number]
        run(again)
        again.put("streams", "f" * 64, b"more")
        assert bytes(again.get("streams", "f" * 64)) == b"more"
        again.clear()
        assert list(again.entries()) == []
