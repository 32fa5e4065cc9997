"""The command ``hatch-lambda schema``."""

from __future__ import annotations

import click


@click.command(short_help="Print the JSON Schema of the settings.")
def schema() -> None:
    """Print the JSON Schema of [tool.lambda-slim]."""
    import json

    from hatch_lambda.schema import schema as make

    click.echo(json.dumps(make(), indent=2))
