"""The command ``hatch-lambda schema``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from hatch_lambda.cli.options import Command

if TYPE_CHECKING:
    from msgspec import Struct


DOCUMENTS = {
    "build": ("inspect.package:PackageDocument", "inspect.package:PackagesDocument"),
    "slim": ("inspect.package:SlimmedFolderDocument",),
    "explain": ("pipeline.explain:Explanation",),
    "rules": ("pipeline.explain:RulesDocument",),
    "verify": ("inspect.audit.verify:VerifiedDocument",),
    "invoke": ("inspect.run.invoke:InvokedDocument",),
    "coldstart": ("inspect.run.coldstart:ColdStart",),
    "report": ("inspect.report.document:Report",),
    "clean": ("cli.documents:CleanDocument",),
    "cache": ("cli.documents:CacheDocument",),
}
"""What each command prints with ``--json``: one of these Structs."""


def kinds(command: str) -> tuple[type[Struct], ...]:
    """Return the Structs of which *command* prints one with ``--json``."""
    names = (name.split(":") for name in DOCUMENTS[command])
    return tuple(getattr(import_module(f"hatch_lambda.{module}"), struct) for module, struct in names)


@click.command(cls=Command, short_help="Print the JSON Schema of the settings, or of what a command prints.")
@click.argument("of", type=click.Choice(["settings", *DOCUMENTS]), default="settings", metavar="[settings|COMMAND]")
def schema(of: str) -> None:
    """Print the JSON Schema of [tool.lambda-slim], or of what a COMMAND prints with --json.

    That of `report` is the report.json, too.
    """
    import json

    click.echo(json.dumps(_schema(of), indent=2))


def _schema(of: str) -> dict[str, Any]:
    if of == "settings":
        from hatch_lambda.config.schema import schema as settings_schema

        return settings_schema()
    from hatch_lambda.core.codec import json_schema

    return json_schema(of, *kinds(of))
