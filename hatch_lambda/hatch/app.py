"""Show messages and errors through Hatch's own application object."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from hatch_lambda.errors import HatchLambdaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchling.bridge.app import Application

    from hatch_lambda.inspect.package import Package


_COMMANDS, _EVERYTHING = 2, 3
"""Hatch's verbosity (``-vv``, ``-vvv``, ``HATCH_VERBOSE``) from which on the log is shown."""


@contextmanager
def aborting(app: Application) -> Iterator[None]:
    """End the build with a message for a HatchLambdaError, and show as much of the log as Hatch was asked for.

    ``-vv`` shows the commands that are run, ``-vvv`` each decision, and tracebacks.
    """
    try:
        with _logging(app):
            yield
    except HatchLambdaError as error:
        app.abort(f"hatch-lambda: {error}", code=error.exit_code)


@contextmanager
def _logging(app: Application) -> Iterator[None]:
    if app.verbosity < _COMMANDS:
        yield
        return
    from hatch_lambda.core.log import listening

    with listening(partial(app.display_debug, level=_COMMANDS), everything=app.verbosity >= _EVERYTHING):
        yield


def show(app: Application, package: Package) -> None:
    """Show what was made, and what the user should know about it."""
    from hatch_lambda.inspect.report.words import finding_lines, summary_line

    for line in finding_lines(package.findings):
        app.display_warning(f"hatch-lambda: {line}")
    app.display_info(f"hatch-lambda: {summary_line(package)}")
