"""One run of the pipeline: what a door lends to it, and what every run does alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.dist_info import at_top
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Tree
from hatch_lambda.inspect.audit.subject import raise_errors
from hatch_lambda.stages.archive.pack import Packer, SectionStreams
from hatch_lambda.stages.slim import project_digest
from hatch_lambda.stages.slim.findings import check_decisions
from hatch_lambda.stages.slim.metadata import removed_metadata
from hatch_lambda.stages.slim.plan import apply as apply_decisions
from hatch_lambda.stages.slim.plan import plan as plan_slimming
from hatch_lambda.stages.strip.tree import strip_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from hatch_lambda.config.settings import Settings
    from hatch_lambda.core.model import Change, Finding, Journal
    from hatch_lambda.core.session import Session
    from hatch_lambda.stages.bytecode.choose import Bytecode
    from hatch_lambda.stages.slim.decision import Decision


_log = logger(__name__)


class Run(Struct, frozen=True, kw_only=True):
    """One run of the stages: what they are told, where they work, what they report."""

    settings: Settings
    session: Session
    work: Path
    journal: Journal
    bytecode: Bytecode | None = None
    """How modules are compiled; None: they are not."""
    telling: frozenset[str] = frozenset()
    """Paths of the WHEEL files that tell the target of a folder that may be slimmed again."""

    def slim(self, tree: Tree, project: Tree, packer: Packer | None = None) -> Tree:
        """Remove what neither *tree* nor the *project* that uses it needs, and symbols from what is left.

        Shared objects, most of which stay, are handed to *packer* as soon as they are stripped.

        A file stays even if the project has another of that name: what is left serves other projects, too, and
        whether the two agree is asked when they are put together.
        """
        self.session.progress.start("slim", 0)
        return self._slim(tree, lambda: self.decide(tree, project), packer)

    def decide(self, tree: Tree, project: Tree) -> list[Decision]:
        """Decide about the files of *tree*, given the *project* that uses them."""
        names = {file.path for file in tree}
        beside = (file for file in project if file.path not in names)
        decisions = plan_slimming(Tree.of([*tree, *beside]), self.settings.slim, self.telling)
        return [decision for decision in decisions if not decision.file.project]

    def influence(self, project: Tree) -> str:
        """Return a digest of what of the *project* can change the decisions about its dependencies."""
        return project_digest.influence(project, self.settings.slim)

    def slim_project(self, own: Tree, dependencies: Tree) -> Tree:
        """Do the same to the project's own files."""
        return self._slim(own, lambda: self.decide_project(own, dependencies))

    def decide_project(self, own: Tree, dependencies: Tree) -> Iterable[Decision]:
        """Decide about the project's own files, about which the *dependencies* that stay have no say.

        But where these ask for lists of files, the project's has to be among them.
        """
        settings = self.settings.slim
        if settings.dist_info == "minimal" and any(at_top(file.path, "RECORD") for file in dependencies):
            settings = replace(settings, dist_info="keep")
        return plan_slimming(own, settings)

    def judge(self, findings: Iterable[Finding] = ()) -> None:
        """Add *findings* to those of the stages, make notes of what is expected, and fail for the errors among them.

        Raises VerificationError.
        """
        from hatch_lambda.inspect.audit.subject import demote

        every = [*self.journal.findings, *findings]
        self.journal.findings = [*demote(every, self.settings.audit.ignore)]
        raise_errors(self.journal.findings)

    def packer(self, streams: SectionStreams | None = None) -> Packer:
        """Return what compresses the project's files, or those of dependencies, which may be among *streams*."""
        session = self.session
        return Packer(
            compression=self.settings.output.compression,
            cache=session.cache,
            progress=session.progress,
            jobs=session.jobs,
            streams=streams,
        )

    def _slim(self, tree: Tree, plan: Callable[[], Iterable[Decision]], packer: Packer | None = None) -> Tree:
        """Carry *plan* out, and strip the shared objects at the same time: nearly all of them stay.

        What stays is compiled at the same time, too.
        """
        from hatch_lambda.core.dist_info import renew
        from hatch_lambda.stages.install.distributions import refuse_conflicts

        session, settings = self.session, self.settings
        with ThreadPoolExecutor(max_workers=2) as pool:
            stripping = pool.submit(
                strip_tree,
                tree,
                settings.strip,
                self.work,
                session.progress,
                jobs=session.jobs,
                realign=settings.slim.realigns,
                then=packer.begin if packer else None,
            )
            decisions = tuple(plan())
            kept, changes = apply_decisions(decisions)
            self.journal.findings += check_decisions(decisions)
            refuse_conflicts(kept)
            compiling = pool.submit(self._compile, kept)
            self.journal.metadata |= removed_metadata(tree, kept)
            self.journal.changes += changes
            self.journal.mark("slim", kept)
            _log.debug("slim: %d of %d files stay, %d changes", len(kept), len(tree), len(changes))
            stripped, changes, findings = stripping.result()
            paths = {file.path for file in kept}
            self.journal.changes += (change for change in changes if change.path in paths)
            self.journal.findings += (finding for finding in findings if finding.path in paths)
            left = Tree(tuple(file for file in stripped if file.path in paths))
            self.journal.mark("strip", left)
            compiled = compiling.result()
        if compiled is not None:
            objects = {change.path for change in changes}
            renewed = {file.path: file for file in left if file.path in objects}
            left, changes, findings = compiled
            left = Tree(tuple(renewed.get(file.path, file) for file in left))
            self.journal.changes += changes
            self.journal.findings += findings
            self.journal.mark("bytecode", left)
        return renew(left, self.work)

    def _compile(self, tree: Tree) -> tuple[Tree, tuple[Change, ...], tuple[Finding, ...]] | None:
        """Compile the modules of *tree*, if they are to be."""
        from hatch_lambda.stages.bytecode.compile import compile_tree

        if self.bytecode is None:
            return None
        return compile_tree(tree, self.bytecode.options, self.bytecode.compiler(self.session, self.work))
