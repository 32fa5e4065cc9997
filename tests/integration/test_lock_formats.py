"""Each lock format, as the tool that it belongs to writes it now, becomes a package."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import zipfile

import pytest

from hatch_lambda.core.uv import Uv

pytestmark = [pytest.mark.registry, pytest.mark.long]

TOOLS = {
    "poetry": "poetry==2.5.1",
    "pipenv": "pipenv==2026.10.3",
    "pdm": "pdm[locked]==2.29.3",
    "pip": "pip==26.3",
}
"""Pinned, so that a release of one of them is no reason to fail here."""

HEAD = """
[project]
name = "demo"
version = "1"
requires-python = ">=3.10"
dependencies = ["jinja2>=3; python_version >= '3.12'", "colorama; sys_platform == 'win32'"]
"""
EXTRA = '[project.optional-dependencies]\nfast = ["six"]\n'
GROUPS = '[dependency-groups]\nops = ["iniconfig"]\ndev = ["pluggy"]\n'
SETTINGS = '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'
MAIN = {"jinja2", "markupsafe"}


class Workbench:
    """A project, the tools, and what became of them."""

    def __init__(self, folder, shell, python):
        self.root = folder
        self.shell = shell
        self.python = python
        shared = folder.parent / "home"
        self.environment = {
            "HATCH_LAMBDA_CACHE_DIR": str(folder / "cache"),
            "PIPENV_IGNORE_VIRTUALENVS": "1",
            "WORKON_HOME": str(shared / "venvs"),
            "PDM_IGNORE_ACTIVE_VENV": "1",
            "PDM_CHECK_UPDATE": "false",
            "POETRY_VIRTUALENVS_PATH": str(shared / "poetry"),
            "VIRTUAL_ENV": "",
            "PYENV_VERSION": Uv.find(os.environ).environment.get("PYENV_VERSION", ""),
        }

    def write(self, text, name="pyproject.toml"):
        (self.root / name).write_text(text, encoding="utf-8")
        (self.root / "app.py").write_text("def handler(event, context):\n    return event\n", encoding="utf-8")

    def tool(self, name, *arguments):
        """Run a tool of the field under the interpreter of the target."""
        command = ("tool", "run", "--quiet", "--python", self.python, "--from", TOOLS[name], name, *arguments)
        return self.shell.uv(*command, cwd=self.root, **self.environment)

    def build(self, *options, check=True):
        return self.shell.hatch_lambda("build", "--json", *options, cwd=self.root, check=check, **self.environment)

    def index(self):
        """Return the address of the index that uv asks."""
        told = self.shell.uv("pip", "compile", "--quiet", "--emit-index-url", os.devnull, cwd=self.root).stdout
        return re.search(r"^--index-url (\S+?)/?$", told, re.MULTILINE)[1]

    def packed(self, *options):
        """Return the import names of the dependencies in the package."""
        path = json.loads(self.build(*options).stdout)["zip"]
        with zipfile.ZipFile(path) as archive:
            names = {name.split("/")[0] for name in archive.namelist() if ".dist-info" in name}
        return {re.split(r"-\d", name)[0].lower() for name in names}

    def refused(self, *options):
        done = self.build(*options, check=False)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert not list(self.root.glob("dist/*"))
        return done.stderr


@pytest.fixture
def bench(shell, python313, tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    return Workbench(root, shell, python313)


def lock_poetry(bench):
    bench.write(
        f"{HEAD}{EXTRA}{SETTINGS}[tool.poetry]\npackage-mode = false\n"
        '[tool.poetry.group.ops.dependencies]\niniconfig = "*"\n[tool.poetry.group.dev.dependencies]\npluggy = "*"\n'
        f'[[tool.poetry.source]]\nname = "simple"\nurl = "{bench.index()}/"\npriority = "primary"\n'
    )
    bench.tool("poetry", "lock", "--no-interaction")


def lock_pdm(bench):
    bench.write(HEAD + EXTRA + GROUPS + SETTINGS)
    bench.tool("pdm", "lock", "--quiet", "--group", ":all")


def lock_pipenv(bench):
    bench.write(f"{SETTINGS}", "pyproject.toml")
    bench.write(
        f'[[source]]\nurl = "{bench.index()}"\nverify_ssl = true\nname = "pypi"\n'
        '[packages]\njinja2 = {version = ">=3", markers = "python_version >= \'3.12\'"}\n'
        'colorama = {version = "*", markers = "sys_platform == \'win32\'"}\n'
        '[dev-packages]\npluggy = "*"\n[ops]\niniconfig = "*"\n[fast]\nsix = "*"\n',
        "Pipfile",
    )
    bench.tool("pipenv", "lock", "--python", bench.python)


FOREIGN = {"poetry.lock": lock_poetry, "pdm.lock": lock_pdm, "Pipfile.lock": lock_pipenv}
"""A run without the slow tests asks of each what it is for; what else can be wrong with it waits for a whole run."""
GRAPHS = ("poetry.lock", "pdm.lock")


@pytest.fixture(scope="module")
def locked(shell, python313, tmp_path_factory):
    """Give a project that a tool has locked; each tool locks once, and every test has a copy."""
    made = {}

    def lock(file, bench):
        if file not in made:
            root = tmp_path_factory.mktemp("locked") / "project"
            root.mkdir()
            FOREIGN[file](Workbench(root, shell, python313))
            assert (root / file).is_file()
            made[file] = root
        for path in made[file].iterdir():
            if path.is_file():
                shutil.copy(path, bench.root)
        return bench

    return lock


@pytest.mark.parametrize("file", FOREIGN)
def test_what_a_lock_has_for_the_target_comes_and_groups_and_extras_when_chosen(bench, locked, file):
    """By the same names of settings for every format; development dependencies and other systems' never."""
    locked(file, bench)
    pipenv = file == "Pipfile.lock"  # it knows no extras, but categories
    assert bench.packed() == MAIN
    assert bench.packed("-C", f'{"groups" if pipenv else "extras"}=["fast"]') == {*MAIN, "six"}
    assert bench.packed("-C", 'groups=["ops"]') == {*MAIN, "iniconfig"}
    without = 'without-groups=["dev", "fast"]' if pipenv else 'without-groups=["dev"]'
    assert bench.packed("-C", 'groups=["*"]', "-C", without) == {*MAIN, "iniconfig"}
    assert bench.packed("-C", 'only-groups=["ops"]') == {"iniconfig"}


@pytest.mark.slow
@pytest.mark.parametrize("file", FOREIGN)
def test_a_lock_that_its_project_has_outgrown_is_refused_without_its_tool(bench, locked, file):
    """Each carries a stamp of what it was made from; the hint names the command that makes it anew."""
    locked(file, bench)
    source = bench.root / ("Pipfile" if file == "Pipfile.lock" else "pyproject.toml")
    source.write_text(source.read_text().replace("jinja2", "attrs"), encoding="utf-8")
    message = bench.refused()
    assert f"{file}: the project has changed since it was locked" in message
    assert f"{file.removesuffix('.lock').lower().replace('pipfile', 'pipenv')} lock`" in message


@pytest.mark.slow
@pytest.mark.parametrize("file", FOREIGN)
def test_a_file_that_the_lock_does_not_list_is_never_taken(bench, locked, file):
    """The index may have others of the same version; these were not vetted."""
    locked(file, bench)
    path = bench.root / file
    path.write_text(re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", path.read_text()), encoding="utf-8")
    if file == "pdm.lock":  # its stamp has the same form
        original = re.search(r'content_hash = "(.*)"', (locked(file, bench).root / file).read_text())[1]
        text = re.sub(r"sha256:[0-9a-f]{4}", "sha256:0000", path.read_text())
        path.write_text(re.sub(r'content_hash = ".*"', f'content_hash = "{original}"', text), encoding="utf-8")
    assert "no file that uv finds has a hash that is listed for" in bench.refused()


@pytest.mark.parametrize("file", [pytest.param(name, marks=pytest.mark.slow) for name in GRAPHS] + ["uv.lock"])
def test_what_only_an_excluded_distribution_needed_goes_with_it(bench, locked, file):
    """By the graph of the lock; ``keep-dependencies`` takes the word literally."""
    if file == "uv.lock":
        bench.write(HEAD + SETTINGS)
        bench.shell.uv("lock", "--quiet", cwd=bench.root)
    else:
        locked(file, bench)
    assert bench.packed("-C", 'exclude-packages=["Jinja2"]') == set()
    assert bench.packed("-C", 'exclude-packages=["Jinja2"]', "-C", "keep-dependencies=true") == {"markupsafe"}
    assert bench.packed("-C", 'exclude-packages=["markupsafe"]') == {"jinja2"}


@pytest.mark.slow
def test_a_pipfile_need_not_name_an_index(bench):
    """Pipenv takes its own, and marks the lock as if the file had named it. Pip's configuration may add others."""
    bench.environment["PIP_CONFIG_FILE"] = os.devnull
    bench.write(SETTINGS)
    bench.write('[packages]\niniconfig = "*"\n', "Pipfile")
    bench.tool("pipenv", "lock", "--python", bench.python)
    assert bench.packed() == {"iniconfig"}
    shutil.rmtree(bench.root / "dist")
    bench.write('[packages]\niniconfig = ">=2"\n', "Pipfile")
    assert "the project has changed since it was locked" in bench.refused()


@pytest.mark.slow
def test_a_lock_that_tells_no_graph_says_so(bench, locked):
    """Nothing is guessed."""
    locked("Pipfile.lock", bench)
    assert "does not tell what depends on what" in bench.refused("-C", 'exclude-packages=["jinja2"]')
    assert bench.packed("-C", 'exclude-packages=["jinja2"]', "-C", "keep-dependencies=true") == {"markupsafe"}


def test_what_the_runtime_brings_can_be_left_to_it_with_a_warning(bench):
    """What boto3 alone needed goes as well; the rest stays."""
    bench.write(HEAD.replace('"colorama;', '"boto3", "colorama;') + SETTINGS)
    bench.shell.uv("lock", "--quiet", cwd=bench.root)
    assert bench.packed("-C", "exclude-runtime-packages=true") == MAIN
    findings = json.loads(bench.build("-C", "exclude-runtime-packages=true").stdout)["findings"]
    (told,) = [entry["message"] for entry in findings if entry["code"] == "HL061"]
    assert re.match(
        r"what python3\.\d+ brings is left out \(boto3, botocore, .*its versions are not those of the lock", told
    )


def test_a_pylock_of_pip_is_read(bench):
    """It is for the machine that made it, so the target has to be like it."""
    bench.write(SETTINGS)
    bench.write("jinja2>=3\n", "requirements.in")
    bench.tool("pip", "lock", "--quiet", "--requirement", "requirements.in", "--output", "pylock.toml")
    assert bench.packed("-C", "architecture=" + ("arm64" if platform.machine() == "aarch64" else "x86_64")) == MAIN


@pytest.mark.slow
def test_a_pylock_of_pdm_is_read_with_its_groups(bench, locked):
    """It marks every distribution with the groups that it is for."""
    locked("pdm.lock", bench)
    bench.tool("pdm", "export", "--format", "pylock", "--output", "pylock.toml")
    (bench.root / "pdm.lock").unlink()
    assert bench.packed() == MAIN
    assert bench.packed("-C", 'groups=["ops"]') == {*MAIN, "iniconfig"}
    assert bench.packed("-C", 'only-groups=["ops"]') == {"iniconfig"}


def test_requirements_may_be_nested_and_constrained_and_called_otherwise(bench):
    """As pip reads them; without hashes only where the settings say so, and with a warning."""
    bench.write(SETTINGS)
    (bench.root / "deploy").mkdir()
    bench.write("six==1.17.0\n", "deploy/base.txt")
    bench.write("six<2\n", "deploy/limits.txt")
    bench.write("-r base.txt\n-c limits.txt\niniconfig==2.1.0\n", "deploy/lambda.txt")
    assert "six==1.17.0: has no --hash" in bench.refused("--lock", "deploy/lambda.txt")
    options = ("--lock", "deploy/lambda.txt", "-C", "require-hashes=false")
    assert bench.packed(*options) == {"six", "iniconfig"}
    findings = json.loads(bench.build(*options).stdout)["findings"]
    assert "HL060" in [entry["code"] for entry in findings]
    shutil.rmtree(bench.root / "dist")
    bench.write("six<1\n", "deploy/limits.txt")
    assert "uv cannot find what it pins" in bench.refused(*options)
