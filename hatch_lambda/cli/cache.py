"""The command ``hatch-lambda cache``."""

from __future__ import annotations

import click

from hatch_lambda.cli.options import JSON, InOrder


@click.group(cls=InOrder, short_help="Show or empty the cache.")
def cache() -> None:
    """Show or empty the cache, which holds what builds keep for later ones."""


@cache.command("dir")
def cache_dir() -> None:
    """Print the folder of the cache."""
    from hatch_lambda.api import cache_of

    click.echo(cache_of().root)


@cache.command("info")
@JSON
def cache_info(as_json: bool) -> None:
    """Show what the cache holds."""
    from hatch_lambda.api import cache_of
    from hatch_lambda.cli import show
    from hatch_lambda.cli.documents import CacheDocument

    show.cache(CacheDocument.of(cache_of()), as_json=as_json)


@cache.command("prune")
@click.option("--max-size", type=click.IntRange(min=0), metavar="BYTES", help="Instead of cache-max-size.")
def cache_prune(max_size: int | None) -> None:
    """Remove what killed builds left, then the least recently used entries until the size limit holds."""
    from hatch_lambda.api import cache_of

    _freed(cache_of().prune(max_size))


@cache.command("clear")
def cache_clear() -> None:
    """Remove everything in the cache."""
    from hatch_lambda.api import cache_of

    _freed(cache_of().clear())


def _freed(count: int) -> None:
    """Print how many bytes were freed."""
    from hatch_lambda.core.text import size as size_text

    click.echo(f"{size_text(count)} freed")
