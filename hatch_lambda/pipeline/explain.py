"""Tell what a build would do, and build nothing: why a file goes or stays, and what each rule saves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from hatch_lambda.core.files import workspace
from hatch_lambda.core.model import Silent, Tree
from hatch_lambda.errors import machine_errors
from hatch_lambda.pipeline.dependencies import choose, install_dependencies, lock_terms
from hatch_lambda.pipeline.steps import decide, decide_project
from hatch_lambda.stages.bytecode.choose import compile_options
from hatch_lambda.stages.bytecode.plan import plan as plan_bytecode
from hatch_lambda.stages.locks.read import discover
from hatch_lambda.stages.slim.decision import Decision
from hatch_lambda.stages.slim.plan import apply as apply_decisions
from hatch_lambda.stages.slim.rules import active_rules, all_rules
from hatch_lambda.stages.strip.tree import strip_tree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.config.settings import Settings
    from hatch_lambda.config.target import Runtime
    from hatch_lambda.core.model import Change
    from hatch_lambda.core.session import Session
    from hatch_lambda.pipeline.request import Source
    from hatch_lambda.stages.install.project import ProjectPart


class ExplainedFile(Struct, frozen=True, kw_only=True):
    """A file, and why it is in the package or not."""

    path: str
    distribution: str | None
    kept: bool
    rule: str
    pattern: Annotated[str | None, Meta(description="That decided, where one did.")]
    reason: str


class Explanation(Struct, frozen=True, kw_only=True):
    """Why files are in the package or not."""

    schema_version: Literal[1] = 1
    files: list[ExplainedFile]

    @classmethod
    def of(cls, changes: Iterable[Change], decisions: Iterable[Decision]) -> Explanation:
        """Explain the *changes* of the install stage, and the *decisions* of the slim stage."""
        return cls(
            files=[
                *(
                    ExplainedFile(
                        path=change.path,
                        distribution=change.distribution,
                        kept=change.after is not None,
                        rule=change.rule,
                        pattern=None,
                        reason=change.reason,
                    )
                    for change in changes
                ),
                *(
                    ExplainedFile(
                        path=decision.file.path,
                        distribution=decision.file.distribution,
                        kept=decision.kept,
                        rule=decision.rule,
                        pattern=decision.pattern,
                        reason=decision.reason,
                    )
                    for decision in decisions
                ),
            ]
        )


def foresee(decisions: Iterable[Decision], settings: Settings, runtime: Runtime) -> tuple[Decision, ...]:
    """Return *decisions* about the files of a package with those that the bytecode stage adds, compiling nothing."""
    from hatch_lambda.stages.bytecode.compile import REASON, RULE

    decided = {decision.file.path: decision for decision in decisions}
    if settings.bytecode.layout != "none":
        kept = Tree.of(decision.file for decision in decided.values() if decision.kept)
        condition = ", if Lambda's limit has room for it" if settings.bytecode.layout == "auto" else ""
        for found in plan_bytecode(kept, compile_options(settings.bytecode, runtime.python)):
            file = replace(found.source, path=found.path, size=0)
            decided[found.path] = Decision(file=file, kept=True, rule=RULE, reason=REASON + condition)
            if found.replaces_source:
                decided[found.source.path] = Decision(file=found.source, kept=False, rule=RULE, reason=found.reason)
    return tuple(decided.values())


@machine_errors()
def plan(project: Project, source: Source, session: Session) -> tuple[list[Change], tuple[Decision, ...]]:
    """Decide about every file of the package of *project*, and build nothing.

    Before the decisions come the Changes of the install stage, about which no rule decides.
    """
    with workspace(session.cache.root) as work:
        session = replace(session, work_folder=work)
        own = _own(project, source, session, work)
        installed = install_dependencies(project, choose(project, source, session), session)
        dependencies = decide(installed.tree, own.tree, project.settings.slim)
        kept, _ = apply_decisions(dependencies)
        decisions = (*dependencies, *decide_project(own.tree, kept, project.settings.slim))
        return list(installed.log.changes), foresee(decisions, project.settings, project.target.runtime)


class Saving(Struct, frozen=True, kw_only=True):
    """A rule, whether the project has it on, and what it takes away."""

    name: str
    reason: str
    stage: str
    default: Annotated[bool, Meta(description="Whether it is on where nobody says anything.")]
    on: bool
    bytes: Annotated[int | None, Meta(description="Unzipped; null where no lock tells what is installed.")]


class RulesDocument(Struct, frozen=True, kw_only=True):
    """The rules of slimming, and what each saves."""

    schema_version: Literal[1] = 1
    rules: tuple[Saving, ...]


def _own(project: Project, source: Source, session: Session, work: Path) -> ProjectPart:
    from hatch_lambda.stages.install.project import take_project

    settings = project.settings
    return take_project(project, settings.project, session.uv, work, wheel=source.wheel, scripts=settings.slim.scripts)


@machine_errors()
def savings(project: Project, source: Source, session: Session) -> tuple[Saving, ...]:
    """Weigh every rule against the dependencies of *project*; builds nothing, and makes no lock."""
    weighed = _weigh(project, source, session) if discover(project, lock_terms(project, source)) is not None else None
    on = {rule.name for rule in active_rules(project.settings.slim)}
    return tuple(
        Saving(
            name=rule.name,
            reason=rule.reason,
            stage=rule.stage,
            default=not rule.optional,
            on=rule.name in on,
            bytes=None if weighed is None else weighed[rule.name],
        )
        for rule in all_rules()
    )


def _weigh(project: Project, source: Source, session: Session) -> Counter[str]:
    """Count bytes by rule as if all of them were on; of a file that several ask for, the last has it."""
    slim = replace(project.settings.slim, rules={rule.name: True for rule in all_rules()})
    settings = replace(project.settings, slim=slim)
    weights: Counter[str] = Counter()
    with workspace(session.cache.root) as work:
        session = replace(session, work_folder=work)
        own = _own(project, source, session, work)
        installed = install_dependencies(project, choose(project, source, session), session)
        decisions = decide(installed.tree, own.tree, settings.slim)
        for decision in decisions:
            if not decision.kept:
                weights[decision.rule] += decision.file.size
        kept, _ = apply_decisions(decisions)
        weights["realign-segments"] = _stripped(kept, settings, session, realign=False) - _stripped(
            kept, settings, session, realign=True
        )
    return weights


def _stripped(tree: Tree, settings: Settings, session: Session, *, realign: bool) -> int:
    left, _, _ = strip_tree(tree, settings.strip, session.work, Silent(), jobs=session.jobs, realign=realign)
    return left.size
