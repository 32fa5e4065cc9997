"""The command ``hatch-lambda explain``."""

from __future__ import annotations

from typing import Any

import click

from hatch_lambda.cli.options import FUNCTION, JSON, Command, given, settings


@click.command(cls=Command, short_help="Explain why a file is in the package, or is not.")
@click.argument("path")
@click.argument("project", default=".", metavar="[PROJECT]")
@FUNCTION
@settings
@JSON
def explain(path: str, project: str, function: str | None, as_json: bool, **options: Any) -> None:
    """Show which rule removes or keeps the file PATH of the package, or each file in the folder PATH.

    PATH is relative to the top of the package; `.` stands for all of it.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import show
    from hatch_lambda.cli.show import decisions

    with show.progress(quiet=as_json, lines=False) as progress:
        taken, judged = api.explain(project, path, function=function, progress=progress, **given(options))
    decisions(path, taken, judged, as_json=as_json)
