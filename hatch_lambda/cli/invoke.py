"""The command ``hatch-lambda invoke``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from hatch_lambda.cli.options import JSON, QUIET, Command, environment, running


@click.command(cls=Command, short_help="Run a package's handler as Lambda does.")
@click.argument("package", metavar="ZIP")
@click.option(
    "-e", "--event", "files", multiple=True, metavar="FILE", help="An event for the handler: a file with JSON, or `-`."
)
@running
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0.001, max=900),
    default=3.0,
    show_default=True,
    help="At most 900.",
)
@click.option(
    "--memory", metavar="MB", type=click.IntRange(128, 10240), default=128, show_default=True, help="At most 10240."
)
@click.option(
    "--sandbox/--no-sandbox",
    default=None,
    help="Isolate it from this machine (Linux, as root), or do not.",
)
@JSON
@QUIET
def invoke(
    package: str,
    files: tuple[str, ...],
    variables: tuple[str, ...],
    sandbox: bool | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Run the handler of the package ZIP as Lambda does: in AWS's own runtime interface client.

    One process answers all events (default: `{}`), one after the other. The function gets Lambda's environment, and
    the variables that --env sets. The responses go to standard output, the log to standard error.
    """
    from hatch_lambda import api
    from hatch_lambda.cli.show import show_error
    from hatch_lambda.cli.show_run import Invocations, failure

    events = [_read(name) for name in files] or [b"{}"]
    show = Invocations(as_json=as_json, quiet=quiet)
    invoked = api.invoke(
        package, events, env=environment(variables), sandbox=sandbox, log=show.log, done=show.done, **options
    )
    show.end(invoked)
    if invoked.failed:
        show_error(failure(invoked))
        sys.exit(failure(invoked).exit_code)


def _read(name: str) -> bytes:
    """Return the event in a file, as bytes of JSON. Raises ConfigurationError for a file without JSON."""
    from hatch_lambda.core.codec import JSON_LIMIT
    from hatch_lambda.inspect.run.invoke import as_event, read_event

    if name == "-":
        return as_event(sys.stdin.buffer.read(JSON_LIMIT), "standard input")
    return read_event(Path(name), name)
