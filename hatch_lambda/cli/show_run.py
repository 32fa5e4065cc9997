"""Show what running a package gave: responses, logs, cold starts."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import click

from hatch_lambda.cli.show import is_terminal, print_json
from hatch_lambda.core.codec import parse_json
from hatch_lambda.core.text import hanging, table
from hatch_lambda.core.text import size as size_text
from hatch_lambda.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_lambda.inspect.run.coldstart import ColdStart, Start
    from hatch_lambda.inspect.run.function import Invocation
    from hatch_lambda.inspect.run.invoke import Invoked


_SHOWN = 10
_INDENT = 4

_REMEDIES = {
    "Runtime.ImportModuleError": "`hatch-lambda explain .` tells which files are not in the package, and why",
    "Runtime.HandlerNotFound": "name the handler: --handler package.module.function",
    "Runtime.OutOfMemory": "give it more with --memory; it is the memory of this machine's interpreter, and Lambda's"
    " differs a little",
    "Sandbox.Timedout": "give it more with --timeout",
}


class Invocations:
    """Show invocations while they happen: responses on standard output, the log on standard error."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet

    def log(self, text: str) -> None:
        """Show a piece of the log."""
        if not self._quiet and not self._as_json:
            click.echo(text, err=True, nl=False)

    def done(self, invocation: Invocation) -> None:
        """Show a response, if it is one."""
        if not self._as_json:
            sys.stderr.flush()
            click.echo(_response(invocation.payload))

    def end(self, invoked: Invoked) -> None:
        """Show how it was run."""
        if self._as_json:
            print_json(invoked.document())
        elif not self._quiet:
            where = "in a sandbox" if invoked.sandbox else f"without a sandbox: {invoked.why_no_sandbox}"
            emulated = ", emulated" if invoked.emulated else ""
            _note(f"{invoked.runtime} on {invoked.architecture}{emulated}, {where}")


def failure(invoked: Invoked) -> VerificationError:
    """Return one error that describes each failed invocation."""
    errors = [done.error for done in invoked.failed if done.error is not None]
    lines = [f"{error.type}: {error.message}" for error in errors]
    hints = [_REMEDIES[error.type] for error in errors if error.type in _REMEDIES]
    return VerificationError("\n".join(dict.fromkeys(lines)), hint="; ".join(dict.fromkeys(hints)) or None)


def _response(payload: bytes) -> str:
    """Return a payload as it is, or laid out for a person at a terminal."""
    text = payload.decode("utf-8", "replace")
    if is_terminal():
        try:
            return json.dumps(parse_json(text), indent=2, ensure_ascii=False)
        except ValueError:
            pass
    return text


def cold_start(measured: ColdStart, *, as_json: bool, quiet: bool, everything: bool) -> None:
    """Print what starts take, and what would make them faster."""
    if as_json:
        print_json(measured)
        return
    names = [start.name for start in measured.starts]
    rows = [(label, *(value(start) for start in measured.starts)) for label, value in _FIGURES]
    _table([("", *names), *rows])
    click.echo()
    _table(_imports(measured, everything=everything))
    click.echo()
    if not quiet:
        for advice in measured.advice:
            _note(f"advice: {advice}")
        state = "nothing of it in the page cache" if measured.page_cache_dropped else "the page cache left as it was"
        runs = len(measured.starts[0].init_ms)
        _note(f"{measured.runtime} on {measured.architecture}, {runs} starts of each, {state}")


def _imports(measured: ColdStart, *, everything: bool) -> list[tuple[str, ...]]:
    """Return a row for each distribution: the seconds of its imports, here and in the baseline."""
    package, *baselines = measured.starts
    rows = [("imports of", "self, ms", "all, ms", *(f"{start.name}: self" for start in baselines))]
    shown = package.imports if everything else package.imports[:_SHOWN]
    for cost in shown:
        others = [next((_ms(o.self_ms) for o in start.imports if o.owner == cost.owner), "-") for start in baselines]
        rows.append((cost.owner, _ms(cost.self_ms), _ms(cost.cumulative_ms), *others))
    if rest := package.imports[len(shown) :]:
        rows.append((f"{len(rest)} others (-v)", _ms(sum(cost.self_ms for cost in rest)), "", *([""] * len(baselines))))
    return rows


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f}"


def _mb(size: int | None) -> str:
    return "-" if size is None else size_text(size)


_FIGURES: tuple[tuple[str, Callable[[Start], str]], ...] = (
    ("median start, ms", lambda start: _ms(start.median_init_ms)),
    ("fastest start, ms", lambda start: _ms(min(start.init_ms))),
    ("files opened", lambda start: str(start.files_opened)),
    ("modules", lambda start: str(start.modules)),
    ("of them without bytecode", lambda start: str(start.modules_without_bytecode)),
    ("peak memory", lambda start: _mb(start.peak_memory_bytes)),
    ("unzipped", lambda start: _mb(start.unzipped_bytes)),
    ("zipped", lambda start: _mb(start.zip_bytes)),
)


def _table(rows: Sequence[Sequence[str]]) -> None:
    for line in table(rows, shutil.get_terminal_size().columns if is_terminal() else None):
        click.echo(line)


def _note(paragraph: str) -> None:
    """Print a remark to standard error."""
    sys.stdout.flush()
    width = shutil.get_terminal_size().columns if is_terminal(stderr=True) else None
    for line in hanging(paragraph, _INDENT, width):
        click.echo(line, err=True)
