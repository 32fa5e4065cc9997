"""What the command shows of several packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_lambda.cli.output import _findings, _near, _print, print_json, show_error
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.report import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.report import Package


def packages(outcomes: Iterable[tuple[str, Package | HatchLambdaError]], *, as_json: bool, quiet: bool) -> int:
    """Print what came of several projects, each as soon as it is done, and return the exit code."""
    documents: list[dict[str, Any]] = []
    exit_code = 0
    for project, outcome in outcomes:
        if isinstance(outcome, HatchLambdaError):
            exit_code = exit_code or outcome.exit_code
            documents.append({"project": project, "error": outcome.message, "hint": outcome.hint})
            if not as_json:
                told = outcome.message.startswith(f"{project}: ")
                message = outcome.message if told else f"{project}: {outcome.message}"
                show_error(HatchLambdaError(message, hint=outcome.hint))
            continue
        documents.append({"project": project, **outcome.to_json()})
        if not as_json:
            _findings(outcome.findings, verbose=False)
            if not quiet:
                _print(f"{_near(outcome.path)}: {text.size(outcome.size)}")
                for other in outcome.others:
                    _print(f"{_near(other.path)}: {text.size(other.size)}")
    if as_json:
        print_json(documents)
    return exit_code
