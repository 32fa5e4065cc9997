"""The group of all commands, each of which is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

from hatch_lambda.core.version import __version__

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

    Settings live in the table [tool.lambda-slim] of the project's pyproject.toml.
    """
