"""Packages that are run in AWS's own runtime interface client."""

from __future__ import annotations

import json
import os
import sys
import zipfile

import pytest

from tests.functional.documents import fits
from tests.support.shell import interpreter

pytestmark = pytest.mark.registry

HERE = "python{}.{}".format(*sys.version_info)
HANDLER = """
import json, os, pathlib, sys, time
sys.stderr.write("starting\\n")
count = 0

def hello(event, context):
    global count
    count += 1
    print("answering")
    return {
        "event": event, "count": count, "version": "%d.%d" % sys.version_info[:2],
        "task": os.environ["LAMBDA_TASK_ROOT"],
        "left": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb,
        "name": context.function_name, "path": sys.path, "environment": dict(os.environ),
    }

def fail(event, context):
    if event.get("well"):
        return count
    raise ValueError("no good")

def slow(event, context):
    time.sleep(30)

def large(event, context):
    return len(bytearray(200 << 20))

def long(event, context):
    return "x" * (7 << 20)

def die(event, context):
    os._exit(3)

def layered(event, context):
    import layer
    return layer.NAME

def look(event, context):
    def tried(action):
        try:
            return repr(action())
        except OSError as error:
            return type(error).__name__
    return {
        "user": os.getuid(), "root": sorted(os.listdir("/")),
        "write": tried(lambda: open("/var/task/x", "w")), "temporary": tried(lambda: open("/tmp/x", "w").close()),
        "pip": any(pathlib.Path(folder, "pip").exists() for folder in sys.path),
    }
"""


@pytest.fixture(scope="module")
def run(shell, tmp_path_factory):
    """Give a function that runs ``invoke`` on a package of this handler and returns the finished process."""
    folder = tmp_path_factory.mktemp("invoke")
    make(
        folder / "app.zip", {"app.py": HANDLER, "broken.py": "def", "needs.py": "import nowhere", "raises.py": "1 / 0"}
    )

    def run(*arguments, check=False):
        variables = {"HATCH_LAMBDA_CACHE_DIR": str(folder / "cache"), "AWS_SECRET_ACCESS_KEY": "secret"}
        return shell.hatch_lambda("invoke", "app.zip", *arguments, cwd=folder, check=check, **variables)

    run.folder = folder  # type: ignore[attr-defined]
    return run


def make(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def document(done):
    told = json.loads(done.stdout)
    fits("invoke", told)
    return told


@pytest.mark.parametrize(
    "version", ["3.10", *(pytest.param(version, marks=pytest.mark.slow) for version in ("3.11", "3.12")), "3.13"]
)
def test_a_handler_runs_under_each_runtime(version, run):
    """With its interpreter, Lambda's context, and several events in one process."""
    interpreter(version)
    (run.folder / "event.json").write_text('{"a": "ä"}', encoding="utf-8")

    events = ("-e", "event.json", "-e", "event.json")
    done = run("--handler", "app.hello", "--runtime", f"python{version}", *events, "--json")

    assert done.returncode == 0, done.stderr
    first, second = document(done)["invocations"]
    assert (first["response"]["event"], first["response"]["version"]) == ({"a": "ä"}, version)
    assert 0 < first["response"]["left"] <= 3000
    assert (first["response"]["memory"], first["response"]["name"]) == ("128", "function")
    assert [first["response"]["count"], second["response"]["count"]] == [1, 2]
    assert first["init_duration_ms"] > 0
    assert second["init_duration_ms"] is None
    assert first["peak_memory_bytes"] > 1_000_000
    assert "starting" in first["log"]
    assert "starting" not in second["log"]
    places = [first["log"].index(word) for word in ("answering", "END RequestId", "REPORT RequestId")]
    assert places == sorted(places)


def test_a_function_sees_lambdas_environment_and_nothing_of_this_one(run):
    """Only what --env names."""
    done = run("--handler", "app.hello", "--runtime", HERE, "--env", "TABLE=x", "--no-sandbox", "--json", check=True)

    response = document(done)["invocations"][0]["response"]
    environment = response["environment"]
    assert environment["TABLE"] == "x"
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_{HERE}"
    assert environment["_HANDLER"] == "app.hello"
    assert environment["TZ"] == ":UTC"
    assert not {"HOME", "AWS_SECRET_ACCESS_KEY", "HATCH_LAMBDA_CACHE_DIR"} & set(environment)
    assert not any("site-packages" in path for path in response["path"] if "/opt/" not in path)
    assert response["path"][0] == response["task"]


def test_a_pipe_gets_the_response_as_it_is_and_the_log_goes_elsewhere(run):
    """So `| jq` works."""
    well(run)
    done = run("--handler", "app.fail", "--runtime", HERE, "-e", "well.json")

    assert done.stdout == "0\n"
    assert "START RequestId" in done.stderr
    assert "Init Duration" in done.stderr


def well(run):
    """Write an event that `app.fail` answers."""
    (run.folder / "well.json").write_text('{"well": true}')


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("app.fail", "ValueError", "no good"),
        ("app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        ("needs.handler", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("broken.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken'"),
        ("raises.handler", "ZeroDivisionError", "division by zero"),
        ("app.die", "Runtime.ExitError", "exit status 3"),
        ("app.slow", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("app.large", "Runtime.OutOfMemory", "128 MB"),
        ("app.long", "Function.ResponseSizeTooLarge", "6291556 bytes"),
    ],
)
def test_a_failure_has_awss_type_and_an_exit_code(handler, kind, message, run):
    """Scripts see it, and people read why."""
    done = run("--handler", handler, "--runtime", HERE, "--timeout", "1" if handler == "app.slow" else "20")

    assert done.returncode == 7
    error = json.loads(done.stdout)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    assert f"error: {kind}: " in done.stderr
    assert "hatch_lambda/" not in done.stderr


def test_the_next_event_finds_a_new_process_after_one_died(run):
    """And the same one after a mere exception."""
    well(run)
    (run.folder / "bad.json").write_text("{}")
    done = run("--handler", "app.fail", "--runtime", HERE, "-e", "bad.json", "-e", "well.json", "--json")
    failed, answered = document(done)["invocations"]
    assert (done.returncode, failed["error"]["type"], answered["response"]) == (7, "ValueError", 0)
    assert "raise ValueError" in failed["error"]["stack"][-1]
    assert answered["init_duration_ms"] is None

    done = run("--handler", "app.die", "--runtime", HERE, "-e", "bad.json", "-e", "well.json", "--json")
    assert [one["init_duration_ms"] is None for one in document(done)["invocations"]] == [False, False]


def test_layers_lie_over_one_another(run):
    """The last has the last word."""
    make(run.folder / "one.zip", {"python/layer.py": "NAME = 1"})
    make(run.folder / "two.zip", {f"python/lib/{HERE}/site-packages/layer.py": "NAME = 2"})

    def name(*layers):
        arguments = [word for layer in layers for word in ("--layer", f"{layer}.zip")]
        return run("--handler", "app.layered", "--runtime", HERE, *arguments).stdout

    assert name("one") == "1\n"
    assert name("one", "two") == "2\n"
    assert "ModuleNotFoundError" in name()


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="a sandbox needs Linux and root")
def test_a_sandbox_shows_nothing_else_of_this_machine(run):
    """An unprivileged user, a read-only package, an empty /tmp, no other distribution."""
    done = run("--handler", "app.look", "--runtime", HERE, "--json")
    told = document(done)
    if not told["sandbox"]:
        pytest.skip(f"no sandbox here: {run('--handler', 'app.look', '--runtime', HERE).stderr.splitlines()[-1]}")

    seen = told["invocations"][0]["response"]
    assert (seen["user"], seen["write"], seen["temporary"], seen["pip"]) == (993, "OSError", "None", False)
    assert "home" not in seen["root"]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--runtime", HERE], 3, "which of its functions is the handler?"),
        (["--handler", "app.hello"], 3, "nothing in it tells its runtime"),
        (["--handler", "app.hello", "--runtime", "python2.7"], 3, "python2.7"),
        (["--handler", "app.hello", "--runtime", HERE, "-e", "missing.json"], 3, "missing.json"),
        (["--handler", "app.hello", "--runtime", HERE, "-e", "app.zip"], 3, "Lambda takes JSON"),
        (["--handler", "app.hello", "--runtime", HERE, "--env", "TABLE"], 2, "NAME=VALUE"),
        (["--handler", "app.hello", "--runtime", HERE, "--layer", "event"], 6, "event"),
        (["--handler", "app.hello", "--runtime", HERE, "--python", "/bin/false"], 8, "/bin/false"),
    ],
)
def test_a_mistake_is_told_in_one_message(arguments, code, word, run):
    """No traceback."""
    done = run(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert word in done.stderr


def test_a_build_lets_the_handler_answer_its_events(shell, tmp_path, run):
    """With verify = "invoke", an event that it cannot answer fails the build."""
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.lambda-slim]\nruntime = "{HERE}"\nhandler = "app.fail"\noutput = "app.zip"\n'
        'verify = "invoke"\nverify-events = ["events/*.json"]\n'
    )
    (tmp_path / "app.py").write_text(HANDLER)
    (tmp_path / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "tests"\npackages = []\n')
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "good.json").write_text('{"well": true}')

    def build():
        return shell.hatch_lambda(
            "build", "-q", cwd=tmp_path, check=False, HATCH_LAMBDA_CACHE_DIR=str(run.folder / "cache")
        )

    assert (build().returncode, (tmp_path / "app.zip").is_file()) == (0, True)
    (tmp_path / "app.zip").unlink()
    (tmp_path / "events" / "bad.json").write_text("{}")
    done = build()
    assert (done.returncode, (tmp_path / "app.zip").exists()) == (7, False)
    assert "HL137: events/bad.json: ValueError: no good" in done.stderr


def test_a_cold_start_is_measured_against_a_baseline(shell, run):
    """In numbers for programs, a table for people, and with advice."""
    slow = {
        "app.py": "import json, dep\ndef handler(event, context): pass\n",
        "dep/__init__.py": "import time; time.sleep(0.1)\n",
    }
    make(run.folder / "slow.zip", slow)
    make(run.folder / "fast.zip", {"app.py": "def handler(event, context): pass\n"})
    told_so = ("--handler", "app.handler", "--runtime", HERE)
    measure = ("coldstart", "slow.zip", "--baseline", "fast.zip", "-n", "2", *told_so)
    cache = {"HATCH_LAMBDA_CACHE_DIR": str(run.folder / "cache")}

    told = json.loads(shell.hatch_lambda(*measure, "--json", cwd=run.folder, **cache).stdout)
    fits("coldstart", told)

    slow, fast = told["packages"]
    assert [len(package["init_ms"]) for package in (slow, fast)] == [2, 2]
    assert min(slow["init_ms"]) > 100
    assert max(cost["self_ms"] for cost in slow["imports"]) > 100
    assert slow["files_opened"] > fast["files_opened"] > 0
    assert (slow["modules"], fast["modules"]) == (2, 1)
    assert any("does not use it" in advice and "imports dep" in advice for advice in told["advice"])

    (run.folder / "times.json").write_text(json.dumps(told))
    for package, name in ((slow, "slow.zip"), (fast, "fast.zip")):
        report = ("report", name, "--coldstart", "times.json", "-o", "made")
        shell.hatch_lambda(*report, cwd=run.folder, **cache)
        shown = json.loads((run.folder / "made" / "report.json").read_text())["imports"]
        assert {one["of"]: one["self_ms"] for one in shown} == {one["of"]: one["self_ms"] for one in package["imports"]}

    table = shell.hatch_lambda(*measure, "-q", cwd=run.folder, **cache).stdout.splitlines()
    assert table[0].split() == ["package", "baseline"]
    assert any(line.startswith("median start, ms") for line in table)


def test_a_package_that_does_not_start_has_no_cold_start(shell, run):
    """But an error with AWS's type."""
    done = shell.hatch_lambda(
        "coldstart", "app.zip", "--handler", "needs.handler", "--runtime", HERE, cwd=run.folder, check=False
    )
    assert done.returncode == 7
    assert "Runtime.ImportModuleError" in done.stderr
