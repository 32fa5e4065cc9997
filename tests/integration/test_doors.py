"""The doors: whichever one a user opens, the same bytes come out."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.support.shell import run_handler, unpack
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.registry

PYPROJECT = """
[build-system]
requires = ["hatchling", "hatch-lambda"]
build-backend = "{backend}"

[project]
name = "Some.Service"
version = "1.2"
requires-python = ">=3.10"
dependencies = ["orjson", "idna"]

[project.scripts]
serve = "some_service.app:main"

[dependency-groups]
dev = ["six"]

[tool.hatch.build.targets.wheel]
packages = ["src/some_service"]

[tool.hatch.build.targets.lambda]

[tool.lambda-slim]
runtime = "python3.13"
handler = "some_service.app.handler"
include = ["templates/**"]
"""
HOOK = "[tool.hatch.build.hooks.lambda]\n"
APP = """
import importlib.metadata
from pathlib import Path

import orjson


def handler(event, context):
    template = Path(__file__).parents[1] / "templates" / "größe.txt"
    return [orjson.dumps(event).decode(), importlib.metadata.version("some-service"), template.read_text()]
"""
NAME = "some_service-1.2-python3.13-x86_64.zip"


def make_project(folder: Path, *, backend: str = "hatchling.build", hook: bool = True) -> Path:
    """Write a service in a ``src`` layout, with a file that only the package is to have."""
    package = folder / "src" / "some_service"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(backend=backend) + (HOOK if hook else ""))
    (package / "__init__.py").touch()
    (package / "app.py").write_text(APP)
    (package / "data file.json").write_text("{}")
    (folder / "templates").mkdir()
    (folder / "templates" / "größe.txt").write_text("hello")
    (folder / ".gitignore").write_text("uv.lock\ndist/\n")
    return folder


@pytest.fixture(scope="session")
def service(shell, python313, tmp_path_factory):
    """Give a locked service, built by our own command: what every other door has to reach."""
    folder = make_project(tmp_path_factory.mktemp("service") / "a service")
    shell.uv("lock", "--quiet", cwd=folder)
    shell.hatch_lambda("build", "--quiet", cwd=folder)
    reference = folder / "reference.zip"
    (folder / "dist" / NAME).rename(reference)
    return folder


@pytest.fixture
def project(service, tmp_path):
    """Give a fresh copy of the service in another folder."""
    folder = tmp_path / "Dienst für alle"
    shutil.copytree(service, folder, ignore=shutil.ignore_patterns("dist", "reference.zip"))
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


DOORS = {
    "hatch build -t lambda": [sys.executable, "-m", "hatch", "build", "-t", "lambda"],
    "uv build": ["uv", "build"],
    "uv build --wheel": ["uv", "build", "--wheel"],
    "python -m build": [sys.executable, "-m", "build"],
    "hatch-lambda build": [sys.executable, "-m", "hatch_lambda", "build"],
    "hatch_lambda.build": [sys.executable, "-c", "import hatch_lambda; hatch_lambda.build('.')"],
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_makes_the_same_bytes(door, project, service, shell, tmp_path):
    """Also from another folder, another cache and another moment."""
    command = DOORS[door]
    if command[0] == "uv":
        from tests.support.shell import uv_executable

        command = [uv_executable(), *command[1:]]
    shell.run(
        *command,
        cwd=project,
        HATCH_DATA_DIR=str(tmp_path / "hatch"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        UV_CACHE_DIR=shell.uv("cache", "dir", cwd=project).stdout.strip(),
    )

    assert digest(project / "dist" / NAME) == digest(service / "reference.zip")


def test_package_runs_with_its_metadata_and_its_included_files(service, python313, tmp_path):
    """The wheel, the dependencies and ``include`` are all in it; commands and development groups are not."""
    task = unpack(service / "reference.zip", tmp_path / "task")

    assert json.loads(run_handler(python313, task, "some_service.app.handler", '{"a": 1}')) == [
        '{"a":1}',
        "1.2",
        "hello",
    ]
    assert not (task / "bin").exists()
    assert not list(task.glob("six*"))
    assert not [path for path in task.rglob("*") if path.name in {"RECORD", "direct_url.json", ".lock"}]


def test_sdist_carries_the_resolved_lock_and_the_included_files(project, shell):
    """The wheel that ``uv build`` makes comes out of the sdist, so the sdist must have them."""
    shell.uv("build", "--sdist", cwd=project)

    (sdist,) = (project / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pylock.hatch-lambda.toml", "templates/größe.txt"} <= names
    assert not list((project / "dist").glob("*.zip"))


def test_vendored_and_placed_files_travel_in_the_sdist(project, shell):
    """A wheel, a folder, and files that go elsewhere: the package from the sdist is that from the project."""
    make_wheel(project / "libs", "lent", {"lent.py": "LENT = 1\n"})
    for name in ("vendored/own/__init__.py", "conf/prod.json", "pages/sub/a.html"):
        (project / name).parent.mkdir(parents=True)
        (project / name).write_text(name)
    pyproject = project / "pyproject.toml"
    placed = '{source = "conf/prod.json", target = "config.json"}, {source = "pages", target = "web"}'
    settings = f'vendor = ["libs/lent-1.0-py3-none-any.whl", "./vendored"]\ninclude = ["templates/**", {placed}]\n'
    pyproject.write_text(pyproject.read_text().replace('include = ["templates/**"]\n', settings))
    shell.hatch_lambda("build", "--quiet", cwd=project)
    package = project / "dist" / NAME
    with zipfile.ZipFile(package) as archive:
        wanted = {"lent.py", "own/__init__.py", "config.json", "web/sub/a.html", "templates/größe.txt"}
        assert wanted <= set(archive.namelist())
    reference = digest(package)
    package.unlink()

    done = shell.uv("build", "--verbose", cwd=project)
    assert "Building wheel from source distribution" in done.stderr
    assert digest(package) == reference


@pytest.mark.parametrize(
    "install",
    [
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", "installed", "."],
        ["uv", "pip", "install", "--no-deps", "--target", "installed", "."],
        ["uv", "pip", "install", "--no-cache", "--no-deps", "--target", "installed", "."],
        ["uv", "sync", "--no-editable"],
        ["uv", "sync"],
    ],
    ids=" ".join,
)
def test_installing_the_project_builds_no_package(install, project, shell):
    """It would be thrown away. Without a lock file a build would fail, so a success says that none was made."""
    from tests.support.shell import uv_executable

    command = [uv_executable() if part == "uv" else part for part in install]
    if "pip" in install[:3] and install[0] == sys.executable and not _has_pip():
        shell.uv("pip", "install", "--python", sys.executable, "pip", cwd=project)
    if "sync" not in install:
        (project / "uv.lock").unlink()
    before = set(project.rglob("*.zip"))
    shell.run(*command, cwd=project, UV_PROJECT_ENVIRONMENT=str(project / "environment"))

    assert set(project.rglob("*.zip")) == before


def _has_pip() -> bool:
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("hook", [False, True], ids=["without the hook", "with the hook"])
def test_backend_makes_the_same_bytes_once(hook, service, shell, tmp_path):
    """Its builds are hatchling's with our hook; where the project enables that too, it runs once."""
    project = make_project(tmp_path / "service", backend="hatch_lambda.backend", hook=hook)
    shutil.copy(service / "uv.lock", project)
    done = shell.uv("build", cwd=project)

    assert digest(project / "dist" / NAME) == digest(service / "reference.zip")
    assert (done.stdout + done.stderr).count(NAME) == 1


def test_backend_takes_settings_from_the_front_end(service, shell, tmp_path):
    """``-C lambda.KEY=VALUE`` replaces a setting for one build."""
    project = make_project(tmp_path / "service", backend="hatch_lambda.backend", hook=False)
    shutil.copy(service / "uv.lock", project)
    shell.uv(
        *(
            "build",
            "--wheel",
            "-C",
            "lambda.runtime=python3.12",
            "-C",
            "lambda.bytecode=none",
            "-C",
            "lambda.architecture=arm64",
        ),
        cwd=project,
    )

    assert [path.name for path in (project / "dist").glob("*.zip")] == ["some_service-1.2-python3.12-arm64.zip"]


def test_backend_refuses_a_wrong_setting_without_a_traceback(service, shell, tmp_path):
    """The message reaches the user through the front end."""
    project = make_project(tmp_path / "service", backend="hatch_lambda.backend", hook=False)
    shutil.copy(service / "uv.lock", project)
    done = shell.uv("build", "--wheel", "-C", "lambda.architecture=amd64", cwd=project, check=False)

    assert done.returncode != 0
    assert "'amd64' is not a Lambda architecture; did you mean 'x86_64'?" in done.stdout + done.stderr
    assert "hatch_lambda/" not in done.stdout + done.stderr


def test_hook_without_a_lock_fails_and_names_the_command(project, shell):
    """A build never writes into the project what the user should commit."""
    (project / "uv.lock").unlink()
    done = shell.uv("build", "--wheel", cwd=project, check=False)

    assert done.returncode != 0
    assert "uv lock" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "uv.lock").exists()


def test_disabled_hook_makes_no_package(project, shell):
    """``enabled = false`` switches it off, for the wheel and for the sdist."""
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("[tool.lambda-slim]", "[tool.lambda-slim]\nenabled = false"))
    (project / "uv.lock").unlink()
    shell.uv("build", cwd=project)

    assert not list((project / "dist").glob("*.zip"))


def test_clean_removes_only_what_was_made_here(project, shell, tmp_path):
    """By our own command and by Hatch's."""
    dist = project / "dist"
    for command in (
        [sys.executable, "-m", "hatch_lambda", "clean"],
        [sys.executable, "-m", "hatch", "build", "-t", "lambda", "--clean-only"],
    ):
        dist.mkdir(exist_ok=True)
        others = {dist / name for name in ("other.zip", "some_service-1.2.tar.gz", "other-1.2-python3.13-x86_64.zip")}
        made = {dist / NAME, dist / "some_service-1.1-python3.12-arm64.zip", dist / f".{NAME}.0123abcd.tmp"}
        for path in others | made:
            path.write_bytes(b"")
        shell.run(*command, cwd=project, HATCH_DATA_DIR=str(tmp_path / "hatch"))

        assert set(dist.iterdir()) == others
