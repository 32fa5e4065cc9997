"""The runtime: chosen on purpose, and still supported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from hatch_lambda.target import Runtime


def check_runtime(runtime: Runtime, *, guessed: bool, today: date) -> Iterator[Finding]:
    """Find a runtime that no setting names, and one that AWS no longer supports on the day *today*."""
    if guessed:
        yield Finding(
            code="HL003",
            severity=Severity.WARNING,
            message=f"no runtime is set; {runtime.name} is the newest that requires-python allows",
            hint=f'set runtime = "{runtime.name}" in [tool.lambda-slim], so that it changes only when you say so',
        )
    if today > runtime.end_of_support:
        yield Finding(
            code="HL006",
            severity=Severity.WARNING,
            message=f"AWS ended its support of {runtime.name} on {runtime.end_of_support}",
            hint="choose a newer runtime: functions on this one get no security updates",
        )
