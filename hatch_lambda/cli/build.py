"""The command ``hatch-lambda build``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hatch_lambda.cli.options import JSON, QUIET, VERBOSE, Command, given, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.errors import HatchLambdaError
    from hatch_lambda.inspect.package import Package


if TYPE_CHECKING:
    Outcome = tuple[str, Package | HatchLambdaError]


@click.command(cls=Command, short_help="Build the packages of projects.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@click.option("-o", "--output", metavar="FILE", help="Where the zip goes, relative to this folder.")
@click.option("--function", "functions", multiple=True, metavar="NAME", help="Build this function only; repeatable.")
@settings
@click.option("--cache-dir", metavar="FOLDER", help="Use FOLDER as the cache.")
@click.option("--no-cache", is_flag=True, help="Neither read nor write the cache.")
@click.option("--refresh", is_flag=True, help="Rebuild everything, and keep the result.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Build N projects at a time.")
@click.option(
    "--report",
    "report",
    metavar="DIR",
    help="Also write a report to DIR; with several functions, each to DIR/NAME.",
)
@JSON
@QUIET
@VERBOSE
def build(
    projects: tuple[str, ...],
    output: str | None,
    functions: tuple[str, ...],
    cache_dir: str | None,
    no_cache: bool,
    refresh: bool,
    jobs: int | None,
    report: str | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **options: Any,
) -> None:
    """Build the Lambda packages of the projects in the folders PROJECT (default: this one).

    A project needs no build system. Its lock file says what is installed; if there is none, uv makes one. If a project
    has several functions, each gets a package. What several packages share is built once.
    """
    from hatch_lambda.api import build as build_package
    from hatch_lambda.api import build_all, names_of_functions, write_report
    from hatch_lambda.cli import show
    from hatch_lambda.cli.show import packages

    if output is not None and len(projects) > 1:
        raise click.UsageError("--output names one file, but there are several projects")
    if report is not None:
        if len(projects) > 1:
            raise click.UsageError("--report names one folder, but there are several projects")
        from hatch_lambda.inspect.report.write import require_extra

        require_extra()
    if output is not None:
        options["output"] = os.path.abspath(output)  # noqa: PTH100 - not resolved: the user's name stays
    chosen = {"no_cache": no_cache, "refresh": refresh, "cache_folder": cache_dir, **given(options)}
    if len(projects) > 1 or (len(functions) != 1 and names_of_functions(*projects)):
        outcomes = build_all(projects or (".",), functions=functions, jobs=jobs, **chosen)
        if report is not None:
            outcomes = _reported(outcomes, report)
        sys.exit(packages(outcomes, as_json=as_json, quiet=quiet))
    with show.progress(quiet=quiet or as_json) as progress:
        package = build_package(*projects, function=next(iter(functions), None), progress=progress, **chosen)
    files = write_report(package, report) if report is not None else None
    label = ":".join((*(projects or (".",)), *functions))
    show.package(package, label, as_json=as_json, quiet=quiet, verbose=verbose > 0)
    if files is not None and not (as_json or quiet):
        show.report(files, as_json=False)


def _reported(outcomes: Iterable[Outcome], folder: str) -> Iterator[Outcome]:
    """Write the report of each function to a folder of its own in *folder*."""
    from hatch_lambda.api import write_report
    from hatch_lambda.errors import HatchLambdaError

    for label, outcome in outcomes:
        result = outcome
        if not isinstance(outcome, HatchLambdaError):
            try:
                write_report(outcome, Path(folder, outcome.function or ""))
            except HatchLambdaError as error:
                result = error
        yield label, result
