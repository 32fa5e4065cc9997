"""The errors that a user can cause: each ends in place, fact and remedy, and leaves an older package as it was."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from tests.support.shell import Shell
from tests.support.wheels import make_project, make_wheel, pylock

OLD = b"PK, an older package"
CONFIGURATION, LOCK, INSTALL, ARCHIVE, VERIFICATION, MISSING_TOOL = range(3, 9)
HEAD = '[project]\nname = "service"\nversion = "1"\ndependencies = [{}]\n'

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions, limits and signals are those of POSIX")


@pytest.fixture
def offline(tmp_path) -> Shell:
    """Give a shell without a network, with caches of its own."""
    variables = {
        "UV_OFFLINE": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "UV_CACHE_DIR": str(tmp_path / "uv cache"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    hidden = ("UV", "HATCH_UV", "SOURCE_DATE_EPOCH", "UV_FIND_LINKS")
    return Shell({name: value for name, value in os.environ.items() if name not in hidden} | variables)


@pytest.fixture
def project(tmp_path):
    """Give a project that can be built, with an older package in the place of the new one."""
    project = make_project(tmp_path / "service", settings='output = "dist/app.zip"\nhandler = "app.handler"')
    (project / "dist").mkdir()
    (project / "dist" / "app.zip").write_bytes(OLD)
    return project


def refused(done, code, *words):
    """Check that a command failed as a user deserves."""
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    assert done.stderr.startswith(("error: ", "install ...\n", "slim ...\n", "Usage: ")), output
    for word in words:
        assert word in output, output


def left_alone(project):
    """Check that the old package is as it was, and alone."""
    assert [path.name for path in (project / "dist").iterdir()] == ["app.zip"]
    assert (project / "dist" / "app.zip").read_bytes() == OLD


@dataclass
class Bad:
    code: int
    words: tuple[str, ...]
    pyproject: str = ""
    lock: str | None = None
    arguments: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


BAD = {
    "bad TOML": Bad(CONFIGURATION, ("pyproject.toml: not valid TOML", "line 2"), "[tool.lambda-slim]\nstrip = flase"),
    "several wrong settings": Bad(
        CONFIGURATION,
        (
            "tool.lambda-slim.architecture: 'amd64' is not a Lambda architecture; did you mean 'x86_64'?",
            "tool.lambda-slim.patern: there is no such key; did you mean 'patterns'?",
            "tool.lambda-slim.strip: expected boolean, got string",
            "hint: the keys of [tool.lambda-slim] are described by `hatch-lambda schema`",
        ),
        '[tool.lambda-slim]\narchitecture = "amd64"\npatern = ["*.md"]\nstrip = "yes"',
    ),
    "unknown runtime": Bad(
        CONFIGURATION, ("option `runtime`: 'pyhton3.13' is not", "'python3.13'?"), arguments=("--runtime", "pyhton3.13")
    ),
    "no such folder": Bad(CONFIGURATION, ("nowhere: there is no such folder", "hint: "), arguments=("nowhere",)),
    "file as a project": Bad(CONFIGURATION, ("app.py: ", "hint: "), arguments=("app.py",)),
    "lock that is not there": Bad(
        CONFIGURATION, ("tool.lambda-slim.lock: there is no file 'uv.lok'", "hint: "), arguments=("--lock", "uv.lok")
    ),
    "setting without a value": Bad(2, ("-C runtime: expected KEY=VALUE",), arguments=("-C", "runtime")),
    "stale lock": Bad(
        LOCK,
        ("pylock.toml: the project has changed since it was locked", "idna>=3 is required, and not locked", "hint: "),
        HEAD.format('"idna>=3"'),
    ),
    "damaged lock": Bad(LOCK, ("pylock.toml", "hint: "), lock="lock-version = 1"),
    "sdist only": Bad(
        LOCK,
        ("no wheel for python3.13-x86_64", "only-source 1.0: there is", 'to build, and `sdist` is "never"', "hint: "),
        lock="sdist",
        arguments=("-C", "sdist=never"),
    ),
    "no wheel for the target": Bad(
        LOCK, ("no wheel for python3.13-x86_64", "apple 1.0: it has wheels for cp313-cp313-macosx_11_0_arm64"),
        lock="apple",
    ),
    "wrong hash": Bad(INSTALL, ("uv could not install", "ash mismatch", "hint: "), lock="wrong hash"),
    "handler that is not there": Bad(
        VERIFICATION, ("'ap.handler' needs ap.py", "did you mean app.handler?"), arguments=("--handler", "ap.handler")
    ),
    "handler without a module": Bad(
        VERIFICATION, ("'handler' is not of the form module.function",), arguments=("--handler", "handler")
    ),
    "two contents of one path": Bad(
        INSTALL, ("shared.py differs in one, two", "hint: depend on one of them"), lock="two contents"
    ),
    "UV that is nonsense": Bad(
        MISSING_TOOL, ("UV=nonsense: there is no such program", "hint: unset UV"), variables=(("UV", "nonsense"),)
    ),
    **{
        f"SOURCE_DATE_EPOCH={text}": Bad(
            CONFIGURATION, (f"SOURCE_DATE_EPOCH={text}: not a number of seconds", "hint: "),
            variables=(("SOURCE_DATE_EPOCH", text),),
        )
        for text in ("abc", "-1", "1.5", "4354819200", "9" * 30)
    },
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_told_with_place_fact_and_remedy(case, project, offline, tmp_path):
    """No traceback, the exit code of its kind, and the old package untouched."""
    bad = BAD[case]
    wheels = tmp_path / "wheels"
    locks = {
        "sdist": lambda: pylock(sdists=["only-source"]),
        "apple": lambda: pylock(make_wheel(wheels, "apple", tag="cp313-cp313-macosx_11_0_arm64")),
        "wrong hash": lambda: pylock(make_wheel(wheels, "changed"), changed="0" * 64),
        "two contents": lambda: pylock(
            make_wheel(wheels, "one", {"shared.py": "1"}), make_wheel(wheels, "two", {"shared.py": "2"})
        ),
    }
    if bad.pyproject:
        (project / "pyproject.toml").write_text(bad.pyproject)
    if bad.lock is not None:
        (project / "pylock.toml").write_text(locks[bad.lock]() if bad.lock in locks else bad.lock)

    refused(
        offline.hatch_lambda("build", *bad.arguments, cwd=project, check=False, **dict(bad.variables)),
        bad.code,
        *bad.words,
    )
    left_alone(project)


def test_a_folder_with_nothing_to_package_is_refused(offline, tmp_path):
    """An empty zip would be no function."""
    (tmp_path / "empty").mkdir()
    done = offline.hatch_lambda("build", "-C", "bytecode=none", cwd=tmp_path / "empty", check=False)
    refused(done, VERIFICATION, "the package is empty", "hint: name the folder of a project")
    assert not list((tmp_path / "empty").iterdir())


def test_a_required_lock_that_is_missing_is_named_with_its_command(project, offline):
    """And none is made."""
    (project / "pyproject.toml").write_text(HEAD.format('"idna"'))
    (project / "pylock.toml").unlink()

    refused(offline.hatch_lambda("build", "--require-lock", cwd=project, check=False), LOCK, "lock", "`uv lock`")
    assert not (project / "uv.lock").exists()
    left_alone(project)


@pytest.mark.parametrize("variables", [{"UV_OFFLINE": "1"}, {"UV_OFFLINE": "0"}], ids=["offline", "unreachable"])
def test_a_missing_network_is_told(variables, project, offline):
    """Nothing is in the cache, and the lock's address cannot be reached."""
    entry = pylock(sdists=["far"]).replace("sdist = {", "wheels = [{").replace("-1.0.tar.gz", "-1.0-py3-none-any.whl")
    entry = entry.replace("} }\n", "} }]\n").replace("https://example.invalid", "http://127.0.0.1:9")
    (project / "pylock.toml").write_text(entry)
    done = offline.hatch_lambda("build", cwd=project, check=False, UV_HTTP_RETRIES="0", **variables)

    refused(done, INSTALL, "uv could not install", "far", "hint: check the network")
    left_alone(project)


BROKEN_BACKEND = "def build_wheel(*_):\n    raise SystemExit('the compiler says no')\n"
SLOW_BACKEND = "def build_wheel(*_):\n    import pathlib, time\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"


def with_backend(project, text):
    """Give the project a build backend of its own."""
    (project / "backend.py").write_text(text)
    with (project / "pyproject.toml").open("a") as pyproject:
        pyproject.write('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
        pyproject.write('[project]\nname = "service"\nversion = "1"\n')


def test_a_wheel_that_cannot_be_built_is_told_in_the_backends_words(project, offline):
    """With the command that shows everything."""
    with_backend(project, BROKEN_BACKEND)
    done = offline.hatch_lambda("build", cwd=project, check=False)

    refused(done, INSTALL, "the project's wheel could not be built", "the compiler says no", "`uv build --wheel`")
    left_alone(project)


def test_a_package_over_the_quota_is_refused_with_the_largest_named(project, offline):
    """250 MiB unzipped are the function's limit."""
    (project / "model").mkdir()
    (project / "model" / "__init__.py").touch()
    with (project / "model" / "weights.bin").open("wb") as stream:
        stream.truncate(263_000_000)

    refused(
        offline.hatch_lambda("build", cwd=project, check=False),
        VERIFICATION, "MiB unzipped; Lambda takes 250 MiB", "the project 250.8 MiB", "hint: ",
    )  # fmt: skip
    left_alone(project)


def obeying_permissions():
    """Make root obey the permissions of its own files: drop CAP_DAC_OVERRIDE (1) and CAP_DAC_READ_SEARCH (2)."""
    if os.geteuid() == 0:
        import ctypes

        libc = ctypes.CDLL(None)
        for capability in (1, 2):
            assert libc.prctl(24, capability, 0, 0, 0) == 0


def limited_to(size):
    """Make files larger than *size* impossible, as a full disk does."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run(shell, *arguments, cwd, before):
    return subprocess.run(
        [sys.executable, "-m", "hatch_lambda", *map(str, arguments)],
        cwd=cwd,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
    )


@contextlib.contextmanager
def read_only(*folders):
    for folder in folders:
        folder.chmod(0o555)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_an_output_folder_that_is_read_only_is_told(project, offline):
    """As the user that may not write there."""
    with read_only(project / "dist"):
        done = run(offline, "build", cwd=project, before=obeying_permissions)

    refused(done, ARCHIVE, "app.zip: the package could not be written: Permission denied", "hint: check")
    left_alone(project)


def test_an_output_that_is_a_folder_is_told(project, offline):
    """The folder stays."""
    refused(offline.hatch_lambda("build", "-o", "dist", cwd=project, check=False), ARCHIVE, "dist: ", "hint: ")
    left_alone(project)


def test_an_output_below_a_file_is_told(project, offline):
    """The file stays."""
    done = offline.hatch_lambda("build", "-o", "app.py/app.zip", cwd=project, check=False)
    refused(done, ARCHIVE, "app.zip: the package could not be written", "hint: ")
    left_alone(project)


def test_a_full_disk_leaves_the_old_package(project, offline):
    """The new one does not fit, and leaves nothing behind."""
    (project / "noise.py").write_text(f"# {os.urandom(200_000).hex()}")
    done = run(offline, "build", cwd=project, before=limited_to(100_000))

    refused(done, ARCHIVE, "app.zip: the package could not be written: File too large", "hint: check the free space")
    left_alone(project)


def test_a_workspace_without_room_is_told(project, offline, tmp_path):
    """The caches are on a disk that is full, too."""
    library = make_wheel(tmp_path / "wheels", "library", {"bin/tool": "#!/usr/bin/python\n" + "#" * 100_000})
    folder = tmp_path / "folder"
    offline.uv("pip", "install", "-q", "--target", folder, library, cwd=tmp_path)
    done = run(offline, "slim", folder, cwd=tmp_path, before=limited_to(50_000))

    refused(done, 1, "File too large", "hint: check")
    assert (folder / "bin" / "tool").stat().st_size > 100_000


def test_uv_that_is_missing_is_told(project, offline, tmp_path):
    """Neither as a distribution nor on PATH."""
    program = (
        "import sys; sys.modules['uv'] = None; from hatch_lambda.cli import main; sys.argv[1:] = ['build']; main()"
    )
    done = offline.run(sys.executable, "-c", program, cwd=project, check=False, PATH=str(tmp_path))

    refused(done, MISSING_TOOL, "uv was not found", "hint: install it with `pip install uv`")
    left_alone(project)


HEARING_SIGINT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
from hatch_lambda.cli import main
sys.argv[1:] = ["build"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_build_leaves_nothing_behind(number, project, offline, tmp_path):
    """Ctrl-C reaches the whole group, as on a terminal; no traceback, no leftovers."""
    with_backend(project, SLOW_BACKEND)
    process = subprocess.Popen(
        [sys.executable, "-c", HEARING_SIGINT],
        cwd=project,
        env=offline.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (project / "begun").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=120)

    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert output == ""
    assert not list((tmp_path / "cache" / "hatch-lambda" / "work").glob("build-*"))
    left_alone(project)


def test_a_killed_build_leaves_the_old_package_or_the_new_one(project, offline):
    """Whenever SIGKILL comes: a reader never finds half a zip."""
    for number in range(20):
        (project / f"noise{number}.py").write_text(f"# {os.urandom(200_000).hex()}")
    package = project / "dist" / "app.zip"
    seconds = time.monotonic()
    offline.hatch_lambda("build", cwd=project)
    seconds = time.monotonic() - seconds
    new = package.read_bytes()
    for part in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        package.write_bytes(OLD)
        process = subprocess.Popen(
            [sys.executable, "-m", "hatch_lambda", "build", "-q"],
            cwd=project,
            env=offline.environment,
            stdin=subprocess.DEVNULL,
        )
        time.sleep(seconds * part)
        process.kill()
        process.wait()

        assert package.read_bytes() in {OLD, new}
    offline.hatch_lambda("clean", cwd=project)
    assert not list((project / "dist").iterdir())


@pytest.mark.parametrize("command", [("build", "--json"), ("explain", "."), ("schema",)], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_reader_that_leaves_is_no_error_to_talk_about(command, unbuffered, project, offline):
    """``| head -1`` ends the command without a word, whether its first line fails or its last flush."""
    for number in range(2000 if command[0] == "explain" else 0):
        (project / f"module_{number}.py").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "hatch_lambda", *command],
        cwd=project,
        env={**offline.environment, "PYTHONUNBUFFERED": unbuffered},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()

    assert process.returncode == 1
    assert not [line for line in errors.splitlines() if not line.endswith(" ...")]


@pytest.mark.parametrize("door", ["nowhere", "a file"])
def test_slimming_what_is_no_folder_is_told(door, offline, tmp_path):
    """By its name."""
    (tmp_path / "a file").touch()
    done = offline.hatch_lambda("slim", door, cwd=tmp_path, check=False)

    refused(done, CONFIGURATION, f"{door}: ", "hint: name what `--target` named")


def test_a_folder_that_is_read_only_stays_whole(offline, tmp_path):
    """What could not be slimmed is as it was, and the file is named."""
    library = make_wheel(tmp_path / "wheels", "library", {"library.py": "", "library.pyi": ""})
    folder = tmp_path / "folder"
    offline.uv("pip", "install", "-q", "--target", folder, library, cwd=tmp_path)
    before = sorted(folder.rglob("*"))
    with read_only(folder, *(path for path in before if path.is_dir())):
        done = run(offline, "slim", folder, cwd=tmp_path, before=obeying_permissions)

    refused(done, ARCHIVE, str(folder), "Permission denied", "hint: check the folder's permissions")
    assert sorted(folder.rglob("*")) == before


def test_files_that_cannot_be_read_are_told(project, offline):
    """By their name."""
    (project / "app.py").chmod(0)
    done = run(offline, "build", cwd=project, before=obeying_permissions)

    refused(done, 1, "app.py: Permission denied", "hint: check the permissions")
    left_alone(project)


def test_an_output_that_is_no_zip_is_left_alone(project, offline):
    """A slip of the hand must not cost a source file; `clean` leaves it, too."""
    source = project / "notes.txt"
    source.write_text("precious")
    refused(
        offline.hatch_lambda("build", "-o", "notes.txt", cwd=project, check=False),
        ARCHIVE,
        "notes.txt: this is not a zip",
    )
    offline.hatch_lambda("clean", cwd=project)

    assert source.read_text() == "precious"


@pytest.mark.parametrize("key", ["exclude", "include", "patterns", "strip-exclude"])
def test_a_pattern_that_is_none_is_told(key, project, offline):
    """Whichever setting it stands in."""
    done = offline.hatch_lambda("build", "-C", f'{key}=["!"]', cwd=project, check=False)

    refused(done, CONFIGURATION, f"tool.lambda-slim.{key}", "'!'")
