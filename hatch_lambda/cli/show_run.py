"""What commands show of packages that were run."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

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
        self._log: list[str] = []
        self._logs: list[str] = []

    def log(self, text: str) -> None:
        """Take a piece of the log."""
        self._log.append(text)
        if not self._quiet and not self._as_json:
            click.echo(text, err=True, nl=False)

    def done(self, invocation: Invocation) -> None:
        """Show a response, if it is one."""
        self._logs.append("".join(self._log))
        self._log.clear()
        if not self._as_json:
            sys.stderr.flush()
            click.echo(_response(invocation.payload))

    def end(self, invoked: Invoked) -> None:
        """Show how it was run."""
        if self._as_json:
            print_json(_document(invoked, self._logs))
        elif not self._quiet:
            where = "in a sandbox" if invoked.sandbox else f"without a sandbox: {invoked.why_no_sandbox}"
            emulated = ", emulated" if invoked.emulated else ""
            _note(f"{invoked.runtime} on {invoked.architecture}{emulated}, {where}")


def failure(invoked: Invoked) -> VerificationError:
    """Return the error that tells of each invocation that failed."""
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


def _document(invoked: Invoked, logs: list[str]) -> dict[str, Any]:
    return {
        "runtime": invoked.runtime,
        "architecture": invoked.architecture,
        "memory_mb": invoked.memory,
        "sandbox": invoked.sandbox,
        "emulated": invoked.emulated,
        "invocations": [
            {
                "request_id": done.request_id,
                "response": _value(done.payload) if done.error is None else None,
                "error": {"type": done.error.type, "message": done.error.message, "stack": list(done.error.stack)}
                if done.error is not None
                else None,
                "duration_ms": round(done.seconds * 1000, 2),
                "init_duration_ms": round(done.init_seconds * 1000, 2) if done.init_seconds is not None else None,
                "peak_memory_bytes": done.peak,
                "log": log,
            }
            for done, log in zip(invoked.invocations, logs, strict=True)
        ],
    }


def _value(payload: bytes) -> Any:
    try:
        return parse_json(payload)
    except ValueError:  # a handler may stream what is no JSON
        return payload.decode("utf-8", "replace")


def cold_start(measured: ColdStart, *, as_json: bool, quiet: bool, everything: bool) -> None:
    """Print what starts take, and what would make them faster."""
    if as_json:
        print_json(_measured(measured))
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
        state = "nothing of it in the page cache" if measured.cold else "the page cache left as it was"
        runs = len(measured.starts[0].init)
        _note(f"{measured.runtime} on {measured.architecture}, {runs} starts of each, {state}")


def _imports(measured: ColdStart, *, everything: bool) -> list[tuple[str, ...]]:
    """Return the rows of what each distribution's imports take, and took in the baseline."""
    package, *baselines = measured.starts
    rows = [("imports of", "self, ms", "all, ms", *(f"{start.name}: self" for start in baselines))]
    shown = package.imports if everything else package.imports[:_SHOWN]
    for cost in shown:
        others = [next((_ms(o.own) for o in start.imports if o.owner == cost.owner), "-") for start in baselines]
        rows.append((cost.owner, _ms(cost.own), _ms(cost.total), *others))
    if rest := package.imports[len(shown) :]:
        rows.append((f"{len(rest)} others (-v)", _ms(sum(cost.own for cost in rest)), "", *([""] * len(baselines))))
    return rows


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _mb(size: int | None) -> str:
    return "-" if size is None else size_text(size)


_FIGURES: tuple[tuple[str, Callable[[Start], str]], ...] = (
    ("median start, ms", lambda start: _ms(start.median)),
    ("fastest start, ms", lambda start: _ms(min(start.init))),
    ("files opened", lambda start: str(start.opened)),
    ("modules", lambda start: str(start.modules)),
    ("of them compiled anew", lambda start: str(start.compiled)),
    ("peak memory", lambda start: _mb(start.peak)),
    ("unzipped", lambda start: _mb(start.unzipped)),
    ("zipped", lambda start: _mb(start.zip_size)),
)


def _measured(measured: ColdStart) -> dict[str, Any]:
    return {
        "runtime": measured.runtime,
        "architecture": measured.architecture,
        "page_cache_dropped": measured.cold,
        "packages": [
            {
                "name": start.name,
                "init_ms": [round(seconds * 1000, 2) for seconds in start.init],
                "median_init_ms": round(start.median * 1000, 2),
                "files_opened": start.opened,
                "modules": start.modules,
                "modules_without_bytecode": start.compiled,
                "peak_memory_bytes": start.peak,
                "unzipped_bytes": start.unzipped,
                "zip_bytes": start.zip_size,
                "imports": [
                    {
                        "of": cost.owner,
                        "self_ms": round(cost.own * 1000, 2),
                        "cumulative_ms": round(cost.total * 1000, 2),
                    }
                    for cost in start.imports
                ],
            }
            for start in measured.starts
        ],
        "advice": list(measured.advice),
    }


def _table(rows: Sequence[Sequence[str]]) -> None:
    for line in table(rows, shutil.get_terminal_size().columns if is_terminal() else None):
        click.echo(line)


def _note(paragraph: str) -> None:
    """Tell something beside the result."""
    sys.stdout.flush()
    width = shutil.get_terminal_size().columns if is_terminal(stderr=True) else None
    for line in hanging(paragraph, _INDENT, width):
        click.echo(line, err=True)
