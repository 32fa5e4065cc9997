"""What the command shows: the only module that prints.

Results go to standard output, all else to standard error. Only a terminal gets colours, folded lines and a
moving line; logs and pipes get whole lines.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hatch_lambda.core.model import Silent
from hatch_lambda.core.text import hanging, table
from hatch_lambda.core.text import size as size_text
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.inspect.report.words import finding_lines, package_facts, slimmed_facts, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from msgspec import Struct
    from rich.progress import TaskID

    from hatch_lambda.cli.documents import CacheDocument, CleanDocument
    from hatch_lambda.core.model import Change, Finding, Progress
    from hatch_lambda.inspect.package import Package, Result, SlimmedFolder
    from hatch_lambda.inspect.report.write import ReportFiles
    from hatch_lambda.stages.slim.decision import Decision


_FINDING_INDENT = 4


def show_error(error: HatchLambdaError) -> None:
    """Print an error and its remedy to standard error."""
    label, indent = "error: ", len("error: ")
    first, *others = error.message.splitlines() or [""]
    paragraphs = [label + first, *(" " * indent + line for line in others)]
    lines = [line for text in paragraphs for line in _folded(text, indent)]
    _say(click.style(label, fg="red", bold=True) + lines[0][indent:])
    for line in lines[1:]:
        _say(line)
    if error.hint:
        first, *others = _folded(f" hint: {error.hint}", indent)
        for line in (click.style(first[:indent], fg="cyan") + first[indent:], *others):
            _say(line)


@contextmanager
def progress(*, quiet: bool, lines: bool = True) -> Iterator[Progress]:
    """Show what a build is doing: a moving line on a terminal, plain *lines* elsewhere, nothing if *quiet*."""
    if quiet:
        yield Silent()
    elif is_terminal(stderr=True):
        with _Bar() as bar:
            yield bar
    else:
        yield _Lines() if lines else Silent()


class _Lines:
    """A Progress for logs: a line for each stage, even if several trees pass through it."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def start(self, stage: str, total: int) -> None:  # noqa: ARG002 - Progress
        if stage not in self._told:
            self._told.add(stage)
            _say(f"{stage} ...")

    def advance(self, amount: int = 1) -> None:
        """Say nothing: a log keeps every line."""


class _Bar:
    """A Progress for terminals: one moving line, which is removed at the end."""

    def __init__(self) -> None:
        from rich import progress as bars
        from rich.console import Console

        self._progress = bars.Progress(
            bars.SpinnerColumn(),
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=20),
            bars.TimeElapsedColumn(),
            console=Console(stderr=True),
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


def package(package: Package, label: str, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Print what was built of the project called *label*: what matters most comes last, where a terminal shows it."""
    if as_json:
        print_json(package.document(label))
        return
    if not quiet:
        _print_tables(package, verbose=verbose)
        _print_lines(package_facts(package, width=width()))
        click.echo()
    _findings(package.findings, verbose=verbose)
    if not quiet:
        _print(click.style(_near(package.path), bold=True))


def report(files: ReportFiles, *, as_json: bool) -> None:
    """Print where a report is, or the report itself for programs."""
    if as_json:
        print_json(files.report)
        return
    for path in (files.document, files.sbom, files.page):
        _print(_near(path))


def cache(content: CacheDocument, *, as_json: bool) -> None:
    """Print what the cache holds, by kind."""
    if as_json:
        print_json(content)
        return
    rows = [(kind, str(held.entries), size_text(held.bytes)) for kind, held in content.kinds.items()]
    _print_lines(table([("kind", "entries", "size"), *rows], width=width()))
    _print(f"{content.folder}: {size_text(content.bytes)} of at most {size_text(content.max_bytes)}")


def slimmed(result: SlimmedFolder, *, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Print what slimming a folder did, or would do."""
    if as_json:
        print_json(result.document())
        return
    if not quiet:
        _print_tables(result, verbose=verbose)
        _print_lines(slimmed_facts(result, width=width()))
        click.echo()
    _findings(result.findings, verbose=verbose)
    if not quiet:
        verdict = "nothing was written (--dry-run)" if result.dry_run else "done" if result.changes else "nothing to do"
        _print(click.style(f"{result.directory}: {verdict}", bold=True))


def decisions(path: str, taken: Sequence[Change], judged: Sequence[Decision], *, as_json: bool) -> None:
    """Print for each file why it is in the package, or is not. Raises HatchLambdaError if there are none."""
    if not taken and not judged:
        raise HatchLambdaError(
            f"{path}: neither the dependencies nor the project have such a file or folder",
            hint="paths are those in the package: relative, with `/`; `.` stands for all of it",
        )
    if as_json:
        from hatch_lambda.pipeline.explain import Explanation

        print_json(Explanation.of(taken, judged))
        return
    for change in taken:
        verdict = "removed" if change.after is None else "changed"
        _print(f"{change.path}: {verdict} by {change.rule}: {change.reason}")
    for decision in judged:
        verdict = "kept" if decision.kept else "removed"
        shown = decision.pattern is not None and decision.pattern not in decision.reason
        pattern = f" (pattern `{decision.pattern}`)" if shown else ""
        owner = f" [{decision.file.distribution}]" if decision.file.distribution else ""
        _print(f"{decision.file.path}{owner}: {verdict} by {decision.rule}{pattern}: {decision.reason}")


def listing(lines: Iterable[str], document: Struct, *, as_json: bool) -> None:
    """Print *lines*, or the *document* that says the same to programs."""
    if as_json:
        print_json(document)
    else:
        _print_lines(lines)


def cleaned(document: CleanDocument, *, as_json: bool) -> None:
    """Print what was removed, or would be."""
    verb = "would remove" if document.dry_run else "removed"
    listing((f"{verb} {_near(Path(path))}" for path in document.removed), document, as_json=as_json)


def _print_tables(result: Result, *, verbose: bool) -> None:
    print_blocks(tables(result, width=width(), everything=verbose))


def print_blocks(blocks: Iterable[list[str]]) -> None:
    """Print tables, each with its heading first."""
    for heading, *rows in blocks:
        _print(click.style(heading, bold=True))
        _print_lines(rows)
        click.echo()


def _findings(findings: Iterable[Finding], *, verbose: bool) -> None:
    sys.stdout.flush()
    for finding in finding_lines(findings, notes=verbose):
        for line in _folded(finding, _FINDING_INDENT):
            _say(click.style(line, fg="yellow"))


def _near(path: Path) -> str:
    """Return *path*, relative to the current folder if it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        _print(line)


def _print(line: str) -> None:
    click.echo(line, color=is_terminal() and "NO_COLOR" not in os.environ)


def _say(line: str) -> None:
    click.echo(line, err=True, color=is_terminal(stderr=True) and "NO_COLOR" not in os.environ)


def _folded(paragraph: str, indent: int) -> list[str]:
    """Return *paragraph* folded to the width of the terminal; in a log it stays one line."""
    return hanging(paragraph, indent, shutil.get_terminal_size().columns if is_terminal(stderr=True) else None)


def print_json(document: Struct) -> None:
    """Print *document* for programs: in UTF-8, whatever the terminal has."""
    from hatch_lambda.core.codec import to_json

    click.echo(to_json(document), nl=False)


def width() -> int | None:
    """Return the columns of the terminal; None if standard output is none, so that lines stay whole."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def is_terminal(*, stderr: bool = False) -> bool:
    """Tell whether a person reads standard output, or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def packages(outcomes: Iterable[tuple[str, Package | HatchLambdaError]], *, as_json: bool, quiet: bool) -> int:
    """Print the outcome of each project as soon as it is there, and return the exit code."""
    from hatch_lambda.inspect.package import FailedBuild, PackagesDocument

    document = PackagesDocument(packages=[], errors=[])
    for project, outcome in outcomes:
        if isinstance(outcome, HatchLambdaError):
            document.errors.append(
                FailedBuild(project=project, error=outcome.message, hint=outcome.hint, exit_code=outcome.exit_code)
            )
            if not as_json:
                told = outcome.message.startswith(f"{project}: ")
                message = outcome.message if told else f"{project}: {outcome.message}"
                show_error(HatchLambdaError(message, hint=outcome.hint))
            continue
        if as_json:
            document.packages.append(outcome.document(project))
        else:
            _findings(outcome.findings, verbose=False)
            if not quiet:
                _print(f"{_near(outcome.path)}: {size_text(outcome.size)}")
                for other in outcome.others:
                    _print(f"{_near(other.path)}: {size_text(other.size)}")
    if as_json:
        print_json(document)
    return document.errors[0].exit_code if document.errors else 0
