"""What a pyproject.toml says about its project."""

from __future__ import annotations

import pytest

from hatch_lambda.config.project import Project
from hatch_lambda.errors import ConfigurationError


@pytest.fixture
def read(tmp_path):
    def read(text, **overrides):
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return Project.read(tmp_path, overrides)

    return read


def refusal(function, *arguments):
    with pytest.raises(ConfigurationError) as caught:
        function(*arguments)
    return caught.value.message


@pytest.mark.parametrize(
    ("given", "name", "distribution"),
    [
        ("demo", "demo", "demo"),
        ("My.Demo-App", "my_demo_app", "my-demo-app"),
        ("a--b__c..d", "a_b_c_d", "a-b-c-d"),
    ],
)
def test_a_name_is_spelled_as_in_wheels(read, given, name, distribution):
    project = read(f'[project]\nname = "{given}"\n')
    assert (project.name, project.distribution) == (name, distribution)


def test_a_folder_gives_its_name_where_there_is_no_other(tmp_path):
    folder = tmp_path / "My Service-1"
    folder.mkdir()
    project = Project.read(folder)
    assert (project.name, project.version, project.is_package) == ("my service_1", None, False)
    assert project.requirements() == []


def test_a_folder_that_is_none_is_refused(tmp_path):
    assert "no such folder" in refusal(Project.read, tmp_path / "absent")


def test_the_root_is_absolute(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    from pathlib import Path

    assert Project.read(Path()).root == (tmp_path / "here").resolve()
    assert Project.read(Path()).name == "here"


@pytest.mark.parametrize(
    ("given", "version"),
    [('version = "1.0.0-beta"', "1.0.0b0"), ('version = "1!2.0+Local.1"', "1!2.0+local.1"), ("", None)],
)
def test_a_version_is_spelled_as_in_wheels(read, given, version):
    assert read(f'[project]\nname = "demo"\n{given}').version == version


def test_a_dynamic_version_is_not_known(read):
    assert read('[project]\nname = "demo"\ndynamic = ["version"]').version is None


@pytest.mark.parametrize(
    ("text", "is_package"),
    [
        ("", False),
        ('[project]\nname = "demo"\n', False),
        ('[build-system]\nrequires = ["hatchling"]\n', True),
        ("[build-system]\nrequires = []\n[tool.uv]\npackage = false\n", False),
        ("[tool.uv]\npackage = true\n", True),
    ],
)
def test_a_project_is_a_package_where_uv_says_so(read, text, is_package):
    assert read(text).is_package is is_package


def test_the_runtime_is_the_chosen_one(read):
    project = read('[project]\nrequires-python = ">=3.10"\n[tool.lambda-slim]\nruntime = "python3.12"\n')
    assert str(project.target) == "python3.12-x86_64"
    assert not project.runtime_was_guessed


def test_an_override_counts_as_chosen(read):
    project = read('[tool.lambda-slim]\nruntime = "python3.12"\n', runtime="python3.13", architecture="arm64")
    assert str(project.target) == "python3.13-arm64"


def test_without_a_choice_it_is_the_highest_that_is_allowed(read):
    project = read('[project]\nrequires-python = ">=3.10,<3.13"\n')
    assert project.target.runtime.name == "python3.12"
    assert project.runtime_was_guessed


def test_python_versions_that_lambda_has_not_are_refused(read):
    project = read('[project]\nrequires-python = ">=3.99"\n')
    assert "project.requires-python: no Lambda runtime has a Python that fits >=3.99" in refusal(lambda: project.target)


TABLES = """
[project]
dependencies = ["a>=1", "b ; sys_platform == 'win32'"]
[project.optional-dependencies]
Fast_Path = ["c"]
[dependency-groups]
My_Ops = ["d", {include-group = "base"}]
base = ["e"]
"""


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ("", ["a", "b"]),
        ('extras = ["fast-path"]', ["a", "b", "c"]),
        ('groups = ["my-ops"]', ["a", "b", "d", "e"]),
        ('groups = ["unknown"]', ["a", "b"]),
    ],
)
def test_requirements_are_those_of_the_chosen_extras_and_groups(read, settings, names):
    project = read(f"{TABLES}\n[tool.lambda-slim]\n{settings}\n")
    assert [requirement.name for requirement in project.requirements()] == names


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('a = ["???"]', "Expected package name"),
        ('a = [{include-group = "a"}]', "Cyclic dependency group include"),
        ('a = [{include-group = "b"}]', "'b' not found"),
        ("a = [3]", "Invalid dependency group item: 3"),
        ("a = []\nA = []", "Duplicate"),
    ],
)
def test_a_broken_group_is_refused_in_words(read, table, problem):
    project = read(f'[dependency-groups]\n{table}\n[tool.lambda-slim]\ngroups = ["a"]\n')
    message = refusal(project.requirements)
    assert message.startswith("dependency-groups: ")
    assert problem in message


def test_a_broken_requirement_is_refused(read):
    assert "project.dependencies: " in refusal(read('[project]\ndependencies = ["a b c"]').requirements)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("project = 3", "project: expected table, got integer"),
        ("tool = []", "tool: expected table, got array"),
        ('tool.uv = "x"', "tool.uv: expected table, got string"),
        ('tool.uv.package = "false"', "tool.uv.package: expected boolean, got string"),
        ("tool.lambda-slim = 1", "tool.lambda-slim: expected table, got integer"),
        ("project.name = 3", "project.name: expected string, got integer"),
        ("project.version = 1.0", "project.version: expected string, got float"),
        ("project.requires-python = 3.13", "project.requires-python: expected string, got float"),
        ('project.dependencies = "requests"', "project.dependencies: expected array, got string"),
        ("project.dependencies = [1]", "project.dependencies: expected string, got integer, at [0]"),
        ('project.optional-dependencies = ["a"]', "project.optional-dependencies: expected table, got array"),
        (
            'project.optional-dependencies.a = "b"',
            "project.optional-dependencies: expected array, got string, at [...]",
        ),
        ("dependency-groups = []", "dependency-groups: expected table, got array"),
        ('dependency-groups.a = "b"', "dependency-groups: expected array, got string, at [...]"),
        ('project.name = "../evil"', "project.name: '../evil' is not a name for a distribution"),
        ('project.name = ""', "project.name: '' is not a name for a distribution"),
        ('project.version = "1/../../2"', "project.version: '1/../../2' is not a version (PEP 440)"),
        ('project.requires-python = "three"', "project.requires-python: 'three' is not a version specifier"),
    ],
)
def test_a_broken_table_is_refused_with_its_path(read, text, line):
    assert refusal(read, text).startswith(line)


def test_every_broken_table_is_reported_at_once(read):
    message = refusal(read, '[project]\nname = 1\nversion = "x"\nrequires-python = ["3.13"]\n')
    assert [line.split(":")[0] for line in message.splitlines()] == [
        "project.name",
        "project.version",
        "project.requires-python",
    ]


@pytest.mark.parametrize("content", [b"not toml", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_what_is_no_toml_is_refused_with_its_place(tmp_path, content):
    (tmp_path / "pyproject.toml").write_bytes(content)
    assert refusal(Project.read, tmp_path).startswith(f"{tmp_path / 'pyproject.toml'}: ")


def test_a_pyproject_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").mkdir()
    assert str(tmp_path / "pyproject.toml") in refusal(Project.read, tmp_path)
