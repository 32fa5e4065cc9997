"""Which lock file is taken."""

from __future__ import annotations

import pytest

from hatch_lambda.config.project import Project
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.stages.locks.read import discover, format_of, workspace_root

NO_UV = Uv(executable="uv-is-not-needed-here", environment={})
EMPTY = 'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n'


def touch(root, *names, text=""):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_uv_lock_goes_before_pylock_and_pylock_before_requirements(bench):
    project = bench.project()
    names = ["uv.lock", "pylock.toml", "requirements.txt"]
    touch(bench.root, *names)
    for taken in names:
        found = discover(project, bench.terms())
        assert found.path.name == taken
        assert [path.name for path in found.passed_over] == names[names.index(taken) + 1 :]
        found.path.unlink()
    assert discover(project, bench.terms()) is None


def test_what_was_passed_over_is_told(bench, tmp_path):
    from hatch_lambda.stages.locks.read import read

    project = bench.project()
    touch(bench.root, "pylock.toml", text=EMPTY)
    touch(bench.root, "requirements.txt")
    (finding,) = read(project, bench.terms(), NO_UV, tmp_path).findings
    assert finding.code == "HL011"
    assert "pylock.toml was taken, and not requirements.txt" in finding.message


def test_several_named_pylocks_need_a_choice(bench):
    from hatch_lambda.stages.locks.lock import RESOLVED_NAME

    project = bench.project()
    touch(bench.root, "pylock.a.toml", RESOLVED_NAME)
    assert discover(project, bench.terms()).path.name == "pylock.a.toml"
    touch(bench.root, "pylock.b.toml")
    with pytest.raises(LockError, match=r"several lock files: pylock\.a\.toml, pylock\.b\.toml") as caught:
        discover(project, bench.terms())
    assert 'lock = "pylock.a.toml"' in caught.value.hint


def test_the_settings_choose(bench):
    project = bench.project()
    touch(bench.root, "uv.lock", "deploy/lambda.txt")
    assert discover(project, bench.terms(file="deploy/lambda.txt")).path.name == "lambda.txt"
    with pytest.raises(ConfigurationError, match=r"tool.lambda-slim.lock: there is no file 'gone.lock'"):
        discover(project, bench.terms(file="gone.lock"))


def test_a_name_of_no_known_format_is_refused(bench):
    with pytest.raises(ConfigurationError, match=r"'uv.lok' is not .*did you mean 'uv.lock'"):
        format_of(bench.root / "uv.lok")


@pytest.mark.parametrize(
    ("workspace", "covered"),
    [
        ('members = ["packages/*"]', True),
        ('members = ["./packages/api"]', True),
        ('members = ["packages/*"]\nexclude = ["packages/api"]', False),
        ('members = ["apps/*"]', False),
        ("", False),
    ],
)
def test_a_member_is_covered_by_its_workspace(bench, workspace, covered):
    bench.project(f"[tool.uv.workspace]\n{workspace}\n")
    member = bench.root / "packages" / "api"
    touch(bench.root, "packages/api/pyproject.toml", text='[project]\nname = "api"\n')
    assert workspace_root(Project.read(member)) == (bench.root if covered else member)


@pytest.mark.parametrize("text", ["", '[project]\nname = "demo"\nversion = "1"\ndependencies = []\n'])
@pytest.mark.parametrize("changes", [{}, {"require_lock": True}, {"may_create": True}])
def test_a_project_without_dependencies_needs_no_lock(bench, tmp_path, text, changes):
    from hatch_lambda.stages.locks.read import read

    lock = read(bench.project(text), bench.terms(**changes), NO_UV, tmp_path)
    assert (list(lock.pylock.packages), lock.findings) == ([], ())
    assert not lock.path.exists()


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "demo"\nversion = "1"\ndependencies = ["a"]\n',
        '[project]\nname = "demo"\nversion = "1"\ndynamic = ["dependencies"]\n',
        '[tool.poetry.dependencies]\npython = "^3.13"\na = "1"\n',
    ],
)
def test_a_project_with_dependencies_and_no_lock_is_never_taken_for_one_without(bench, tmp_path, text):
    from hatch_lambda.stages.locks.read import read

    with pytest.raises(LockError, match="there is no lock file"):
        read(bench.project(text), bench.terms(), NO_UV, tmp_path)
