"""All that goes into a package: its dependencies, and the project's own files that follow them."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.config.target import UNZIPPED_QUOTA
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Log, Step, Stopwatch, Tree
from hatch_lambda.pipeline import steps
from hatch_lambda.stages.bytecode.choose import left_out

if TYPE_CHECKING:
    from hatch_lambda.config.project import Project
    from hatch_lambda.core.session import Session
    from hatch_lambda.pipeline.dependencies import Dependencies
    from hatch_lambda.stages.bytecode.choose import Bytecode
    from hatch_lambda.stages.install.project import ProjectPart


_log = logger(__name__)


class Contents(Struct, frozen=True, kw_only=True, dict=True):
    """All that goes into a package."""

    project: ProjectPart
    dependencies: Dependencies
    own: Tree
    """The project's files that are to follow its dependencies'."""
    log: Log
    interpreter: str
    """The version that compiled the modules, or ``none``."""
    syntax: tuple[Finding, ...] | None
    """What that found wrong with the project's own; None where nobody looked."""

    @cached_property
    def tree(self) -> Tree:
        """All files."""
        return Tree.of([*self.dependencies.tree, *self.own])


def put_together(
    project: Project, own: ProjectPart, dependencies: Dependencies, bytecode: Bytecode | None, session: Session
) -> Contents:
    """Slim, strip and compile the project's *own* files, and let them follow its *dependencies*.

    Bytecode that is there only if there is room for it is left out, all of it, where there is none.
    """
    decided = partial(steps.decide_project, own.tree, dependencies.without_bytecode().tree, project.settings.slim)
    slimmed, compiled = steps.slim(own.tree, decided, project.settings, session, bytecode)
    installed = Log(stages=Stopwatch().stop("install", own.tree))
    plain = Step(tree=slimmed.tree, log=installed + slimmed.log)
    if compiled is None:
        return _contents(own, dependencies, plain, bytecode)
    whole = Step(tree=Tree.of([*plain.tree, *compiled.tree]), log=plain.log + compiled.log)
    contents = _contents(own, dependencies, whole, bytecode)
    if project.settings.bytecode.layout != "auto" or contents.tree.size <= _room(project):
        return contents
    _log.debug("the package with bytecode is %d bytes, more than %s", contents.tree.size, _room(project))
    contents = _contents(own, dependencies.without_bytecode(), plain, None)
    return replace(contents, log=contents.log + Log(findings=(left_out(),)))


def _contents(own: ProjectPart, dependencies: Dependencies, made: Step, bytecode: Bytecode | None) -> Contents:
    from hatch_lambda.stages.bytecode.compile import NOT_PYTHON
    from hatch_lambda.stages.install.distributions import set_apart

    log = dependencies.log + made.log
    syntax = tuple(found for found in log.findings if found.code == NOT_PYTHON)
    return Contents(
        project=own,
        dependencies=dependencies,
        own=set_apart(made.tree, dependencies.tree, dependencies.digests),
        log=replace(log, findings=tuple(found for found in log.findings if found not in syntax)),
        interpreter=bytecode.options.interpreter if bytecode is not None else "none",
        syntax=syntax if bytecode is not None else None,
    )


def _room(project: Project) -> float:
    """Return the bytes that Lambda leaves to the package beside its layers, any number where the rest is nested."""
    from hatch_lambda.inspect.audit.subject import read_layers

    if project.settings.output.shape == "nested":
        return math.inf
    return UNZIPPED_QUOTA - sum(layer.size for layer in read_layers(project.layers))
