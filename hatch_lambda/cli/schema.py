"""The command ``hatch-lambda schema``."""

from __future__ import annotations

import click


@click.command(short_help="Print the JSON Schema of the settings, or of report.json.")
@click.argument("of", type=click.Choice(["settings", "report"]), default="settings", metavar="[settings|report]")
def schema(of: str) -> None:
    """Print the JSON Schema of [tool.lambda-slim], or of the report.json that `hatch-lambda report` writes."""
    import json

    if of == "report":
        from hatch_lambda.inspect.report.document import schema as make
    else:
        from hatch_lambda.config.schema import schema as make
    click.echo(json.dumps(make(), indent=2))
