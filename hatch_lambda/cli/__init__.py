"""The command ``hatch-lambda``."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hatch_lambda import __version__
from hatch_lambda.errors import HatchLambdaError

if TYPE_CHECKING:
    from collections.abc import Callable

_INTERRUPTED, _TERMINATED = 130, 143
"""What a shell reports for programs that SIGINT and SIGTERM ended."""


def main() -> None:
    """Run the command line; every error that a user can cause ends in one message and its exit code."""
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


def _terminate(*_: object) -> NoReturn:
    """Leave as after an error, so that nothing half-done stays behind."""
    sys.exit(_TERMINATED)


def _leave_pipe() -> NoReturn:
    """Leave silently when the reader of the output has left; the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


class _InOrder(click.Group):
    """A group whose help has its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hatch-lambda", message="%(prog)s %(version)s")
def hatch_lambda() -> None:
    """Turn a Python project into a small, reproducible AWS Lambda package.

    Settings stand in the table [tool.lambda-slim] of the project's pyproject.toml.
    """


def _settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that replace settings of [tool.lambda-slim]."""
    options = [
        click.option("--runtime", metavar="NAME", help="Lambda runtime, such as python3.13."),
        click.option("--architecture", metavar="NAME", help="x86_64 or arm64."),
        click.option("--handler", metavar="MODULE.FUNCTION", help="The function's handler."),
        click.option("--lock", metavar="FILE", help="Lock file, relative to the project."),
        click.option("--require-lock", is_flag=True, default=None, help="Fail where there is no lock file."),
        click.option("--extra", "extras", multiple=True, metavar="NAME", help="Include an extra."),
        click.option("--group", "groups", multiple=True, metavar="NAME", help="Include a dependency group."),
        _CONFIG_SETTING,
    ]
    for option in reversed(options):
        function = option(function)
    return function


_CONFIG_SETTING = click.option(
    "-C",
    "--config-setting",
    "config_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Replace any setting of the table [tool.lambda-slim] for this run.",
)
_VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Show notes, and every row of the tables.")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@hatch_lambda.command(short_help="Build the packages of projects.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@click.option("-o", "--output", metavar="FILE", help="Where the zip goes, relative to this folder.")
@_settings
@click.option("--cache-dir", metavar="FOLDER", help="Keep what later builds can use in FOLDER.")
@click.option("--no-cache", is_flag=True, help="Keep nothing, and use nothing that is kept.")
@click.option("--refresh", is_flag=True, help="Make everything anew, and keep that.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Build N projects at a time.")
@_JSON
@_QUIET
@_VERBOSE
def build(
    projects: tuple[str, ...],
    output: str | None,
    cache_dir: str | None,
    no_cache: bool,
    refresh: bool,
    jobs: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Build the Lambda packages of the projects in the folders PROJECT (default: this one).

    A project needs no build system. Its lock file says what is installed; where there is none, one is made. What
    several projects have in common is done once.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    if output is not None and len(projects) > 1:
        raise click.UsageError("--output names one file, but there are several projects")
    if output is not None:
        options["output"] = os.path.abspath(output)  # noqa: PTH100 - not resolved: the user's name stays
    if cache_dir is not None:
        os.environ["HATCH_LAMBDA_CACHE_DIR"] = cache_dir
    given = {"no_cache": no_cache, "refresh": refresh, **_given(options)}
    if len(projects) > 1:
        sys.exit(show.packages(api.build_all(projects, jobs=jobs, **given), as_json=as_json, quiet=quiet))
    with show.progress(quiet=quiet or as_json) as progress:
        package = api.build(*projects, progress=progress, **given)
    show.package(package, as_json=as_json, quiet=quiet, verbose=verbose)


@hatch_lambda.command(short_help="Slim a folder that `pip install --target` filled.")
@click.argument("directory", metavar="DIR")
@click.option("--project", metavar="FOLDER", help="Take the settings of the project in FOLDER.")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be done, and write nothing.")
@_CONFIG_SETTING
@_JSON
@_QUIET
@_VERBOSE
def slim(
    directory: str,
    project: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Slim what `pip install --target DIR` or `uv pip install --target DIR` put into DIR.

    In the folder of a layer that is what is below `python/`. Files are replaced, never changed in place.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    with show.progress(quiet=quiet or as_json) as progress:
        slimmed = api.slim(directory, project=project, dry_run=dry_run, progress=progress, **_given(options))
    show.slimmed(slimmed, directory, dry_run=dry_run, as_json=as_json, quiet=quiet, verbose=verbose)


@hatch_lambda.command(short_help="Tell why a file is in the package, or not.")
@click.argument("path")
@click.argument("project", default=".", metavar="[PROJECT]")
@_settings
@_JSON
def explain(path: str, project: str, as_json: bool, **options: Any) -> None:
    """Tell which rule takes or keeps the file PATH of the package, or each file in the folder PATH.

    PATH is relative to the top of the package; `.` stands for all of it.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    with show.progress(quiet=as_json, lines=False) as progress:
        taken, judged = api.explain(project, path, progress=progress, **_given(options))
    show.decisions(path, taken, judged, as_json=as_json)


@hatch_lambda.command(short_help="Remove the packages of a project.")
@click.argument("project", default=".", metavar="[PROJECT]")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
def clean(project: str, dry_run: bool) -> None:
    """Remove the packages that were made of PROJECT, and nothing else."""
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    show.cleaned(api.clean(project, dry_run=dry_run), dry_run=dry_run)


@hatch_lambda.group(cls=_InOrder, short_help="Look at, or empty, the cache.")
def cache() -> None:
    """Look at, or empty, the cache: what builds keep for later ones."""


@cache.command("dir")
def cache_dir() -> None:
    """Print the folder of the cache."""
    from hatch_lambda import api

    click.echo(api.cache_of().root)


@cache.command("info")
@_JSON
def cache_info(as_json: bool) -> None:
    """Tell what the cache holds."""
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    show.cache(api.cache_of(), as_json=as_json)


@cache.command("prune")
@click.option("--max-size", type=click.IntRange(min=0), metavar="BYTES", help="Instead of cache-max-size.")
def cache_prune(max_size: int | None) -> None:
    """Remove what killed builds left, and what was used least recently above the size limit."""
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    show.freed(api.cache_of().prune(max_size))


@cache.command("clear")
def cache_clear() -> None:
    """Remove everything in the cache."""
    from hatch_lambda import api
    from hatch_lambda.cli import output as show

    show.freed(api.cache_of().clear())


@hatch_lambda.command(short_help="Print the JSON Schema of the settings.")
def schema() -> None:
    """Print the JSON Schema of [tool.lambda-slim]."""
    import json

    from hatch_lambda.schema import schema as make

    click.echo(json.dumps(make(), indent=2))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the command line gives: what was left out is not among them."""
    from hatch_lambda.config import parse_value

    given = {name: value for name, value in options.items() if value not in (None, ())}
    for setting in given.pop("config_settings", ()):
        key, separator, value = setting.partition("=")
        if not separator:
            raise click.UsageError(f"-C {setting}: expected KEY=VALUE")
        given[key.removeprefix("lambda.")] = parse_value(value)
    return given
