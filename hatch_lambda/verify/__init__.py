"""Checks of the package before it ships: each returns Findings; errors among them fail the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.errors import VerificationError
from hatch_lambda.model import Severity
from hatch_lambda.verify.handler import check_handler
from hatch_lambda.verify.platforms import Told, check_platforms, tell_target
from hatch_lambda.verify.quotas import check_unzipped, check_zipped
from hatch_lambda.verify.runtime import check_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.model import Finding

__all__ = [
    "Told",
    "check_handler",
    "check_platforms",
    "check_runtime",
    "check_unzipped",
    "check_zipped",
    "raise_errors",
    "tell_target",
]


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise VerificationError that tells all the errors among *findings*, if there is one."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise VerificationError(
            "\n".join(f"{finding.code}: {finding.message}" for finding in errors),
            hint="; ".join(dict.fromkeys(finding.hint for finding in errors if finding.hint)) or None,
        )
