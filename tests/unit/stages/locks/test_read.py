"""Which lock file is taken."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from hatch_lambda.config.project import Project, table_at
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.stages.locks import formats
from hatch_lambda.stages.locks import read as reading
from hatch_lambda.stages.locks.formats import KnownFormat
from hatch_lambda.stages.locks.lock import RESOLVED_NAME, Declared, Lock
from hatch_lambda.stages.locks.pylock import parse
from hatch_lambda.stages.locks.read import discover, format_of, lock_owner
from hatch_lambda.stages.locks.workspace import workspace_root
from tests.unit import test_readme

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


def test_a_pipfile_with_packages_and_no_lock_is_never_taken_for_a_project_without_dependencies(bench, tmp_path):
    from hatch_lambda.stages.locks.read import read

    project = bench.project("")
    touch(bench.root, "Pipfile", text='[packages]\na = "*"\n')
    with pytest.raises(LockError, match="there is no lock file for the Pipfile") as caught:
        read(project, bench.terms(), NO_UV, tmp_path)
    assert caught.value.hint == "run `pipenv lock`"
    touch(bench.root, "Pipfile", text='[dev-packages]\na = "*"\n')
    assert read(project, bench.terms(), NO_UV, tmp_path).pylock.packages == []


@pytest.mark.parametrize("name", ["pylock.toml", "pylock.prod.toml", "requirements.txt"])
def test_a_folder_of_a_function_has_whatever_lock_needs_no_pyproject_beside_it(bench, name):
    """By each name that the project's own may have; the project's extras are none of its."""
    project = replace(bench.project(), folder=bench.root / "fetch")
    touch(bench.root, f"fetch/{name}")
    owner = lock_owner(project)
    assert owner.root == bench.root / "fetch"
    assert discover(owner, bench.terms()).path.name == name


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "deploy.txt", "pylock.a.b.toml", RESOLVED_NAME])
def test_what_else_is_in_a_folder_of_a_function_is_no_lock_of_its_own(bench, name):
    project = replace(bench.project(), folder=bench.root / "fetch")
    touch(bench.root, f"fetch/{name}")
    assert lock_owner(project) is project


class Toy:
    """A format that nobody has: a name and a version in each line."""

    MAKER = "`toy lock`"
    ROW = ("toy", "no", "directly")

    def declared(self, project):
        table = table_at(project.pyproject, "tool.toy")
        return Declared(extras=frozenset(table.get("extras", ())), exempt=frozenset(table.get("overrides", ())))

    def unlocked(self, project):
        return "[tool.toy.needs]" if table_at(project.pyproject, "tool.toy.needs") else None

    def read(self, request):
        entries = "".join(entry(*line.split()) for line in request.document.text().splitlines())
        return Lock(
            path=request.path,
            pylock=parse(f'lock-version = "1.0"\ncreated-by = "toy"\n{entries}', request.shown),
            findings=(),
            stands_alone=True,
            asks_an_index=False,
            maker=request.maker,
        )


def entry(name, version):
    wheel = f'url = "https://example.invalid/{name}-{version}-py3-none-any.whl", hashes = {{ sha256 = "{"a" * 64}" }}'
    return f'[[packages]]\nname = "{name}"\nversion = "{version}"\nwheels = [{{ {wheel} }}]\n'


@pytest.fixture
def toy(monkeypatch):
    known = KnownFormat(names=("toy.lock", "*.toy"), needs_project=False, load=Toy)
    everything = (*formats.FORMATS, known)
    monkeypatch.setattr(formats, "FORMATS", everything)
    monkeypatch.setattr(reading, "FORMATS", everything)


TOY = '[project]\nname = "demo"\nversion = "1"\ndependencies = ["a>=2", "b"]\n'


def test_an_entry_of_formats_is_all_that_a_new_format_needs(bench, tmp_path, toy):
    """Discovery, hints, the owner, extras, the comparison with the project and README's table follow from it."""
    project = bench.project(TOY + '[tool.toy]\nextras = ["fast"]\n')
    touch(bench.root, "toy.lock", text="a 2\nb 1\n")
    assert discover(project, bench.terms()).path.name == "toy.lock"
    lock = reading.read(project, bench.terms(extras=("Fast",)), NO_UV, tmp_path)
    assert [str(locked.name) for locked in bench.select(lock, project)] == ["a", "b"]
    with pytest.raises(ConfigurationError, match="no extra 'fst'; did you mean 'fast'"):
        reading.read(project, bench.terms(extras=("fst",)), NO_UV, tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        format_of(bench.root / "gone.lok")
    assert caught.value.hint.endswith("requirements.txt, NAME.txt, toy.lock, NAME.toy")
    touch(bench.root, "toy.lock", text="a 1\nb 1\n")
    stale = reading.read(project, bench.terms(), NO_UV, tmp_path)
    with pytest.raises(LockError, match="a>=2 is required, and a 1 is locked") as caught:
        bench.select(stale, project)
    assert caught.value.hint == "run `toy lock`"
    assert bench.select(stale, bench.project(TOY + '[tool.toy]\noverrides = ["a"]\n'))
    touch(bench.root, "fetch/a.toy")
    assert lock_owner(replace(project, folder=bench.root / "fetch")).root == bench.root / "fetch"
    assert test_readme.locks_table()[-1] == "| `toy.lock`, `NAME.toy` | toy | no | directly |"


def test_a_new_format_tells_what_only_its_lock_would_know(bench, tmp_path, toy):
    project = bench.project('[tool.toy.needs]\na = "1"\n')
    with pytest.raises(LockError, match=r"no lock file for \[tool.toy.needs\]") as caught:
        reading.read(project, bench.terms(), NO_UV, tmp_path)
    assert caught.value.hint == "run `toy lock`"
