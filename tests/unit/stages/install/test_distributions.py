"""The project stands beside its dependencies, and no file has two meanings."""

from __future__ import annotations

import hashlib

import pytest

from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import InstallError
from hatch_lambda.stages.install.distributions import refuse_conflicts, set_apart


@pytest.fixture
def file(tmp_path):
    def file(path, content="x", *, distribution=None, project=False, conflicts=()):
        source = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        source.write_text(content)
        return File(
            path=path, source=source, size=len(content), distribution=distribution, project=project, conflicts=conflicts
        )

    return file


@pytest.fixture
def apart(file):
    def apart(project, dependencies):
        digests = {each.path: hashlib.sha256(each.source.read_bytes()).hexdigest() for each in dependencies}
        return set_apart(Tree.of(project), Tree.of(dependencies), digests)

    return apart


def test_what_the_project_has_alone_is_its_part(file, apart):
    own = file("c.py", project=True)
    assert apart([own], [file("b.py"), file("d.py")]).files == (own,)


def test_a_file_that_both_have_alike_is_the_dependencys(file, apart):
    dependency = file("google/__init__.py", distribution="google-auth")
    assert apart([file("google/__init__.py", project=True)], [dependency]).files == ()


def test_a_file_that_both_have_with_other_content_is_refused_with_both_names(file, apart):
    dependency = file("util.py", "one", distribution="some-lib")
    with pytest.raises(InstallError, match=r"^util\.py differs in demo, some-lib\n") as caught:
        apart([file("util.py", "two", distribution="demo", project=True)], [dependency])
    assert "patterns" in caught.value.hint


def test_a_conflict_among_dependencies_is_refused(file):
    with pytest.raises(InstallError, match=r"^a\.py differs in one, two, three\n"):
        refuse_conflicts(Tree.of([file("a.py", distribution="one", conflicts=("two", "three"))]))


def test_many_conflicts_are_counted(file):
    tree = Tree.of(file(f"{number}.py", distribution="a", conflicts=("b",)) for number in range(8))
    with pytest.raises(InstallError) as caught:
        refuse_conflicts(tree)
    assert len(caught.value.message.splitlines()) == 6
    assert caught.value.message.endswith("and 3 more")


def test_a_tree_without_conflicts_passes(file):
    refuse_conflicts(Tree.of([file("a.py"), file("b.py", distribution="b")]))


@pytest.mark.parametrize("file_is_the_projects", [True, False])
def test_a_name_cannot_be_a_file_and_a_folder(file, apart, file_is_the_projects):
    one, other = file("app"), file("app/x.py")
    project, dependencies = ([one], [other]) if file_is_the_projects else ([other], [one])
    with pytest.raises(InstallError, match=r"^app is a file and a folder\n"):
        apart(project, dependencies)
