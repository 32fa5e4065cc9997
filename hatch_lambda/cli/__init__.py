"""The command ``hatch-lambda``."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

import click

from hatch_lambda import __version__
from hatch_lambda.errors import HatchLambdaError

_INTERRUPTED, _TERMINATED = 130, 143
"""What a shell reports for programs that SIGINT and SIGTERM ended."""

_ALLOCATIONS = 50_000
"""Objects after which the garbage collector looks at the youngest."""


def main() -> None:
    """Run the command line; every error that a user can cause ends in one message and its exit code."""
    _collect_rarely()
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        hatch_lambda(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        click.echo("interrupted; an older package was left as it is", err=True)
        sys.exit(_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HatchLambdaError as error:
        from hatch_lambda.cli.output import show_error

        show_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _leave_pipe()


def _collect_rarely() -> None:
    """Look for cyclic garbage rarely, and not at the end: there is little, and a short run spends a sixth on it."""
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)


def _terminate(*_: object) -> NoReturn:
    """Leave as after an error, so that nothing half-done stays behind."""
    sys.exit(_TERMINATED)


def _leave_pipe() -> NoReturn:
    """Leave silently when the reader of the output has left; the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


COMMANDS = ("build", "slim", "explain", "rules", "verify", "invoke", "coldstart", "report", "clean", "cache", "schema")
"""In the order in which one needs them; each is in the module of its name."""


class _Commands(click.Group):
    """A group whose commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"hatch_lambda.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hatch-lambda", message="%(prog)s %(version)s")
def hatch_lambda() -> None:
    """Turn a Python project into a small, reproducible AWS Lambda package.

    Settings stand in the table [tool.lambda-slim] of the project's pyproject.toml.
    """
