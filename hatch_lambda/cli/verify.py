"""The command ``hatch-lambda verify``."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from hatch_lambda.cli.options import JSON, QUIET, VERBOSE, Command, given


@click.command(cls=Command, short_help="Check a package, whoever made it.")
@click.argument("package", metavar="ZIP|DIR")
@click.option("--runtime", metavar="NAME", help="Lambda runtime, such as python3.13; default: read from the files.")
@click.option("--architecture", metavar="NAME", help="x86_64 or arm64; default: read from the files.")
@click.option("--handler", metavar="MODULE.FUNCTION", help="The function's handler.")
@click.option("--layer", "layers", multiple=True, metavar="ZIP", help="A layer that the function has.")
@click.option("--ignore", "verify_ignore", multiple=True, metavar="CODE", help="A finding to ignore, such as HL104.")
@click.option("--project", metavar="FOLDER", help="Take the settings of the project in FOLDER.")
@JSON
@QUIET
@VERBOSE
def verify(package: str, project: str | None, as_json: bool, quiet: bool, verbose: int, **options: Any) -> None:
    """Find what keeps the package ZIP, or the one whose content is in DIR, from working on Lambda.

    The exit code is 7 if there is an error.
    """
    from hatch_lambda.api import verify_package
    from hatch_lambda.cli.show import print_blocks, print_json, width
    from hatch_lambda.errors import VerificationError
    from hatch_lambda.inspect.report.words import finding_tables, verified_line

    options["layers"] = tuple(map(os.path.abspath, options["layers"]))
    verified = verify_package(package, project=project, **given(options))
    if as_json:
        print_json(verified.document())
    else:
        print_blocks(finding_tables(verified.findings, width=width(), everything=verbose > 0))
        if not quiet:
            click.echo(verified_line(verified))
    sys.exit(0 if verified.is_sound else VerificationError.exit_code)
