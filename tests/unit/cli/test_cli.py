"""The command line, without any build."""

from __future__ import annotations

import os

import click
import pytest
from click.testing import CliRunner

from hatch_lambda.cli import main
from hatch_lambda.cli.commands import COMMANDS, hatch_lambda
from hatch_lambda.cli.options import given
from hatch_lambda.cli.show import decisions, show_error
from hatch_lambda.errors import HatchLambdaError, LockError


def test_the_help_lists_the_commands_in_the_order_of_need():
    """Each in one whole line."""
    output = CliRunner().invoke(hatch_lambda, ["--help"]).output
    lines = [line.split() for line in output.partition("Commands:\n")[2].splitlines()]

    assert [words[0] for words in lines] == list(COMMANDS)
    assert all(words[-1].endswith(".") and not words[-1].endswith("...") for words in lines)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_help_fits_the_terminal(command, width):
    """At every level."""
    result = CliRunner().invoke(hatch_lambda, [command, "--help"], terminal_width=width)

    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= width


def test_options_become_settings():
    """What was not given is not among them; ``-C`` is read as TOML."""
    chosen = given(
        {
            "runtime": None,
            "extras": (),
            "lock": "uv.lock",
            "require_lock": True,
            "config_settings": ("strip=false", "lambda.runtime=python3.12", "patterns=['a=b']"),
        }
    )

    assert chosen == {
        "lock": "uv.lock",
        "require_lock": True,
        "strip": False,
        "runtime": "python3.12",
        "patterns": ["a=b"],
    }


def test_a_setting_without_a_value_is_refused():
    """As an unusable command line."""
    with pytest.raises(click.UsageError, match="expected KEY=VALUE"):
        given({"config_settings": ("strip",)})


def test_an_error_is_told_with_its_remedy(capsys):
    """On standard error; each line of it is indented."""
    show_error(HatchLambdaError("here: two things\n    one\n[bold]two[/]", hint="mend them"))
    output = capsys.readouterr()

    assert output.out == ""
    assert output.err == "error: here: two things\n           one\n       [bold]two[/]\n hint: mend them\n"


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (LockError("stale", hint="lock"), 4, "error: stale\n hint: lock\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (KeyboardInterrupt(), 130, "interrupted; an older package was left as it is\n"),
    ],
    ids=["ours", "click's", "Ctrl-C"],
)
def test_main_exits_with_the_code_of_the_error(raised, code, words, monkeypatch, capsys):
    """And without a traceback."""

    def fail(*_, **__):
        raise raised

    monkeypatch.setattr("hatch_lambda.config.schema.schema", fail)
    monkeypatch.setattr("sys.argv", ["hatch-lambda", "schema"])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with pytest.raises(SystemExit) as left:
        main()

    assert left.value.code == code
    assert capsys.readouterr().err.lstrip().endswith(words)


def test_a_path_that_nobody_has_is_an_error():
    """Silence would look like "kept"."""
    with pytest.raises(HatchLambdaError, match="nothing: neither the dependencies nor the project"):
        decisions("nothing", [], [], as_json=False)


def test_the_folder_of_the_cache_is_an_option_of_one_build(tmp_path, monkeypatch):
    """Not written to the environment, where the next build of this process, and any other program, would find it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HATCH_LAMBDA_CACHE_DIR", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine").write_text("")
    result = CliRunner().invoke(hatch_lambda, ["build", "--cache-dir", "home"])
    assert "HATCH_LAMBDA_CACHE_DIR" not in os.environ
    assert isinstance(result.exception, HatchLambdaError)
    assert str(result.exception).startswith(f"option `--cache-dir`: {tmp_path / 'home'} is no cache")


def test_an_error_that_nobody_foresaw_looks_like_a_bug(monkeypatch, capsys):
    """It may not happen again: its traceback is shown at once, without secrets, and below it what to do with it."""

    def fail(**_):
        raise KeyError("https://user:password@example.invalid")

    monkeypatch.setattr("hatch_lambda.cli.commands.hatch_lambda", fail)
    monkeypatch.setattr("hatch_lambda.cli.hear", lambda: None)
    monkeypatch.setattr("hatch_lambda.cli.stop_hearing", lambda: None)
    monkeypatch.setattr("hatch_lambda.cli.streams.prepare", lambda: None)
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr().err
    assert left.value.code == 1
    assert "Traceback" in told
    assert "password" not in told
    assert "error: internal error: KeyError: " in told
    assert "please report it" in told
