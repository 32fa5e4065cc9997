"""The options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable


_TWICE = 2
_COMMANDS = "show the commands that it runs, with their times."


class Command(click.Command):
    """A command that can show what it runs (``-vv``), and all that it decides (``--debug``)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._uses_verbose = any(parameter.name == "verbose" for parameter in self.params)
        if not self._uses_verbose:
            self.params.append(_option("-v", "--verbose", count=True, help=f"Twice: {_COMMANDS}"))
        self.params.append(_option("--debug", is_flag=True, help="Show each decision, and a traceback of an error."))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with what was asked for going to standard error."""
        debug = ctx.params.pop("debug")
        verbose = ctx.params["verbose"] if self._uses_verbose else ctx.params.pop("verbose")
        if not debug and verbose < _TWICE:
            return super().invoke(ctx)
        from hatch_lambda.core.log import listening

        with listening(_say, everything=debug):
            return super().invoke(ctx)


def _option(*names: str, **options: Any) -> click.Option:
    return click.Option(names, **options)


def _say(line: str) -> None:
    click.echo(line, err=True)


class InOrder(click.Group):
    """A group whose help has its commands in the order in which one needs them."""

    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Return their names."""
        return list(self.commands)


def settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that replace settings of [tool.lambda-slim]."""
    options = [
        click.option("--runtime", metavar="NAME", help="Lambda runtime, such as python3.13."),
        click.option("--architecture", metavar="NAME", help="x86_64 or arm64."),
        click.option("--handler", metavar="MODULE.FUNCTION", help="The function's handler."),
        click.option("--as", "shape", metavar="SHAPE", help="function, layer, directory, wheel or nested."),
        click.option("--lock", metavar="FILE", help="Lock file, relative to the project."),
        click.option("--require-lock/--no-require-lock", default=None, help="Without a lock file: fail, or make one."),
        click.option("--extra", "extras", multiple=True, metavar="NAME", help="Include an extra."),
        click.option("--group", "groups", multiple=True, metavar="NAME", help="Include a dependency group."),
        CONFIG_SETTING,
    ]
    for option in reversed(options):
        function = option(function)
    return function


def running(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a package is run."""
    options = [
        click.option("--layer", "layers", multiple=True, metavar="ZIP", help="A layer; the last is on top."),
        click.option("--handler", metavar="MODULE.FUNCTION", help="Default: the handler of the project."),
        click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="Set an environment variable."),
        click.option("--runtime", metavar="NAME", help="Default: the one that the package is built for."),
        click.option("--architecture", metavar="NAME", help="Default: the one that the package is built for."),
        click.option("--python", metavar="FILE", help="Use this interpreter, not one that uv finds."),
        click.option(
            "--project",
            metavar="FOLDER",
            default=".",
            help="The project with the settings; default: this folder.",
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def environment(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the variables that --env gives."""
    variables = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.UsageError(f"--env {name}: expected NAME=VALUE")
        variables[name] = value
    return variables


CONFIG_SETTING = click.option(
    "-C",
    "--config-setting",
    "config_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace any setting of the table [tool.lambda-slim] for this run.",
)
FUNCTION = click.option("--function", metavar="NAME", help="Which of the project's functions.")
VERBOSE = click.option(
    "-v", "--verbose", count=True, help=f"Show notes, and every row of the tables. Twice: {_COMMANDS}"
)
QUIET = click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the command line gives, without the options that were not given."""
    from hatch_lambda.config.decode import parse_value

    chosen = {name: value for name, value in options.items() if value not in (None, ())}
    for setting in chosen.pop("config_settings", ()):
        key, separator, value = setting.partition("=")
        if not separator:
            raise click.UsageError(f"-C {setting}: expected KEY=VALUE")
        chosen[key.removeprefix("lambda.")] = parse_value(value)
    return chosen
