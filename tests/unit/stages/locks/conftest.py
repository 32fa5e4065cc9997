"""Small projects and locks, written by hand."""

from __future__ import annotations

import pytest

from hatch_lambda.config.project import Project
from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.stages.locks.pylock import parse

SHA = "a" * 64


class Bench:
    """A project folder, and the terms of its lock."""

    def __init__(self, root):
        self.root = root

    def project(self, text='[project]\nname = "demo"\nversion = "1"\n'):
        self.root.mkdir(exist_ok=True, parents=True)
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")
        return Project.read(self.root)

    def terms(self, **changes):
        from hatch_lambda.config.settings import LockSettings
        from hatch_lambda.stages.locks.lock import LockTerms

        door = {"may_create": False, "in_source_tree": True}
        door |= {name: changes.pop(name) for name in {*LockTerms.__struct_fields__} & {*changes}}
        return LockTerms(settings=LockSettings(**{"require_lock": False, **changes}), **door)

    def lock(self, *packages, head="", **changes):
        from hatch_lambda.stages.locks.lock import Lock

        text = f'lock-version = "1.0"\ncreated-by = "test"\n{head}\n' + "\n".join(packages or ["packages = []"])
        pylock = parse(text, "pylock.toml")
        values = {"stands_alone": True, "asks_an_index": False, "maker": "`make lock`", **changes}
        return Lock(path=self.root / "pylock.toml", pylock=pylock, findings=(), **values)

    def select(self, lock, project=None, runtime="python3.13", architecture=Architecture.X86_64, **changes):
        from hatch_lambda.stages.locks import select

        target = Target(runtime=runtimes()[runtime], architecture=architecture)
        return select.select(lock, project or self.project(), target, self.terms(**changes))


def package(name, version="1.0", *tags, more="", hashes=f'sha256 = "{SHA}"'):
    """Return an entry of a pylock with one wheel for each tag, or a pure one."""
    wheels = ", ".join(
        f'{{ url = "https://example.invalid/{name}-{version}-{tag}.whl", hashes = {{ {hashes} }} }}'
        for tag in tags or ["py3-none-any"]
    )
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\n{more}\nwheels = [{wheels}]\n'


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path.resolve() / "project")


@pytest.fixture(name="package")
def package_fixture():
    return package
