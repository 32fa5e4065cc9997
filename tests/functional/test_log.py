"""What is logged: every command with its time and exit code, every error with its traceback, and no secret."""

from __future__ import annotations

import logging
import os
import re
import sys

import click
import pytest
from click.testing import CliRunner

from hatch_lambda.api import build as hatch_lambda_build
from hatch_lambda.cli.commands import COMMANDS, hatch_lambda
from hatch_lambda.cli.options import Command
from hatch_lambda.core.log import listening, logger
from hatch_lambda.core.process import Child, ask, run
from hatch_lambda.errors import CommandError, HatchLambdaError, MissingToolError
from hatch_lambda.errors.secrets import hide
from hatch_lambda.hatch.app import aborting
from tests.support.wheels import make_project, make_wheel

ADDRESS = "https://user:password@example.invalid/simple"


def python(code):
    return [sys.executable, "-c", code]


def call(way, code, folder):
    """Run Python *code* in one of the ways that there are."""
    if way == "run":
        run(python(code), cwd=folder, environment=os.environ)
    elif way == "ask":
        ask(python(code), cwd=folder, environment=os.environ, seconds=20)
    else:
        Child(python(code), cwd=folder, environment=os.environ, tell=lambda _: None).wait(20)


@pytest.mark.parametrize("way", ["run", "ask", "child"])
def test_each_command_is_logged_with_its_folder_time_and_exit_code(way, tmp_path):
    """However it is run, once."""
    lines = []
    with listening(lines.append, everything=False):
        call(way, "pass", tmp_path)
    assert len(lines) == 1
    assert re.search(
        rf"core\.process: `.* -c pass` in {re.escape(str(tmp_path))}: exit code 0 after \d+\.\d\d s", lines[0]
    )


def test_a_command_that_fails_and_one_that_is_not_there_are_logged_too(tmp_path):
    lines = []
    with listening(lines.append, everything=False):
        with pytest.raises(CommandError):
            call("run", "import sys; sys.exit(3)", tmp_path)
        with pytest.raises(MissingToolError):
            run([str(tmp_path / "no-program")], cwd=tmp_path, environment=os.environ)
    assert "exit code 3" in lines[0]
    assert "no-program" in lines[1]


def test_no_secret_comes_to_any_handler(tmp_path, caplog):
    """Neither of a command's arguments, nor of a decision, nor of a traceback: an application may log all of it."""
    hide(["hunter2hunter2"])
    caplog.set_level(logging.DEBUG)
    run([*python("pass"), f"--index={ADDRESS}"], cwd=tmp_path, environment=os.environ)
    log = logger("hatch_lambda.some_module")
    log.debug("index %s for %s", ADDRESS, "hunter2hunter2")
    try:
        int(f"{ADDRESS} hunter2hunter2")
    except ValueError:
        log.debug("it failed", exc_info=True)
    assert "some_module" in caplog.text
    assert "ValueError" in caplog.text
    assert "example.invalid" in caplog.text
    assert "password" not in caplog.text
    assert "hunter2" not in caplog.text


def test_nobody_hears_anything_once_it_is_over(tmp_path):
    """And what another program says about our log holds again."""
    lines = []
    with listening(lines.append, everything=True):
        pass
    call("run", "pass", tmp_path)
    assert lines == []
    assert logging.getLogger("hatch_lambda").level == logging.NOTSET


def work_and_fail(folder):
    call("run", "pass", folder)
    logger("hatch_lambda.some_module").debug("a decision")
    raise HatchLambdaError("refused")


def commands():
    """Yield every command, and each of a group."""
    for name in COMMANDS:
        command = hatch_lambda.get_command(None, name)
        yield from command.commands.values() if isinstance(command, click.Group) else [command]


@pytest.mark.parametrize("command", list(commands()), ids=lambda command: command.name)
def test_every_command_shows_its_log(command):
    """By the same options, whatever else it has."""
    output = CliRunner().invoke(command, ["--help"]).output
    assert "--debug" in output
    assert "-v, --verbose" in output


@pytest.mark.parametrize(
    ("options", "shown", "hidden"),
    [
        ((), "", "core."),
        (("-v",), "", "core."),
        (("-vv",), "exit code 0", "some_module"),
        (("--debug",), "some_module: a decision", "exit code 3"),
        (("-vv", "--debug"), "Traceback", "exit code 3"),
    ],
)
def test_v_twice_shows_commands_and_debug_everything(options, shown, hidden, tmp_path):
    """Each once, and a traceback of an error that ends the command, although a user can cause it."""

    @click.command(cls=Command)
    def command():
        work_and_fail(tmp_path)

    done = CliRunner().invoke(command, options)
    assert isinstance(done.exception, HatchLambdaError)
    assert shown in done.stderr
    assert hidden not in done.stderr
    assert done.stderr.count("exit code 0") == (1 if shown else 0)
    assert ("Traceback" in done.stderr) is ("--debug" in options)


class App:
    """The part of Hatch's application that the doors use."""

    def __init__(self, verbosity):
        self.verbosity = verbosity
        self.lines = []

    def display_debug(self, message, level):
        assert level <= self.verbosity
        self.lines.append(message)

    def abort(self, message, code):
        self.lines.append(message)
        sys.exit(code)


@pytest.mark.parametrize(("verbosity", "shown"), [(0, 1), (1, 1), (2, 2), (3, 4)])
def test_hatch_shows_as_much_as_it_was_asked_for(verbosity, shown, tmp_path):
    """The error alone; commands, too; everything."""
    app = App(verbosity)
    with pytest.raises(SystemExit), aborting(app):
        work_and_fail(tmp_path)
    assert len(app.lines) == shown
    assert app.lines[-1] == "hatch-lambda: refused"
    assert any("Traceback" in line for line in app.lines) is (verbosity == 3)


@pytest.mark.skipif(sys.platform != "linux", reason="the package is run there only")
def test_a_build_tells_every_decision(tmp_path, monkeypatch):
    """Enough to see why two builds differ: what was found, what was chosen, what was kept, what was run."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    project = make_project(tmp_path / "service", make_wheel(tmp_path / "wheels", "dep"), settings='handler = "app.f"')
    (project / "app.py").write_text("import dep\ndef f(event, context): pass\n")
    logs = []
    for _ in range(2):
        lines = []
        with listening(lines.append, everything=True):
            hatch_lambda_build(project)
        logs.append("\n".join(lines))
    first, second = logs
    for decision in ("uv is ", "pylock.toml", "1 wheels", "slim: ", "app.f", "bytes"):
        assert decision in first
    assert "miss: parts" in first or "miss: known" in first
    assert "hit: parts" in second
    assert "all that it depends on are as before" in second
    assert "uv pip install" in first
    assert "uv pip install" not in second
