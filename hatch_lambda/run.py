"""One run of the pipeline: what a door lends to it, and what every run does alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda import archive, bytecode, elf, install, slimming, verify
from hatch_lambda.batches import Once
from hatch_lambda.model import Tree
from hatch_lambda.policies import slim_policy, strip_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date
    from pathlib import Path

    from hatch_lambda.cache import Cache
    from hatch_lambda.compiling import Bytecode
    from hatch_lambda.model import Change, Finding, Progress
    from hatch_lambda.process import Uv
    from hatch_lambda.report.journal import Journal
    from hatch_lambda.settings import Settings


class Context(Struct, frozen=True, kw_only=True, dict=True):
    """What a door lends to the pipeline: everything that is the machine's and the moment's."""

    find_uv: Callable[[], Uv]
    cache: Cache
    jobs: int
    """Threads for stripping and compressing."""
    today: date
    source_date_epoch: int | None
    progress: Progress
    once: Once = field(default_factory=Once)
    """What several functions share, such as what was built of a local folder."""

    @cached_property
    def uv(self) -> Uv:
        """The program uv, which has to be there only for what needs it. Raises MissingToolError."""
        return self.find_uv()


class Source(Struct, frozen=True, kw_only=True):
    """How a door comes by the project."""

    wheel: Path | None = None
    """The project's wheel, where the door has it already."""
    directory: Path | None = None
    """Where the zip goes unless ``output`` is set; None: ``dist`` in the project."""
    may_create_lock: bool = False
    unattended: str | None = None
    """What tells that nobody watches, so that none is made; see ``environment``."""
    in_source_tree: bool = True
    """False in an unpacked sdist."""


class Run(Struct, frozen=True, kw_only=True):
    """One run of the stages: what they are told, where they work, what they report."""

    settings: Settings
    context: Context
    work: Path
    journal: Journal
    bytecode: Bytecode | None = None
    """How modules are compiled; None: they are not."""
    telling: frozenset[str] = frozenset()
    """Paths of the WHEEL files that tell the target of a folder that may be slimmed again."""

    def slim(self, tree: Tree, project: Tree, packer: archive.Packer | None = None) -> Tree:
        """Remove what neither *tree* nor the *project* that uses it needs, and symbols from what is left.

        Shared objects, most of which stay, are handed to *packer* as soon as they are stripped.

        A file stays even if the project has another of that name: what is left serves other projects, too, and
        whether the two agree is asked when they are put together.
        """
        self.context.progress.start("slim", 0)
        return self._slim(tree, lambda: self.decide(tree, project), packer)

    def decide(self, tree: Tree, project: Tree) -> list[slimming.Decision]:
        """Decide about the files of *tree*, given the *project* that uses them."""
        names = {file.path for file in tree}
        beside = (file for file in project if file.path not in names)
        policy = replace(slim_policy(self.settings), telling=self.telling)
        decisions = slimming.plan(Tree.of([*tree, *beside]), policy)
        return [decision for decision in decisions if not decision.file.project]

    def influence(self, project: Tree) -> str:
        """Return a digest of what of the *project* can change the decisions about its dependencies."""
        return slimming.influence(project, slim_policy(self.settings))

    def slim_project(self, own: Tree, dependencies: Tree) -> Tree:
        """Do the same to the project's own files."""
        return self._slim(own, lambda: self.decide_project(own, dependencies))

    def decide_project(self, own: Tree, dependencies: Tree) -> Iterable[slimming.Decision]:
        """Decide about the project's own files, about which the *dependencies* that stay have no say.

        But where these ask for lists of files, the project's has to be among them.
        """
        policy = slim_policy(self.settings)
        if policy.dist_info == "minimal" and any(file.path.endswith(".dist-info/RECORD") for file in dependencies):
            policy = replace(policy, dist_info="keep")
        return slimming.plan(own, policy)

    def judge(self, findings: Iterable[Finding] = ()) -> None:
        """Add *findings* to those of the stages, make notes of what is expected, and fail for the errors among them.

        Raises VerificationError.
        """
        every = [*self.journal.findings, *findings]
        self.journal.findings = [*verify.settle(every, self.settings.verify_ignore)]
        verify.raise_errors(self.journal.findings)

    def packer(self, streams: archive.SectionStreams | None = None) -> archive.Packer:
        """Return what compresses the project's files, or those of dependencies, which may be among *streams*."""
        context = self.context
        return archive.Packer(
            compression=self.settings.compression,
            cache=context.cache,
            progress=context.progress,
            jobs=context.jobs,
            streams=streams,
        )

    def _slim(
        self, tree: Tree, plan: Callable[[], Iterable[slimming.Decision]], packer: archive.Packer | None = None
    ) -> Tree:
        """Carry *plan* out, and strip the shared objects at the same time: nearly all of them stay.

        What stays is compiled at the same time, too.
        """
        context, policy = self.context, strip_policy(self.settings)
        with ThreadPoolExecutor(max_workers=2) as pool:
            stripping = pool.submit(
                elf.strip_tree,
                tree,
                policy,
                self.work,
                context.progress,
                jobs=context.jobs,
                then=packer.begin if packer else None,
            )
            decisions = tuple(plan())
            kept, changes = slimming.apply(decisions)
            self.journal.findings += slimming.check_decisions(decisions)
            install.refuse_conflicts(kept)
            compiling = pool.submit(self._compile, kept)
            self.journal.metadata |= slimming.removed_metadata(tree, kept)
            self.journal.changes += changes
            self.journal.mark("slim", kept)
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
        return install.renew(left, self.work)

    def _compile(self, tree: Tree) -> tuple[Tree, tuple[Change, ...], tuple[Finding, ...]] | None:
        """Compile the modules of *tree*, if they are to be."""
        if self.bytecode is None:
            return None
        return bytecode.compile_tree(tree, self.bytecode.policy, self.bytecode.compiler(self.context, self.work))
