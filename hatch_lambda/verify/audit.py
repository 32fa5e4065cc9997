"""The audit of a package: every check, in one order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hatch_lambda.model import Severity
from hatch_lambda.verify.distributions import Unused, check_metadata, find_unused, note_unused
from hatch_lambda.verify.handler import check_handler
from hatch_lambda.verify.layers import Layer, check_layers
from hatch_lambda.verify.layout import check_names
from hatch_lambda.verify.linking import check_linking
from hatch_lambda.verify.modules import check_bytecode, check_modules
from hatch_lambda.verify.quotas import check_unzipped
from hatch_lambda.verify.syntax import check_syntax

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.cache import Cache
    from hatch_lambda.model import Finding
    from hatch_lambda.verify.subject import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPolicy:
    """What of the settings the audit has to know."""

    handler: str | None = None
    ignore: tuple[str, ...] = ()
    """Codes of findings that are expected."""
    layers: tuple[str, ...] = ()
    """Paths of zips."""
    nested: bool = False
    """Whether some of the files are nested, so that their size does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
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


def audit(subject: Subject, policy: VerifyPolicy, layers: tuple[Layer, ...], cache: Cache) -> Audit:
    """Judge *subject*: a function of the facts about it, of the target and of *policy*, whatever is expected."""
    unused = tuple(find_unused(subject))
    findings = [
        *check_handler(subject.tree, policy.handler),
        *check_unzipped(subject.tree, sum(layer.size for layer in layers), nested=policy.nested),
        *check_layers(layers),
        *check_names(subject),
        *check_modules(subject),
        *check_linking(subject),
        *check_bytecode(subject),
        *check_syntax(subject, policy.handler, cache),
        *check_metadata(subject),
        *note_unused(unused),
    ]
    return Audit(findings=tuple(findings), unused=unused, requires=subject.facts.requires)


def settle(findings: Iterable[Finding], ignore: Iterable[str]) -> tuple[Finding, ...]:
    """Make notes of *findings* whose codes are to be ignored."""
    ignored = frozenset(ignore)
    return tuple(
        replace(finding, severity=Severity.NOTE, hint="ignored by verify-ignore")
        if finding.code in ignored
        else finding
        for finding in findings
    )
