"""What the stages of one build report, in the order in which it happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda.report import StageResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_lambda.model import Change, Finding, Tree


class Reported(Protocol):
    """Whatever has stages, Changes and Findings."""

    @property
    def stages(self) -> Sequence[StageResult]:
        """What each stage left."""

    @property
    def changes(self) -> Sequence[Change]:
        """What the stages did."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What the user should know."""

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """What was removed of that which tells scanners what is in the package, by path."""


class Journal(Struct):
    """Collect stages, Changes and Findings, and metadata that goes."""

    stages: list[StageResult] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def mark(self, stage: str, tree: Tree) -> None:
        """Note that *stage* left *tree*, after the time since the last mark."""
        now = time.perf_counter()
        self._add(StageResult.of(stage, tree, now - self._since))
        self._since = now

    def take(self, other: Reported, prefix: str = "") -> None:
        """Add what happened to another tree, whose paths begin with *prefix* as they are seen from here."""
        for stage in other.stages:
            self._add(stage)
        changes, findings = other.changes, other.findings
        if prefix:
            changes = [replace(change, path=prefix + change.path) for change in changes]
            findings = [replace(found, path=prefix + found.path) if found.path else found for found in findings]
        self.changes += changes
        self.findings += findings
        self.metadata |= {prefix + path: content for path, content in other.metadata.items()}
        self._since = time.perf_counter()

    def _add(self, stage: StageResult) -> None:
        for index, known in enumerate(self.stages):
            if known.name == stage.name:
                self.stages[index] = known + stage
                return
        self.stages.append(stage)
