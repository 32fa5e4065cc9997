"""What every run of the pipeline does alike: decide, strip and compile the files of one tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.dist_info import at_top
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Change, Log, Stage, Step, Stopwatch, Tree
from hatch_lambda.stages.archive.pack import Packer, Streams
from hatch_lambda.stages.slim.findings import check_decisions
from hatch_lambda.stages.slim.metadata import removed_metadata
from hatch_lambda.stages.slim.plan import apply as apply_decisions
from hatch_lambda.stages.slim.plan import plan as plan_slimming
from hatch_lambda.stages.strip.tree import strip_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hatch_lambda.config.settings import Settings, SlimSettings
    from hatch_lambda.core.session import Session
    from hatch_lambda.stages.bytecode.choose import Bytecode
    from hatch_lambda.stages.slim.decision import Decision


_log = logger(__name__)


def decide(tree: Tree, project: Tree, settings: SlimSettings, telling: frozenset[str] = frozenset()) -> list[Decision]:
    """Decide about the files of *tree*, given the *project* that uses them; WHEEL files that are *telling* stay.

    A file stays even if the project has another of that name: what is left serves other projects, too, and
    whether the two agree is asked when they are put together.
    """
    names = {file.path for file in tree}
    beside = (file for file in project if file.path not in names)
    decisions = plan_slimming(Tree.of([*tree, *beside]), settings, telling)
    return [decision for decision in decisions if not decision.file.project]


def decide_project(own: Tree, dependencies: Tree, settings: SlimSettings) -> Iterable[Decision]:
    """Decide about the project's own files, about which the *dependencies* that stay have no say.

    But where these ask for lists of files, the project's has to be among them.
    """
    if settings.dist_info == "minimal" and any(at_top(file.path, "RECORD") for file in dependencies):
        settings = replace(settings, dist_info="keep")
    return plan_slimming(own, settings)


def slim(
    tree: Tree, plan: Callable[[], Iterable[Decision]], settings: Settings, session: Session, bytecode: Bytecode | None
) -> tuple[Step, Step | None]:
    """Carry *plan* out, strip what stays and compile it: return these files, and their bytecode, if it is beside them.

    Nearly all shared objects stay, so they are stripped while the plan is made.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        stripping = pool.submit(strip, tree, settings, session)
        kept = carry_out(tree, plan(), bytecode)
        compiling = pool.submit(compile_modules, kept.tree, bytecode, session) if bytecode else None
        left = keep_stripped(kept, stripping.result())
        if compiling is not None and is_instead(bytecode):
            left = put_instead(left, compiling.result())
    from hatch_lambda.core.dist_info import renew

    compiled = None if compiling is None or is_instead(bytecode) else compiling.result()
    return Step(tree=renew(left.tree, session.work), log=left.log), compiled


def carry_out(tree: Tree, decisions: Iterable[Decision], bytecode: Bytecode | None) -> Step:
    """Remove from *tree* what the *decisions* say, and what *bytecode* takes the place of."""
    from hatch_lambda.stages.install.distributions import refuse_conflicts

    watch, decisions = Stopwatch(), tuple(decisions)
    kept, changes = apply_decisions(decisions)
    findings = check_decisions(decisions)
    if bytecode is not None:
        kept, stale = _without_stale(kept, bytecode)
        changes = (*changes, *stale)
    refuse_conflicts(kept)
    _log.debug("slim: %d of %d files stay, %d changes", len(kept), len(tree), len(changes))
    metadata = removed_metadata(tree, kept)
    log = Log(
        stages=watch.stop("slim", kept), changes=tuple(changes), findings=tuple(findings), metadata=dict(metadata)
    )
    return Step(tree=kept, log=log)


def _without_stale(tree: Tree, bytecode: Bytecode) -> tuple[Tree, list[Change]]:
    """Return *tree* without what is where the modules' bytecode will be: it depends on no date, as this may."""
    from hatch_lambda.stages.bytecode.compile import RULE
    from hatch_lambda.stages.bytecode.plan import plan

    if not any(file.path.endswith(".pyc") for file in tree):
        return tree, []
    paths = {compilation.path for compilation in plan(tree, bytecode.options)}
    stale = [
        Change.of(file, Stage.BYTECODE, rule=RULE, reason="bytecode for Lambda takes its place")
        for file in tree
        if file.path in paths
    ]
    return Tree(tuple(file for file in tree if file.path not in paths)), stale


def strip(tree: Tree, settings: Settings, session: Session, packer: Packer | None = None) -> Step:
    """Strip the shared objects of *tree*, and hand each to *packer* as soon as that is done."""
    watch = Stopwatch()
    then = packer.begin if packer else None
    stripped, changes, findings = strip_tree(
        tree,
        settings.strip,
        session.work,
        session.progress,
        jobs=session.jobs,
        realign=settings.slim.realigns,
        then=then,
    )
    log = Log(stages=watch.stop("strip", stripped), changes=tuple(changes), findings=tuple(findings))
    return Step(tree=stripped, log=log)


def keep_stripped(kept: Step, stripped: Step) -> Step:
    """Return what was *kept* as it is after stripping, and what that did to it."""
    paths = {file.path for file in kept.tree}
    tree = Tree(tuple(file for file in stripped.tree if file.path in paths))
    (stage,) = stripped.log.stages
    log = Log(
        stages=(replace(stage, files=len(tree), size=tree.size),),
        changes=tuple(change for change in stripped.log.changes if change.path in paths),
        findings=tuple(finding for finding in stripped.log.findings if finding.path in paths),
    )
    return Step(tree=tree, log=kept.log + log)


def compile_modules(tree: Tree, bytecode: Bytecode, session: Session) -> Step:
    """Compile the modules of *tree*: return the files beside them, or else all files with bytecode in their place."""
    from hatch_lambda.stages.bytecode.compile import compile_tree

    watch = Stopwatch()
    whole, changes, findings = compile_tree(tree, bytecode.options, bytecode.compiler(session, session.work))
    made = whole
    if not is_instead(bytecode):
        paths = {file.path for file in tree}
        made = Tree(tuple(file for file in whole if file.path not in paths))
    return Step(tree=made, log=Log(stages=watch.stop("bytecode", whole), changes=changes, findings=findings))


def is_instead(bytecode: Bytecode | None) -> bool:
    """Tell whether bytecode takes the place of its sources."""
    return bytecode is not None and bytecode.options.layout == "only"


def put_instead(left: Step, compiled: Step) -> Step:
    """Return what was *left* by stripping, with bytecode in the place of modules."""
    files = {file.path: file for file in left.tree}
    tree = Tree(tuple(files.get(file.path, file) for file in compiled.tree))
    return Step(tree=tree, log=left.log + compiled.log)


def packer(settings: Settings, session: Session, streams: Streams | None = None) -> Packer:
    """Return what compresses the project's files, or those of dependencies, which may be among *streams*."""
    return Packer(
        compression=settings.output.compression,
        cache=session.cache,
        progress=session.progress,
        jobs=session.jobs,
        streams=streams,
    )
