"""Checks of the package before it ships: each returns Findings; errors among them fail the build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.errors import VerificationError
from hatch_lambda.lazy import exports
from hatch_lambda.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.model import Finding
    from hatch_lambda.verify.facts import Facts, collect
    from hatch_lambda.verify.handler import check_handler
    from hatch_lambda.verify.judging import audit
    from hatch_lambda.verify.layers import read_layers
    from hatch_lambda.verify.outcome import Audit, VerifyPolicy, settle
    from hatch_lambda.verify.package import Verified, tell_by_files, verify_package
    from hatch_lambda.verify.platforms import Told, check_platforms, tell_target
    from hatch_lambda.verify.quotas import check_unzipped, check_zipped
    from hatch_lambda.verify.runtime import check_runtime
    from hatch_lambda.verify.subject import Subject
    from hatch_lambda.verify.syntax import check_syntax

__all__ = [
    "Audit",
    "Facts",
    "Subject",
    "Told",
    "Verified",
    "VerifyPolicy",
    "audit",
    "check_handler",
    "check_platforms",
    "check_runtime",
    "check_syntax",
    "check_unzipped",
    "check_zipped",
    "collect",
    "raise_errors",
    "read_layers",
    "settle",
    "tell_by_files",
    "tell_target",
    "verify_package",
]
__getattr__ = exports(
    __name__,
    {
        "audit": "judging",
        **dict.fromkeys(("Facts", "collect"), "facts"),
        "check_handler": "handler",
        "read_layers": "layers",
        **dict.fromkeys(("Audit", "VerifyPolicy", "settle"), "outcome"),
        **dict.fromkeys(("Verified", "tell_by_files", "verify_package"), "package"),
        **dict.fromkeys(("Told", "check_platforms", "tell_target"), "platforms"),
        **dict.fromkeys(("check_unzipped", "check_zipped"), "quotas"),
        "check_runtime": "runtime",
        "Subject": "subject",
        "check_syntax": "syntax",
    },
)

_SHOWN = 3


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise VerificationError that tells the errors among *findings*, if there is one: the first few of each kind."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return
    by_code: dict[str, list[Finding]] = {}
    for finding in errors:
        by_code.setdefault(finding.code, []).append(finding)
    lines = []
    for code, found in by_code.items():
        lines += [f"{code}: {f'{one.path}: ' if one.path else ''}{one.message}" for one in found[:_SHOWN]]
        if rest := found[_SHOWN:]:
            lines.append(f"{code}: and {len(rest)} more")
    raise VerificationError(
        "\n".join(lines), hint="; ".join(dict.fromkeys(finding.hint for finding in errors if finding.hint)) or None
    )
