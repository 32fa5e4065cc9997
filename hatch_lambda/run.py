"""One run of the pipeline: what a door lends to it, and what every run does alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hatch_lambda import archive, elf, install, slimming
from hatch_lambda.policies import slim_policy, strip_policy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from hatch_lambda.cache import Cache
    from hatch_lambda.config import Settings
    from hatch_lambda.model import Progress, Tree
    from hatch_lambda.process import Uv
    from hatch_lambda.report.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a door lends to the pipeline: everything that is the machine's and the moment's."""

    uv: Uv
    cache: Cache
    jobs: int
    """Threads for stripping and compressing."""
    today: date
    source_date_epoch: int | None
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """How a door comes by the project."""

    wheel: Path | None = None
    """The project's wheel, where the door has it already."""
    directory: Path | None = None
    """Where the zip goes unless ``output`` is set; None: ``dist`` in the project."""
    may_create_lock: bool = False
    in_source_tree: bool = True
    """False in an unpacked sdist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the stages: what they are told, where they work, what they report."""

    settings: Settings
    context: Context
    work: Path
    journal: Journal

    def slim(self, tree: Tree, project: Tree) -> Tree:
        """Remove what neither *tree* nor the *project* that uses it needs, then symbols from what is left."""
        self.context.progress.start("slim", 0)
        decisions = slimming.plan(install.merge(tree, project), slim_policy(self.settings))
        return self._carry_out(decision for decision in decisions if not decision.file.project)

    def slim_project(self, own: Tree, dependencies: Tree) -> Tree:
        """Do the same to the project's own files, about which its dependencies have no say.

        But where these ask for lists of files, the project's has to be among them.
        """
        policy = slim_policy(self.settings)
        if policy.dist_info == "minimal" and any(file.path.endswith(".dist-info/RECORD") for file in dependencies):
            policy = replace(policy, dist_info="keep")
        return self._carry_out(slimming.plan(own, policy))

    def packer(self) -> archive.Packer:
        """Return what compresses."""
        context = self.context
        return archive.Packer(
            compression=self.settings.compression, cache=context.cache, progress=context.progress, jobs=context.jobs
        )

    def _carry_out(self, decisions: Iterable[slimming.Decision]) -> Tree:
        tree, changes = slimming.apply(decisions)
        install.refuse_conflicts(tree)
        self.journal.changes += changes
        self.journal.mark("slim", tree)
        context, policy = self.context, strip_policy(self.settings)
        tree, changes, findings = elf.strip_tree(tree, policy, self.work, context.progress, jobs=context.jobs)
        tree = install.renew(tree, self.work)
        self.journal.changes += changes
        self.journal.findings += findings
        self.journal.mark("strip", tree)
        return tree
