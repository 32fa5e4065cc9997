"""How the Hatch doors speak: through Hatch's own application object."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_lambda.errors import HatchLambdaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchling.bridge.app import Application

    from hatch_lambda.inspect.package import Package


@contextmanager
def reporting(app: Application) -> Iterator[None]:
    """End the build with a message, not a traceback, for what a user can cause."""
    try:
        yield
    except HatchLambdaError as error:
        app.abort(f"hatch-lambda: {error}", code=error.exit_code)


def show(app: Application, package: Package) -> None:
    """Tell what was made, and what the user should know about it."""
    from hatch_lambda.inspect.report.words import finding_lines, summary_line

    for line in finding_lines(package.findings):
        app.display_warning(f"hatch-lambda: {line}")
    app.display_info(f"hatch-lambda: {summary_line(package)}")
