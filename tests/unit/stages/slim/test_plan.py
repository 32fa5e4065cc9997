"""Promises that hold for any tree."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_lambda.config.settings import SlimSettings
from hatch_lambda.core.model import Change, File, Stage, Tree
from hatch_lambda.stages.slim.plan import apply, plan

NAMES = st.sampled_from(
    ["pkg", "tests", "test", "__pycache__", "sub", "dep-1.dist-info", "licenses", "bin", "include", "typeshed"]
)
LEAVES = st.sampled_from(
    ["__init__.py", "a.py", "test_b.py", "c.pyi", "d.c", "e.pyc", "RECORD", "METADATA", "INSTALLER", "data.csv", "f.so"]
)
CODE = st.sampled_from(
    [
        "",
        "from .tests import a",
        "import pkg.tests.test_b",
        "from . import a, test_b",
        "'data.csv', 'tests', f'{x}.c'",
        "attach_stub",
        "importlib.metadata.packages_distributions",
        "from tests.sub import *",
        "\0pkg.tests.a\0tests\0",
    ]
)
PATHS = st.tuples(st.lists(NAMES, max_size=3), LEAVES).map(lambda pair: "/".join([*pair[0], pair[1]]))
OWNERS = st.sampled_from([("dep", False), ("other", False), (None, False), (None, True), ("app", True)])
TREES = st.dictionaries(PATHS, st.tuples(CODE, OWNERS), max_size=14)
PATTERNS = st.lists(st.sampled_from(["*.py", "!tests/", "pkg/**", "!**/a.py", "**/METADATA", "!*.c"]), max_size=3)
SETTINGS = st.fixed_dictionaries(
    {
        "patterns": PATTERNS.map(tuple),
        "append_default_patterns": st.booleans(),
        "dist_info": st.sampled_from(["minimal", "keep", "remove"]),
        "keep_dist_info": st.sampled_from([(), ("dep",)]),
        "scripts": st.booleans(),
    }
).map(lambda fields: SlimSettings(**fields))


def write(root, contents):
    """Write each text once, under a name of its own: paths of the tree need not exist."""
    files = []
    for number, (path, (code, (distribution, project))) in enumerate(contents.items()):
        source = Path(root, str(number))
        source.write_text(code)
        files.append(File(path=path, source=source, size=len(code), distribution=distribution, project=project))
    return Tree.of(files)


@settings(max_examples=150, deadline=None)
@given(TREES, SETTINGS)
def test_each_file_is_decided_once_and_what_is_kept_stays(contents, chosen):
    with TemporaryDirectory() as root:
        tree = write(root, contents)
        decisions = plan(tree, chosen)
        assert [decision.file for decision in decisions] == list(tree)
        left, changes = apply(decisions)
        assert list(left) == [decision.file for decision in decisions if decision.kept]
        assert [change.path for change in changes] == [d.file.path for d in decisions if not d.kept]
        assert all(decision.rule and decision.reason for decision in decisions)


@settings(max_examples=150, deadline=None)
@given(TREES, SETTINGS)
def test_the_projects_files_go_by_its_own_wishes_only(contents, chosen):
    with TemporaryDirectory() as root:
        for decision in plan(write(root, contents), chosen):
            if decision.file.project and not decision.kept:
                assert decision.rule in {"patterns", "bytecode", "dist-info", "installer-leftovers"}


@settings(max_examples=150, deadline=None)
@given(TREES, SETTINGS)
def test_slimming_again_removes_nothing_more(contents, chosen):
    with TemporaryDirectory() as root:
        once, _ = apply(plan(write(root, contents), chosen))
        twice, changes = apply(plan(once, chosen))
        assert twice == once
        assert changes == ()


@settings(max_examples=80, deadline=None)
@given(TREES, SETTINGS)
def test_the_order_of_files_does_not_matter(contents, chosen):
    with TemporaryDirectory() as root:
        forward = plan(write(root, contents), chosen)
        backward = plan(write(root, dict(reversed(contents.items()))), chosen)
        assert [(d.file.path, d.kept, d.rule, d.reason) for d in forward] == [
            (d.file.path, d.kept, d.rule, d.reason) for d in backward
        ]


def test_a_removal_is_reported_as_a_change(package):
    package.write({"pkg/a.pyi": "xyz"})
    _, changes = apply(plan(package.tree, SlimSettings()))
    assert changes == (
        Change(
            stage=Stage.SLIM,
            path="pkg/a.pyi",
            rule="type-stubs",
            reason="only type checkers read it",
            before=3,
            after=None,
            distribution="dep",
        ),
    )


def test_nothing_is_written(package, tmp_path):
    package.write({"pkg/tests/a.py": "", "pkg/__init__.py": ""})
    before = sorted(tmp_path.rglob("*"))
    apply(plan(package.tree, SlimSettings()))
    assert sorted(tmp_path.rglob("*")) == before
