"""What the audit is told, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable


class Unused(Struct, frozen=True, kw_only=True):
    """A distribution that no import from the project reaches."""

    name: str
    size: int
    required_by: tuple[str, ...]


class VerifyPolicy(Struct, frozen=True, kw_only=True):
    """What of the settings the audit has to know."""

    handler: str | None = None
    ignore: tuple[str, ...] = ()
    """Codes of findings that are expected."""
    layers: tuple[str, ...] = ()
    """Paths of zips."""
    nested: bool = False
    """Whether some of the files are nested, so that their size does not matter."""


class Audit(Struct, frozen=True, kw_only=True):
    """What came of it."""

    findings: tuple[Finding, ...] = ()
    unused: tuple[Unused, ...] = ()
    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each distribution requires on the target."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts about distributions as plain values."""
        return {
            "unused": [
                {"name": item.name, "bytes": item.size, "required_by": list(item.required_by)} for item in self.unused
            ],
            "requires": {name: list(required) for name, required in sorted(self.requires.items())},
        }


def settle(findings: Iterable[Finding], ignore: Iterable[str]) -> tuple[Finding, ...]:
    """Make notes of *findings* whose codes are to be ignored."""
    ignored = frozenset(ignore)
    return tuple(
        replace(finding, severity=Severity.NOTE, hint="ignored by verify-ignore")
        if finding.code in ignored
        else finding
        for finding in findings
    )
