"""The command ``hatch-lambda clean``."""

from __future__ import annotations

import click

from hatch_lambda.cli.options import JSON, Command


@click.command(cls=Command, short_help="Remove the packages of a project.")
@click.argument("project", default=".", metavar="[PROJECT]")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@JSON
def clean(project: str, dry_run: bool, as_json: bool) -> None:
    """Remove the packages that were built from PROJECT, and nothing else."""
    from hatch_lambda import api
    from hatch_lambda.cli.documents import CleanDocument
    from hatch_lambda.cli.show import cleaned

    removed = [str(path) for path in api.clean(project, dry_run=dry_run)]
    cleaned(CleanDocument(dry_run=dry_run, removed=removed), as_json=as_json)
