"""The commands: what they print, where they write, and which projects they take."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.packages import names
from tests.support.shell import Shell
from tests.support.wheels import make_project, make_wheel, pylock

BACKEND = """
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from wheels import make_wheel


def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {"service/__init__.py": "", "service/app.py": "def handler(event, context): return event\\n"}
    return make_wheel(pathlib.Path(folder), "service", files, version="3.2.1").name
"""
BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.fixture
def offline(tmp_path) -> Shell:
    """Give a shell without a network, with caches of its own."""
    variables = {
        "UV_OFFLINE": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "UV_CACHE_DIR": str(tmp_path / "uv cache"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return Shell({name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"} | variables)


@pytest.fixture
def library(tmp_path):
    """Make a distribution with something to remove."""
    files = {"library/__init__.py": "", "library/__init__.pyi": "", "library/data.md": "# Data\n"}
    return make_wheel(tmp_path / "wheels", "library", files)


@pytest.fixture
def project(library, tmp_path):
    """Give a project without a build system that needs one distribution."""
    return make_project(tmp_path / "service", library, settings='patterns = ["*.md"]')


def build(shell, project, *arguments, **variables):
    """Build and return the result."""
    return json.loads(shell.hatch_lambda("build", "--json", *arguments, cwd=project, **variables).stdout)


def with_backend(project):
    """Give the project a build backend that needs nothing, and whose wheel alone knows the version."""
    (project / "backend.py").write_text(BACKEND)
    (project / "wheels.py").write_text(Path(sys.modules[make_wheel.__module__].__file__).read_text(encoding="utf-8"))
    pyproject = project / "pyproject.toml"
    head = f'{BUILD_SYSTEM}[project]\nname = "service"\ndynamic = ["version"]\n'
    pyproject.write_text(head + pyproject.read_text())
    (project / "app.py").unlink()
    return project


def test_json_is_the_whole_standard_output_and_says_what_the_zip_is(project, offline):
    """Every key of the first schema, with values that the file itself confirms."""
    done = offline.hatch_lambda("build", "--json", cwd=project)
    result = json.loads(done.stdout)

    assert done.stderr == ""
    package = Path(result["zip"])
    assert package == project / "dist" / "service-python3.13-x86_64.zip"
    content = package.read_bytes()
    assert result["zip_bytes"] == len(content)
    assert result["sha256"] == hashlib.sha256(content).hexdigest()
    assert base64.b64decode(result["code_sha256"]).hex() == result["sha256"]
    assert set(result) == {
        *("schema_version", "zip", "zip_bytes", "direct_upload_quota_bytes", "sha256", "code_sha256", "content_sha256"),
        *("runtime", "architecture", "inputs", "files", "unzipped_bytes", "unzipped_quota_bytes", "stages"),
        *("distributions", "rules", "findings", "changes", "dependencies_from_cache", "unused", "requires"),
        *("project", "shape", "function", "handler", "others"),
    }
    assert result["schema_version"] == 1
    assert (result["runtime"], result["architecture"]) == ("python3.13", "x86_64")
    assert [stage["name"] for stage in result["stages"]] == ["install", "slim", "strip", "zip"]
    assert result["stages"][-1]["bytes"] == len(content)
    assert result["files"] == len(names(package))
    with zipfile.ZipFile(package) as archive:
        assert result["unzipped_bytes"] == sum(entry.file_size for entry in archive.infolist())
    assert {"rule": "type-stubs", "path": "library/__init__.pyi"}.items() <= next(
        change for change in result["changes"] if change["path"].endswith(".pyi")
    ).items()


def test_pipes_get_whole_plain_lines(project, offline):
    """No colours, no folding, no trailing spaces, the zip's path at the end; progress goes elsewhere."""
    done = offline.hatch_lambda("build", cwd=project, COLUMNS="40", FORCE_COLOR="1")

    lines = done.stdout.splitlines()
    assert lines[-1] == "dist/service-python3.13-x86_64.zip"
    assert any(re.fullmatch(r"SHA-256     [0-9a-f]{64}", line) for line in lines)
    assert "\x1b" not in done.stdout + done.stderr
    assert not [line for line in lines if line != line.rstrip()]
    assert sorted(done.stderr.splitlines()) == ["compress ...", "install ...", "slim ..."]


def on_terminal(shell, *arguments, cwd, columns, **variables):
    """Run the command on a terminal of some width and return everything that it wrote there."""
    pty = pytest.importorskip("pty")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**shell.environment, "TERM": "xterm-256color", **variables}
    for name in ("COLUMNS", "LINES", *(["NO_COLOR"] if "NO_COLOR" not in variables else [])):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "hatch_lambda", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    with os.fdopen(ours, "rb", buffering=0) as stream:
        try:
            while part := stream.read(1 << 16):
                output += part
        except OSError:  # Linux says so when the other end is closed
            pass
    assert process.wait() == 0, output
    return output.decode()


@pytest.mark.parametrize("columns", [40, 60, 120])
def test_nothing_is_wider_than_the_terminal(columns, project, offline):
    """Tables and digests fit; the moving line is gone at the end."""
    output = on_terminal(offline, "build", "-v", cwd=project, columns=columns)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    lines = [line.rpartition("\r")[2] for line in plain.replace("\r\n", "\n").splitlines()]
    (start,) = [number for number, line in enumerate(lines) if line.startswith("stage ")]

    assert lines[-1] == "dist/service-python3.13-x86_64.zip"
    assert max(map(len, lines[start:])) <= columns
    assert "\x1b[1mstage" in output


def test_no_color_has_none(project, offline):
    """https://no-color.org."""
    output = on_terminal(offline, "build", cwd=project, columns=80, NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*[1-9][0-9;]*m", output)


def test_quiet_shows_warnings_only(project, offline):
    """And nothing at all where there is nothing to warn of."""
    quiet = offline.hatch_lambda("build", "--quiet", cwd=project)
    (project / "pyproject.toml").write_text('[tool.lambda-slim]\nbytecode = "none"\n')
    warned = offline.hatch_lambda("build", "--quiet", cwd=project)

    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert warned.stdout == ""
    assert warned.stderr.startswith("warning HL003: no runtime is set; ")
    assert len(warned.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("build", "--help"), ("slim", "-h")], ids=" ".join)
def test_help_is_quick(arguments, offline, tmp_path):
    """It loads nothing that only a build needs."""
    done = offline.run(sys.executable, "-X", "importtime", "-m", "hatch_lambda", *arguments, cwd=tmp_path)

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {
        "rich",
        "msgspec",
        "packaging",
        "pathspec",
        "deflate",
        "elftools",
        "asyncio",
        "hatch_lambda.api",
    }
    assert re.match("Usage: |hatch-lambda [0-9]", done.stdout)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("library/__init__.py", "library/__init__.py [library]: kept by default: no rule asks for its removal"),
        ("library/__init__.pyi", "library/__init__.pyi [library]: removed by type-stubs (pattern `*.pyi`): "),
        ("library/data.md", "library/data.md [library]: removed by patterns: the project's pattern `*.md` removes it"),
        (
            "library-1.0.dist-info/INSTALLER",
            "library-1.0.dist-info/INSTALLER [library]: removed by installer-leftovers: ",
        ),
        ("app.py", "app.py: kept by default"),
    ],
)
def test_explain_names_the_rule(path, answer, project, offline):
    """For what was kept, removed, and left by the installer."""
    done = offline.hatch_lambda("explain", path, cwd=project)

    assert done.stdout.startswith(answer)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize("folder", ["library", "library/", "./library", "/library/"])
def test_explain_tells_of_each_file_in_a_folder(folder, project, offline):
    """However the folder is spelled."""
    answer = json.loads(offline.hatch_lambda("explain", folder, "--json", cwd=project).stdout)

    assert {file["path"]: file["kept"] for file in answer["files"]} == {
        "library/__init__.py": True,
        "library/__init__.pyi": False,
        "library/data.md": False,
    }


def test_explain_tells_of_the_whole_package(project, offline):
    """``.`` stands for it."""
    answer = json.loads(offline.hatch_lambda("explain", ".", "--json", cwd=project).stdout)

    kept = {file["path"] for file in answer["files"] if file["kept"]}
    assert kept == names(build(offline, project)["zip"])


def test_explain_of_a_path_that_is_not_there_fails(project, offline):
    """And says what paths look like."""
    done = offline.hatch_lambda("explain", "libary/nothing.py", cwd=project, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: libary/nothing.py: neither the dependencies nor the project have such a file")


def test_clean_removes_what_was_built_and_tells_it(project, offline):
    """First what it would do, then what it did; then there is nothing to do."""
    build(offline, project)
    (project / "dist" / "other.zip").touch()
    package = "dist/service-python3.13-x86_64.zip"

    assert offline.hatch_lambda("clean", "--dry-run", cwd=project).stdout == f"would remove {package}\n"
    assert (project / package).exists()
    assert offline.hatch_lambda("clean", cwd=project).stdout == f"removed {package}\n"
    assert offline.hatch_lambda("clean", cwd=project).stdout == ""
    assert [path.name for path in (project / "dist").iterdir()] == ["other.zip"]


def test_schema_is_json(offline, tmp_path):
    """Of the table's keys."""
    schema = json.loads(offline.hatch_lambda("schema", cwd=tmp_path).stdout)

    assert "patterns" in schema["properties"]


def test_the_option_output_is_relative_to_the_users_folder(project, offline, tmp_path):
    """The setting ``output``, though, to the project; the option goes first."""
    with (project / "pyproject.toml").open("a") as pyproject:
        pyproject.write('output = "out/function.zip"\n')

    assert build(offline, tmp_path, "service")["zip"] == str(project / "out" / "function.zip")
    assert build(offline, tmp_path, "service", "-o", "here/app.zip")["zip"] == str(tmp_path / "here" / "app.zip")
    assert offline.hatch_lambda("build", "service", cwd=tmp_path).stdout.endswith("\nservice/out/function.zip\n")
    assert offline.hatch_lambda("clean", "service", cwd=tmp_path).stdout == "removed service/out/function.zip\n"


def test_an_option_replaces_a_setting(project, offline):
    """``-C`` reads TOML, and takes what is none as text."""
    result = build(
        *(offline, project, "-C", 'patterns=["!*.pyi"]', "-C", "runtime=python3.12", "-C", "strip=false"),
        *("--architecture", "arm64", "-C", "lambda.compression=fast"),
    )

    assert Path(result["zip"]).name == "service-python3.12-arm64.zip"
    assert {"library/data.md", "library/__init__.pyi"} <= names(result["zip"])


def test_a_project_without_a_build_system_is_taken_from_its_folder(project, offline):
    """``[tool.uv] package = false`` says so even where there is a build system."""
    flat = names(build(offline, project)["zip"])
    head = BUILD_SYSTEM + '[project]\nname = "service"\nversion = "1"\n[tool.uv]\npackage = false\n'
    pyproject = project / "pyproject.toml"
    pyproject.write_text(head + pyproject.read_text())
    result = build(offline, project)

    assert Path(result["zip"]).name == "service-1-python3.13-x86_64.zip"
    assert names(result["zip"]) == flat
    assert flat == {"app.py", "library/__init__.py", "library-1.0.dist-info/METADATA"}


def test_a_version_that_only_the_wheel_knows_names_the_package(project, offline):
    """``dynamic = ["version"]``."""
    result = build(offline, with_backend(project), "--handler", "service.app.handler")

    assert Path(result["zip"]).name == "service-3.2.1-python3.13-x86_64.zip"
    assert "service-3.2.1.dist-info/METADATA" in names(result["zip"])
    assert result["inputs"]["build-backend"] == "by-hand"
    assert offline.hatch_lambda("clean", cwd=project).stdout.startswith("removed ")


def test_a_folder_with_requirements_alone_is_a_project(library, offline, tmp_path):
    """No ``pyproject.toml``: everything has its default, and the requirements are pinned and hashed."""
    project = tmp_path / "flat service"
    project.mkdir()
    (project / "handler.py").write_text("import library\n")
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    (project / "requirements.txt").write_text(f"library==1.0 --hash=sha256:{digest}\n")
    result = build(offline, project, "-C", "bytecode=none", UV_FIND_LINKS=library.parent.as_uri())

    assert {"handler.py", "library/__init__.py"} <= names(result["zip"])
    assert result["inputs"]["lock"] == "requirements.txt"
    assert [finding["code"] for finding in result["findings"] if finding["severity"] != "note"] == ["HL003"]


def test_a_member_of_a_workspace_gets_its_own_dependencies(library, offline, tmp_path):
    """The workspace has one lock for all; the other member's distribution stays away."""
    other = make_wheel(tmp_path / "wheels", "other")
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["services/*"]\n')
    for member, needed in (("one", "library"), ("two", "other")):
        project = root / "services" / member
        project.mkdir(parents=True)
        (project / "pyproject.toml").write_text(
            f'[project]\nname = "{member}"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["{needed}"]\n'
            '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'
        )
        (project / f"{member}.py").touch()
    found = {"UV_FIND_LINKS": other.parent.as_uri()}
    offline.uv("lock", "--quiet", cwd=root, **found)
    result = build(offline, root / "services" / "one", **found)

    assert {"one.py", "library/__init__.py"} <= names(result["zip"])
    assert not {"two.py", "other.py"} & names(result["zip"])
    assert result["inputs"]["lock"] == "uv.lock"


def test_a_lock_is_made_where_there_is_none(library, offline, tmp_path):
    """With a warning that says so, and the next build takes it."""
    head = '[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["library"]\n'
    project = make_project(tmp_path / "service", head=head)
    (project / "pylock.toml").unlink()
    found = {"UV_FIND_LINKS": library.parent.as_uri()}
    first, second = build(offline, project, **found), build(offline, project, **found)

    assert (project / "uv.lock").is_file()
    warnings = [
        [finding["code"] for finding in result["findings"] if finding["severity"] != "note"]
        for result in (first, second)
    ]
    assert warnings == [["HL010"], []]
    assert first["sha256"] == second["sha256"]


def test_the_empty_lock_of_a_project_is_enough(offline, tmp_path):
    """A function may need nothing but itself."""
    project = make_project(tmp_path / "service", lock=pylock())

    assert names(build(offline, project)["zip"]) == {"app.py"}
