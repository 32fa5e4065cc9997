"""Many functions of one project: each with what the project says and what it says itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hatch_lambda import api
from hatch_lambda.config.functions import functions_of, one_of
from hatch_lambda.config.project import Project
from hatch_lambda.errors import ConfigurationError, HatchLambdaError
from tests.support.packages import call, contents, names
from tests.support.shell import unpack
from tests.support.wheels import make_wheel, pylock

HANDLER = "def handler(event, context):\n    return {}\n"
PYPROJECT = """
[project]
name = "Some.Service"
version = "1.0"

[tool.lambda-slim]
runtime = "python3.13"
handler = "common.handler"
patterns = ["**/*.md"]
include = ["shared/**"]
bytecode = "none"

[tool.lambda-slim.functions.plain]

[tool.lambda-slim.functions.thumbnail]
module = "functions/thumbnail"
handler = "app.handler"

[tool.lambda-slim.functions.nothing]
module = "functions/nothing"
handler = "app.handler"
include = []
architecture = "arm64"
patterns = ["!**/KEEP.md"]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a project with three functions: one of its own files, one with its own lock, one with none."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    first = make_wheel(
        tmp_path, "first", {"first.py": "NAME = 'first'\n", "first_data/KEEP.md": "", "first_data/a": ""}
    )
    second = make_wheel(tmp_path, "second")
    root = tmp_path / "service"
    files = {
        "pyproject.toml": PYPROJECT,
        "pylock.toml": pylock(first),
        "common.py": "import first\n" + HANDLER.format("first.NAME"),
        "shared/table.txt": "shared",
        "functions/thumbnail/app.py": "import second, helper\n" + HANDLER.format("[second.NAME, helper.X]"),
        "functions/thumbnail/helper.py": "X = 1\n",
        "functions/thumbnail/fonts/one.ttf": "font",
        "functions/thumbnail/pylock.toml": pylock(second),
        "functions/thumbnail/tests/test_app.py": "",
        "functions/nothing/app.py": HANDLER.format("'nothing'"),
        "functions/nothing/pylock.toml": pylock(),
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def build_all(project, **options):
    outcomes = dict(api.build_all([project], **options))
    assert [outcome for outcome in outcomes.values() if isinstance(outcome, HatchLambdaError)] == []
    return {label.rpartition(":")[2]: outcome for label, outcome in outcomes.items()}


def test_each_function_gets_its_own_package_and_runs(project, tmp_path):
    made = build_all(project)
    assert {name: package.path.name for name, package in made.items()} == {
        "plain": "some_service-1.0-plain-python3.13-x86_64.zip",
        "thumbnail": "some_service-1.0-thumbnail-python3.13-x86_64.zip",
        "nothing": "some_service-1.0-nothing-python3.13-arm64.zip",
    }
    assert {name: package.function for name, package in made.items()} == {name: name for name in made}
    inside = {name: {path for path in names(package.path) if "dist-info" not in path} for name, package in made.items()}
    assert inside["plain"] == {"common.py", "shared/table.txt", "first.py", "first_data/a"}
    assert inside["thumbnail"] == {"app.py", "helper.py", "fonts/one.ttf", "shared/table.txt", "second.py"}
    assert inside["nothing"] == {"app.py", "shared/table.txt"}
    task = {name: unpack(package.path, tmp_path / "tasks" / name) for name, package in made.items()}
    assert call(task["plain"], handler="common.handler") == "first"
    assert call(task["thumbnail"]) == ["second", 1]
    assert call(task["nothing"]) == "nothing"


def test_each_function_gets_its_own_report(project):
    """In a folder of its name; a report that cannot be written is that function's error."""
    (project / "made").mkdir()
    (project / "made" / "plain").write_text("a file")
    command = [sys.executable, "-m", "hatch_lambda", "build", "--report", "made", "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    (error,) = told["errors"]
    assert done.returncode == error["exit_code"] != 0
    assert (error["project"], "made/plain" in error["error"]) == (".:plain", True)
    digests = {one["function"]: one["sha256"] for one in told["packages"]}
    assert set(digests) == {"thumbnail", "nothing"}
    for name in ("thumbnail", "nothing"):
        report = json.loads((project / "made" / name / "report.json").read_text())
        assert report["package"]["sha256"] == digests[name]
        assert (project / "made" / name / "report.html").exists()


def test_one_function_is_chosen_by_its_name(project):
    made = build_all(project, functions=["thumbnail", "nothing"])
    assert sorted(made) == ["nothing", "thumbnail"]
    alone = api.build(project, function="plain")
    assert alone.path.name == "some_service-1.0-plain-python3.13-x86_64.zip"
    assert len(list((project / "dist").iterdir())) == 3


def test_every_way_to_build_a_function_makes_the_same_bytes(project):
    together = {name: package.path.read_bytes() for name, package in build_all(project).items()}
    alone = {name: api.build(project, function=name, no_cache=True).path.read_bytes() for name in together}
    assert alone == together
    assert {name: package.path.read_bytes() for name, package in build_all(project, jobs=1).items()} == together


def test_lists_of_patterns_come_after_the_projects_and_all_else_takes_its_place(project):
    """So a function has the last word, as one of gitignore's files has deeper in the tree."""
    nothing, plain = (one_of(Project.read(project), name).settings for name in ("nothing", "plain"))
    assert nothing.slim.patterns == ("**/*.md", "!**/KEEP.md")
    assert nothing.project.include == ("shared/**",)
    assert (nothing.project.handler, nothing.target.architecture.value) == ("app.handler", "arm64")
    assert (plain.project.handler, plain.target.architecture.value) == ("common.handler", "x86_64")
    assert plain.slim.patterns == ("**/*.md",)
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT + '\n[tool.lambda-slim.layer]\nname = "base"\nsplit = 2\n')
    pyproject.write_text(pyproject.read_text() + "[tool.lambda-slim.functions.plain.layer]\nsplit = 3\n")
    layer = one_of(Project.read(project), "plain").settings.output.layer
    assert (layer.name, layer.split) == ("base", 3)


def test_what_is_given_for_a_run_is_so_for_every_function(project):
    assert {
        one.settings.output.compression for one in functions_of(Project.read(project, {"compression": "fast"}))
    } == {"fast"}
    with pytest.raises(ConfigurationError, match="option `handler`: it cannot be the same for 3 functions"):
        functions_of(Project.read(project, {"handler": "x.y"}))
    assert one_of(Project.read(project, {"handler": "x.y"}), "plain").settings.project.handler == "x.y"


WRONG = {
    "[tool.lambda-slim.functions.a]\nhandlr = 'x.y'": (
        "tool.lambda-slim.functions.a.handlr: there is no such key; did you mean 'handler'?"
    ),
    "[tool.lambda-slim.functions.a]\nruntime = 'python2'": (
        "tool.lambda-slim.functions.a.runtime: 'python2' is not a Lambda runtime for Python"
    ),
    "[tool.lambda-slim.functions.a]\ncache-dir = 'x'": (
        "tool.lambda-slim.functions.a.cache-dir: it is the whole project's"
    ),
    "[tool.lambda-slim.functions.a.layer]\nsplits = 3": (
        "tool.lambda-slim.functions.a.layer.splits: there is no such key; did you mean 'split'?"
    ),
    "[tool.lambda-slim.functions.'a b']": "tool.lambda-slim.functions: expected string matching regex",
}


@pytest.mark.parametrize("table", WRONG)
def test_what_is_wrong_is_told_with_its_whole_path(table, tmp_path):
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(ConfigurationError) as caught:
        Project.read(tmp_path)
    assert caught.value.message.startswith(WRONG[table])


def test_names_that_are_none_are_told_with_what_was_probably_meant(project):
    with pytest.raises(ConfigurationError, match="no function 'thumbnails'; did you mean 'thumbnail'") as caught:
        api.build(project, function="thumbnails")
    assert caught.value.hint == "it has plain, thumbnail, nothing"
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("functions/thumbnail", "functions/thumbnial"))
    with pytest.raises(
        ConfigurationError, match=r"functions\.thumbnail\.module: there is no folder .* mean 'thumbnail'"
    ):
        api.build(project, function="thumbnail")


def test_one_package_of_several_has_to_be_chosen_where_one_is_asked_for(project):
    with pytest.raises(ConfigurationError, match="several functions: plain, thumbnail, nothing"):
        api.build(project)
    with pytest.raises(ConfigurationError, match="several functions"):
        api.explain(project, ".")
    _, decisions = api.explain(project, ".", function="thumbnail")
    assert "second.py" in {decision.file.path for decision in decisions}


def test_a_function_that_fails_lets_the_others_be(project):
    (project / "functions" / "nothing" / "app.py").unlink()
    outcomes = {label.rpartition(":")[2]: outcome for label, outcome in api.build_all([project])}
    assert isinstance(outcomes["nothing"], HatchLambdaError)
    assert outcomes["plain"].path.is_file()
    assert outcomes["thumbnail"].path.is_file()


def test_what_functions_share_is_made_once(project, tmp_path):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT + "".join(f"[tool.lambda-slim.functions.f{number}]\n" for number in range(5)))
    made = build_all(project)
    parts = list((tmp_path / "cache").glob("v1/parts/*/*"))
    assert len({package.content_sha256 for name, package in made.items() if name[0] in "fp"}) == 1
    assert len(parts) == 3
    assert sum(not made[name].from_cache for name in ("plain", "f0", "f1", "f2", "f3", "f4")) == 1


def test_every_function_may_have_its_own_shape(project, tmp_path):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("[tool.lambda-slim.functions.plain]",
                                           '[tool.lambda-slim.functions.plain]\nshape = "layer"'))  # fmt: skip
    made = build_all(project)
    assert [other.path.name for other in made["plain"].others] == [
        "some_service-1.0-plain-python3.13-x86_64-layer.zip",
        "some_service-1.0-plain-python3.13-x86_64-layer.json",
    ]
    assert made["thumbnail"].others == ()
    assert {path.name for path in api.clean(project)} > {"some_service-1.0-plain-python3.13-x86_64-layer.json"}
    assert list((project / "dist").iterdir()) == []


def test_a_member_of_a_workspace_is_a_function(project, tmp_path):
    """It is built as the project that it is, with the settings of the one that names it where it has none."""
    third = make_wheel(tmp_path, "third")
    member = project / "packages" / "member"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text('[project]\nname = "member"\nversion = "3"\n'
                                           '[tool.lambda-slim]\nhandler = "entry.handler"\n')  # fmt: skip
    (member / "pylock.toml").write_text(pylock(third))
    (member / "entry.py").write_text("import third\n" + HANDLER.format("third.NAME"))
    pyproject = project / "pyproject.toml"
    of_the_project = 'layers = ["missing.zip"]\nvendor = ["./missing"]\nwithout-groups = ["missing"]\n'
    table = PYPROJECT.replace("[tool.lambda-slim]\n", "[tool.lambda-slim]\n" + of_the_project)
    pyproject.write_text(table + '[tool.lambda-slim.functions.worker]\nmodule = "packages/member"\n')
    made = api.build(project, function="worker")
    assert made.path == project / "dist" / "some_service-3-worker-python3.13-x86_64.zip"
    assert call(unpack(made.path, tmp_path / "task"), handler=made.handler) == "third"
    assert {path for path in names(made.path) if "dist-info" not in path} == {"entry.py", "third.py"}


def test_a_module_needs_no_functions(project, tmp_path):
    pyproject = project / "pyproject.toml"
    pyproject.write_text('[tool.lambda-slim]\nruntime = "python3.13"\nmodule = "functions/thumbnail"\n')
    made = api.build(project)
    assert made.path.name == "service-python3.13-x86_64.zip"
    assert call(unpack(made.path, tmp_path / "task")) == ["second", 1]


def test_a_directory_of_each_function(project, tmp_path):
    made = build_all(project, shape="directory")
    zips = build_all(project)
    for name, package in made.items():
        assert contents(package.path) == contents(unpack(zips[name].path, tmp_path / name))


def command(project, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "hatch_lambda", *arguments], cwd=project, capture_output=True, text=True, check=False
    )


def test_the_command_builds_all_or_those_that_are_named(project):
    done = command(project, "build")
    assert (done.returncode, len(list((project / "dist").glob("*.zip")))) == (0, 3)
    documents = json.loads(command(project, "build", "--json").stdout)["packages"]
    assert [(document["project"], document["function"]) for document in documents] == [
        *((f".:{name}", name) for name in ("plain", "thumbnail", "nothing"))
    ]
    done = command(project, "build", "--function", "plain", "--as", "layer", "--json")
    single = json.loads(done.stdout or done.stderr)
    assert (single["project"], single["shape"], single["function"]) == (".:plain", "layer", "plain")
    assert len(single["others"]) == 2
    done = command(project, "build", "--function", "plan")
    assert (done.returncode, "did you mean 'plain'?" in done.stderr) == (3, True)
    assert "removed" in command(project, "clean").stdout
    assert not list((project / "dist").iterdir())
    assert "first.py" in command(project, "explain", ".", "--function", "plain").stdout
