"""Signals, at any moment: the exit code of their kind, no child, no folder, and the old package or the new one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.wheels import make_project, make_wheel

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups are those of POSIX")

OLD = b"PK, an older package"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}

AT = """
import os, signal, sys, threading
number, moment, *sys.argv[1:] = sys.argv[1:]
number, moment, count = int(number), int(moment), 0
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)  # whoever runs the tests may have had them ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
import hatch_lambda.cli

EVENTS = {"import", "open", "subprocess.Popen", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir"}
lock = threading.Lock()

def hook(event, arguments):
    global count
    # Before signals are heard they end the process as they end any other.
    if event in EVENTS and hatch_lambda.cli.signals.are_heard():
        with lock:
            count += 1
            if count == moment:
                os.kill(os.getpid(), number)

sys.addaudithook(hook)
try:
    hatch_lambda.cli.main()
finally:
    if not moment:
        print(count, file=sys.__stderr__)
"""


@pytest.fixture
def environment(tmp_path):
    """Give a place for everything that a build may leave, and a mark on every process that it starts."""
    (tmp_path / "temporary").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if name not in {"UV", "HATCH_UV", "UV_FIND_LINKS"}},
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "HATCH_LAMBDA_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "temporary"),
        "MARK": f"of {tmp_path}",
    }


def make_service(tmp_path):
    """Make a project with a library to install, bytecode to compile and a handler to import."""
    library = make_wheel(tmp_path / "wheels", "library", {f"library/part{number}.py": "X = 1\n" for number in range(9)})
    settings = 'output = "dist/app.zip"\nhandler = "app.handler"\n'
    project = make_project(tmp_path / "service", library, settings=settings, bytecode="include")
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("python3.13", f"python3.{sys.version_info[1]}"))
    (project / "dist").mkdir()
    (project / "dist" / "app.zip").write_bytes(OLD)
    return project


def begun(program, project, environment, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def children(environment):
    """Return the processes that carry the mark, as Linux tells."""
    mark, found = f"MARK={environment['MARK']}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes())
    return found


def check_end(done, number, project, environment):
    assert done.returncode == CODES[number], done.stderr
    assert not re.search("Traceback|Exception|Error", done.stderr), done.stderr
    assert children(environment) == []
    assert not list(Path(environment["TMPDIR"]).iterdir())
    assert not list(Path(environment["HATCH_LAMBDA_CACHE_DIR"]).glob("work/build-*"))
    assert [path.name for path in (project / "dist").iterdir()] == ["app.zip"]


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_signal_at_any_moment_leaves_nothing_behind(number, tmp_path, environment):
    """At moments spread over all imports, files, folders and programs of a build."""
    project = make_service(tmp_path)
    done = begun(AT, project, environment, int(number), 0, "build", "--refresh")
    assert done.returncode == 0, done.stderr
    total = int(done.stderr.split()[-1])
    for moment in range(1, total, total // 12 + 1):
        (project / "dist" / "app.zip").write_bytes(OLD)
        done = begun(AT, project, environment, int(number), moment, "build", "--refresh")
        check_end(done, number, project, environment)


SIGNALLED_BY_UV = """#!{python}
import os, signal, subprocess, sys, time
if sys.argv[1:] and sys.argv[1] == {command!r}:
    {ignoring}
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    os.kill(os.getppid(), {number})
    time.sleep(60)
os.execv({uv!r}, [{uv!r}, *sys.argv[1:]])
"""


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("ignoring", [False, True], ids=["obedient", "stubborn"])
def test_a_signal_while_uv_runs_ends_it_with_what_it_has_started(number, ignoring, tmp_path, environment):
    """Even one that does not listen, and whatever waits for it in another thread."""
    from uv import find_uv_bin

    project = make_service(tmp_path)
    program = tmp_path / "uv"
    program.write_text(
        SIGNALLED_BY_UV.format(
            python=sys.executable,
            command="pip",
            number=int(number),
            uv=find_uv_bin(),
            ignoring="signal.signal(signal.SIGTERM, signal.SIG_IGN)" if ignoring else "pass",
        )
    )
    program.chmod(0o755)
    done = begun(AT, project, {**environment, "UV": str(program)}, int(number), -1, "build")
    check_end(done, number, project, environment)
    assert (project / "dist" / "app.zip").read_bytes() == OLD


WAITING = """
import os, time
from hatch_lambda.core import process
wait = process.Child.wait

def signalled(self, seconds):
    os.kill(os.getpid(), number)
    return wait(self, seconds)

process.Child.wait = signalled
"""


def test_a_signal_while_the_handler_is_imported_ends_it(tmp_path, environment):
    """With the processes that it has started."""
    project = make_service(tmp_path)
    (project / "app.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)\n"
        "def handler(event, context): ...\n"
    )
    program = AT.replace("import hatch_lambda.cli\n", f"import hatch_lambda.cli\n{WAITING}", 1)
    done = begun(program, project, environment, int(signal.SIGTERM), -1, "build", "-C", "verify=import")
    check_end(done, signal.SIGTERM, project, environment)
    assert (project / "dist" / "app.zip").read_bytes() == OLD


def test_a_second_signal_does_not_undo_the_tidying(tmp_path, environment):
    """An impatient Ctrl-C comes while folders are removed."""
    project = make_service(tmp_path)
    again = """
    from hatch_lambda.core import files as workspace
    remove = workspace.remove_tree

    def removing(folder):
        os.kill(os.getpid(), signal.SIGINT)
        remove(folder)

    workspace.remove_tree = removing
    """
    program = AT.replace("import hatch_lambda.cli\n", "import hatch_lambda.cli\n" + textwrap.dedent(again), 1)
    done = begun(program, project, environment, int(signal.SIGINT), -1, "build")
    check_end(done, signal.SIGINT, project, environment)


def test_a_signal_that_is_ignored_stays_so(tmp_path, environment):
    """``nohup`` has the end of a terminal ignored."""
    project = make_service(tmp_path)
    program = AT.replace(
        "import hatch_lambda.cli\n", "signal.signal(number, signal.SIG_IGN)\nimport hatch_lambda.cli\n"
    )
    done = begun(program, project, environment, int(signal.SIGHUP), 40, "build", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["zip"]
