"""What each rule saves in a project, or would if it were on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda import collect, elf, install, slimming
from hatch_lambda.errors import machine_errors
from hatch_lambda.locks.discovery import discover
from hatch_lambda.model import Silent
from hatch_lambda.policies import lock_policy, project_policy, slim_policy, strip_policy
from hatch_lambda.report.journal import Journal
from hatch_lambda.run import Run
from hatch_lambda.workspace import workspace

if TYPE_CHECKING:
    from hatch_lambda.model import Tree
    from hatch_lambda.project import Project
    from hatch_lambda.run import Context, Source


class Saving(Struct, frozen=True, kw_only=True):
    """A rule, whether the project has it on, and what it takes away."""

    rule: slimming.Rule
    on: bool
    bytes: int | None
    """Bytes, unzipped; None where there is no lock that would tell what is installed."""

    def to_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "name": self.rule.name,
            "reason": self.rule.reason,
            "stage": self.rule.stage,
            "default": not self.rule.optional,
            "on": self.on,
            "bytes": self.bytes,
        }


@machine_errors()
def savings(project: Project, source: Source, context: Context) -> tuple[Saving, ...]:
    """Weigh every rule against the dependencies of *project*; builds nothing, and makes no lock."""
    policy = lock_policy(project.settings, may_create=False, in_source_tree=source.in_source_tree)
    weighed = _weigh(project, source, context) if discover(project, policy) is not None else None
    on = {rule.name for rule in slim_policy(project.settings).active_rules}
    return tuple(
        Saving(rule=rule, on=rule.name in on, bytes=None if weighed is None else weighed[rule.name])
        for rule in slimming.all_rules()
    )


def _weigh(project: Project, source: Source, context: Context) -> Counter[str]:
    """Count bytes by rule as if all of them were on; of a file that several ask for, the last has it."""
    settings = msgspec.structs.replace(project.settings, rules={rule.name: True for rule in slimming.all_rules()})
    weights: Counter[str] = Counter()
    with workspace(context.cache.root) as work:
        run = Run(settings=settings, context=context, work=work, journal=Journal())
        own = install.take_project(project.root, project_policy(project, source.wheel), context.uv, work)
        decisions = run.decide(
            collect.install_dependencies(project, collect.choose(project, source, run), run), own.tree
        )
        for decision in decisions:
            if not decision.kept:
                weights[decision.rule] += decision.file.size
        kept, _ = slimming.apply(decisions)
        weights["realign-segments"] = _stripped(kept, run, realign=False) - _stripped(kept, run, realign=True)
    return weights


def _stripped(tree: Tree, run: Run, *, realign: bool) -> int:
    policy = replace(strip_policy(run.settings), realign=realign)
    left, _, _ = elf.strip_tree(tree, policy, run.work, Silent(), jobs=run.context.jobs)
    return left.size
