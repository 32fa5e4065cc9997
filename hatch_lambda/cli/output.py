"""What the command shows: the only module that prints."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from hatch_lambda.model import Silent
from hatch_lambda.report.text import finding_lines, size
from hatch_lambda.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import TaskID
    from typing_extensions import Self

    from hatch_lambda.errors import HatchLambdaError
    from hatch_lambda.model import Change, Progress
    from hatch_lambda.report import Package, Slimmed
    from hatch_lambda.slim import Decision

_PERCENT = 100
_LARGEST = 8


def show_error(error: HatchLambdaError) -> None:
    """Print an error and its remedy to standard error."""
    console = _console(stderr=True)
    for number, line in enumerate(error.message.splitlines()):
        prefix = "[red bold]error:[/] " if number == 0 else "       "
        console.print(prefix, end="")
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        console.print("[cyan] hint:[/] ", end="")
        console.print(error.hint, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Show what a build is doing: a moving line on a terminal, plain lines elsewhere, nothing if *quiet*."""
    console = _console(stderr=True)
    if quiet:
        yield Silent()
    elif not console.is_terminal:
        yield _Lines()
    else:
        with _Bars(console) as bars:
            yield bars


class _Lines:
    """A Progress for logs: a line for each stage."""

    def start(self, stage: str, total: int) -> None:  # noqa: ARG002 - Progress
        click.echo(f"{stage} ...", err=True)

    def advance(self, amount: int = 1) -> None:
        """Say nothing: a log keeps every line."""


class _Bars:
    """A Progress for people."""

    def __init__(self, console: Console) -> None:
        from rich import progress as bars

        self._progress = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=30),
            bars.TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, stage: str, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(stage, total=total or None)

    def advance(self, amount: int = 1) -> None:
        if self._task is not None:
            self._progress.advance(self._task, amount)


def package(package: Package, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Print what was built."""
    if as_json:
        _print_json(package.to_json())
        return
    _findings(package, verbose=verbose)
    if quiet:
        return
    console = _console()
    _slimmed_tables(console, package, verbose=verbose)
    facts = Table.grid(padding=(0, 2))
    facts.add_row("unzipped", _against(package.tree.size, UNZIPPED_QUOTA, "Lambda's limit"))
    facts.add_row("zip", _against(package.size, DIRECT_UPLOAD_QUOTA, "a direct upload"))
    facts.add_row("SHA-256", package.sha256)
    facts.add_row("CodeSha256", package.code_sha256)
    facts.add_row("content", package.content_sha256)
    facts.add_row("target", f"{package.runtime} on {package.architecture}")
    console.print(facts)
    click.echo(str(package.path))


def slimmed(result: Slimmed, directory: str, *, dry_run: bool, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Print what slimming a folder did, or would do."""
    if as_json:
        _print_json({"directory": directory, "dry_run": dry_run, **result.to_json()})
        return
    _findings(result, verbose=verbose)
    if quiet:
        return
    _slimmed_tables(_console(), result, verbose=verbose)
    if dry_run:
        click.echo(f"{directory}: nothing was written (--dry-run)")


def decisions(path: str, taken: Sequence[Change], judged: Sequence[Decision]) -> None:
    """Print why each of some files is, or is not, in the package."""
    if not taken and not judged:
        raise click.ClickException(f"{path}: neither the dependencies nor the project have such a file")
    for change in taken:
        click.echo(f"{change.path}: removed by {change.rule}: {change.reason}")
    for decision in judged:
        verdict = "kept" if decision.kept else "removed"
        pattern = f" (pattern {decision.pattern!r})" if decision.pattern else ""
        owner = f" [{decision.file.distribution}]" if decision.file.distribution else ""
        click.echo(f"{decision.file.path}{owner}: {verdict} by {decision.rule}{pattern}: {decision.reason}")


def _slimmed_tables(console: Console, result: Slimmed, *, verbose: bool) -> None:
    stages = _table("stage", "files", "size", "seconds")
    for stage in result.stages:
        stages.add_row(stage.name, str(stage.files), size(stage.size), f"{stage.seconds:.2f}")
    console.print(stages)
    rules = result.by_rule()
    if rules:
        table = _table("removed by", "files", "size")
        for name, files, saved in rules if verbose else rules[:_LARGEST]:
            table.add_row(name, str(files), size(saved))
        _rest(table, rules, verbose=verbose, what="rules")
        console.print(table)
    distributions = result.distributions()
    table = _table("largest", "size")
    for name, amount in distributions if verbose else distributions[:_LARGEST]:
        table.add_row(name, size(amount))
    _rest(table, distributions, verbose=verbose, what="distributions")
    console.print(table)


def _rest(table: Table, rows: Sequence[tuple[Any, ...]], *, verbose: bool, what: str) -> None:
    if not verbose and len(rows) > _LARGEST:
        rest = sum(row[-1] for row in rows[_LARGEST:])
        filler = [""] * (len(table.columns) - 2)
        table.add_row(f"{len(rows) - _LARGEST} other {what} (-v)", *filler, size(rest))


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _against(amount: int, quota: int, name: str) -> str:
    return f"{size(amount)}, {amount * _PERCENT / quota:.0f} % of {name} ({size(quota)})"


def _findings(result: Slimmed, *, verbose: bool) -> None:
    console = _console(stderr=True)
    for line in finding_lines(result.findings, notes=verbose):
        console.print(line, markup=False, highlight=False, style="yellow", soft_wrap=True)


def _print_json(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False)
