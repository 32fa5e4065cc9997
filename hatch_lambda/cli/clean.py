"""The command ``hatch-lambda clean``."""

from __future__ import annotations

import click


@click.command(short_help="Remove the packages of a project.")
@click.argument("project", default=".", metavar="[PROJECT]")
@click.option("-n", "--dry-run", is_flag=True, help="Tell what would be removed, and remove nothing.")
def clean(project: str, dry_run: bool) -> None:
    """Remove the packages that were made of PROJECT, and nothing else."""
    from hatch_lambda import api
    from hatch_lambda.cli.show import cleaned

    cleaned(api.clean(project, dry_run=dry_run), dry_run=dry_run)
