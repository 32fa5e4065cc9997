"""The command ``hatch-lambda slim``."""

from __future__ import annotations

from typing import Any

import click

from hatch_lambda.cli.options import CONFIG_SETTING, JSON, QUIET, VERBOSE, Command, given


@click.command(cls=Command, short_help="Slim a folder that `pip install --target` filled.")
@click.argument("directory", metavar="DIR")
@click.option("--project", metavar="FOLDER", help="Take the settings of the project in FOLDER.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done, and write nothing.")
@CONFIG_SETTING
@JSON
@QUIET
@VERBOSE
def slim(
    directory: str,
    project: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **options: Any,
) -> None:
    """Slim what `pip install --target DIR` or `uv pip install --target DIR` put into DIR.

    In the folder of a layer, that is what lies below `python/`. Files are replaced, never changed in place.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import show

    with show.progress(quiet=quiet or as_json) as progress:
        slimmed = api.slim(directory, project=project, dry_run=dry_run, progress=progress, **given(options))
    show.slimmed(slimmed, as_json=as_json, quiet=quiet, verbose=verbose > 0)
