"""The project stands beside its dependencies, and no file has two meanings."""

from __future__ import annotations

import pytest

from hatch_lambda.errors import InstallError
from hatch_lambda.install import merge, refuse_conflicts
from hatch_lambda.model import File, Tree


@pytest.fixture
def file(tmp_path):
    def file(path, content="x", *, distribution=None, project=False, rivals=()):
        source = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        source.write_text(content)
        return File(
            path=path, source=source, size=len(content), distribution=distribution, project=project, rivals=rivals
        )

    return file


def test_both_parts_are_in_the_tree_in_order(file):
    tree = merge(Tree.of([file("b.py"), file("d.py")]), Tree.of([file("c.py", project=True), file("a.py")]))
    assert [each.path for each in tree] == ["a.py", "b.py", "c.py", "d.py"]


def test_a_file_that_both_have_alike_is_the_dependencys(file):
    dependency = file("google/__init__.py", distribution="google-auth")
    tree = merge(Tree.of([dependency]), Tree.of([file("google/__init__.py", project=True)]))
    assert tree.files == (dependency,)
    refuse_conflicts(tree)


def test_a_file_that_both_have_with_other_content_is_refused_with_both_names(file):
    dependency = file("util.py", "one", distribution="some-lib")
    tree = merge(Tree.of([dependency]), Tree.of([file("util.py", "two", distribution="demo", project=True)]))
    with pytest.raises(InstallError) as caught:
        refuse_conflicts(tree)
    assert "util.py" in caught.value.message
    assert "some-lib" in caught.value.message
    assert "patterns" in caught.value.hint


def test_the_projects_file_counts_as_the_one_that_is_there(file):
    own = file("util.py", "two", project=True)
    tree = merge(Tree.of([file("util.py", "one", distribution="some-lib")]), Tree.of([own]))
    assert tree.files[0].project, "so that no rule for dependencies can take it away"
    with pytest.raises(InstallError, match=r"^util\.py differs in the project, some-lib\n"):
        refuse_conflicts(tree)


def test_a_conflict_among_dependencies_is_refused(file):
    with pytest.raises(InstallError, match=r"^a\.py differs in one, two, three\n"):
        refuse_conflicts(Tree.of([file("a.py", distribution="one", rivals=("two", "three"))]))


def test_many_conflicts_are_counted(file):
    tree = Tree.of(file(f"{number}.py", distribution="a", rivals=("b",)) for number in range(8))
    with pytest.raises(InstallError) as caught:
        refuse_conflicts(tree)
    assert len(caught.value.message.splitlines()) == 6
    assert caught.value.message.endswith("and 3 more")


def test_a_tree_without_conflicts_passes(file):
    refuse_conflicts(Tree.of([file("a.py"), file("b.py", distribution="b")]))


@pytest.mark.parametrize("file_is_the_projects", [True, False])
def test_a_name_cannot_be_a_file_and_a_folder(file, file_is_the_projects):
    one, other = file("app"), file("app/x.py")
    trees = [Tree.of([other]), Tree.of([one])] if file_is_the_projects else [Tree.of([one]), Tree.of([other])]
    with pytest.raises(InstallError, match=r"^app is a file and a folder\n"):
        refuse_conflicts(merge(*trees))
