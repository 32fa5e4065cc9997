"""The command ``hatch-lambda report``."""

from __future__ import annotations

import click

from hatch_lambda.cli.options import JSON, Command


@click.command(cls=Command, short_help="Write a report of a package, whoever made it.")
@click.argument("package", metavar="ZIP")
@click.option(
    "-o", "--output", "folder", default="report", show_default=True, metavar="DIR", help="Where the files go."
)
@click.option("--previous", metavar="FILE", help="Compare with this report.json, not with the one in DIR.")
@click.option("--coldstart", metavar="FILE", help="Show the import times that `hatch-lambda coldstart --json` printed.")
@JSON
def report(package: str, folder: str, previous: str | None, coldstart: str | None, as_json: bool) -> None:
    """Write report.html, report.json and sbom.cdx.json about a package to DIR.

    The page shows where the bytes are; sbom.cdx.json is its bill of materials (CycloneDX 1.6). If DIR has an earlier
    report, the new one shows what grew. `hatch-lambda build --report DIR` also shows what was removed, and why.
    """
    from hatch_lambda.api import write_report
    from hatch_lambda.cli import show

    show.report(write_report(package, folder, previous=previous, coldstart=coldstart), as_json=as_json)
