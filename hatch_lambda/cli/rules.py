"""The command ``hatch-lambda rules``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hatch_lambda.cli.options import JSON, VERBOSE, Command, given, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_lambda.pipeline.explain import Saving


@click.command(cls=Command, short_help="List the rules of slimming, and what each saves.")
@click.argument("project", default=".", metavar="[PROJECT]")
@settings
@VERBOSE
@JSON
def rules(project: str, verbose: int, as_json: bool, **options: Any) -> None:
    """List the rules, which of them are on, and what each saves in PROJECT, or would save if it were on.

    Without a lock file, the savings are unknown. `-v` shows the reasons.
    """
    from hatch_lambda import api
    from hatch_lambda.cli import show
    from hatch_lambda.cli.show import listing
    from hatch_lambda.pipeline.explain import RulesDocument

    with show.progress(quiet=as_json, lines=False) as progress:
        savings = api.rules(project, progress=progress, **given(options))
    listing(_lines(savings, verbose=verbose > 0), RulesDocument(rules=savings), as_json=as_json)


def _lines(savings: Sequence[Saving], *, verbose: bool) -> Iterator[str]:
    """Yield a table of the rules; if *verbose*, their reasons below it."""
    from hatch_lambda.core.text import facts, size, table

    rows = [("rule", "by default", "here", "saves")]
    for saving in savings:
        states = ("on" if saving.default else "off", "on" if saving.on else "off")
        rows.append((saving.name, *states, "" if saving.bytes is None else size(saving.bytes)))
    yield from table(rows)
    if verbose:
        yield ""
        yield from facts([(saving.name, saving.reason) for saving in savings])
