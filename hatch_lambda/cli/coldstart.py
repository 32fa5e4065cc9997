"""The command ``hatch-lambda coldstart``."""

from __future__ import annotations

from typing import Any

import click

from hatch_lambda.cli.options import JSON, QUIET, VERBOSE, Command, environment, running


@click.command(cls=Command, short_help="Measure how long a package takes to start.")
@click.argument("package", metavar="ZIP")
@click.option(
    "--baseline",
    metavar="ZIP|unslimmed",
    help="Measure another package, too: a zip, or the project built without slimming.",
)
@click.option(
    "-n", "--runs", metavar="N", type=click.IntRange(1, 1000), default=10, show_default=True, help="Starts of each."
)
@running
@JSON
@QUIET
@VERBOSE
def coldstart(
    package: str, variables: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, **options: Any
) -> None:
    """Measure how long the package ZIP takes to start, and which of its imports take the time.

    Each start is a fresh process of AWS's runtime interface client, with nothing of the package in the page cache.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import show
    from hatch_lambda.cli.show_run import cold_start

    with show.progress(quiet=quiet or as_json) as progress:
        measured = api.coldstart(package, env=environment(variables), progress=progress, **options)
    cold_start(measured, as_json=as_json, quiet=quiet, everything=verbose > 0)
