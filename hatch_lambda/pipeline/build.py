"""The one place that orders the stages: from a project to a package, from a folder to a slim one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import deflate
from msgspec.structs import replace

from hatch_lambda.core.cache import Cache, digest
from hatch_lambda.core.codec import to_msgpack
from hatch_lambda.core.files import workspace
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Journal, Severity
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import machine_errors
from hatch_lambda.inspect.package import Package
from hatch_lambda.pipeline.dependencies import Taken, drop, take
from hatch_lambda.pipeline.outputs import check_older, output_of
from hatch_lambda.pipeline.shapes.shape import Ingredients, make
from hatch_lambda.pipeline.smoke import smoke_test
from hatch_lambda.pipeline.steps import Run
from hatch_lambda.stages.archive.section import DamagedSectionError
from hatch_lambda.stages.archive.zipformat import Timestamp
from hatch_lambda.stages.slim.findings import check_requests

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.session import Session
    from hatch_lambda.inspect.audit.facts import Facts
    from hatch_lambda.inspect.audit.subject import Audit
    from hatch_lambda.pipeline.request import Source


_log = logger(__name__)

_OF_THE_ZIP = frozenset({"zip", "import", "invoke"})
"""Stages whose size is the zip's."""


@machine_errors()
def build(project: Project, source: Source, session: Session) -> Package:
    """Build the package of *project*, check it, and only then put it in its place."""
    from hatch_lambda.inspect.audit.subject import demote

    try:
        package = _build(project, source, session)
    except DamagedSectionError:
        _log.debug("a part that was kept is damaged; it is made again")
        # Rebuilt, it takes the damaged part's place; and if the cache cannot hold even that, it is done without.
        try:
            package = _build(project, source, replace(session, cache=replace(session.cache, refresh=True)))
        except DamagedSectionError:
            package = _build(project, source, replace(session, cache=Cache(root=None)))
    finally:
        problems = [*map(_cache_problem, session.cache.settle())]
    return replace(package, findings=(*package.findings, *demote(problems, project.settings.audit.ignore)))


def _build(project: Project, source: Source, session: Session) -> Package:
    from hatch_lambda.inspect.audit import facts
    from hatch_lambda.inspect.audit.layout import check_runtime, check_zipped

    target, timestamp = project.target, Timestamp.of(session.source_date_epoch)
    journal = Journal()
    journal.findings += check_runtime(target.runtime, guessed=project.runtime_was_guessed, today=session.today)
    with workspace(session.cache.root) as work:
        run = Run(settings=project.settings, session=session, work=work, journal=journal)
        taken = take(project, source, timestamp, run)
        own, stored, own_tree, tree = taken.project, taken.dependencies, taken.own_tree, taken.tree
        requests = check_requests(own.tree, taken.dependency_tree, project.settings.slim)
        audited = _audit(project, taken, facts.collect(own_tree, target.markers), session)
        run.judge([*requests, *audited.findings])

        def inspect(package: Path, content_sha256: str) -> None:
            journal.mark("zip", own_tree)
            run.judge(smoke_test(package, content_sha256, project, run, tree))

        version = own.version or project.version
        ingredients = Ingredients(
            project=project,
            version=version,
            stored=stored.section,
            dependencies=taken.dependency_tree,
            own=own_tree,
            output=output_of(project, version, source.directory),
            work=work,
            packer=run.packer(),
            timestamp=timestamp,
            inspect=inspect,
            judge=run.judge,
        )
        try:
            with ingredients.packer:
                made = make(ingredients)
        except DamagedSectionError:
            drop(session.cache, stored.key)
            raise
    _log.debug("%s was written, %d bytes", made.main.path, made.main.size)
    journal.stages = [
        replace(stage, size=made.main.size) if stage.name in _OF_THE_ZIP else stage for stage in journal.stages
    ]
    run.judge(check_zipped(made.main.size if made.main.sha256 else 0))
    run.judge(check_older(ingredients, made))
    return Package(
        tree=tree,
        stages=tuple(journal.stages),
        changes=tuple(journal.changes),
        findings=tuple(journal.findings),
        shape=project.settings.output.shape,
        function=project.function,
        handler=made.handler or project.settings.project.handler,
        path=made.main.path,
        size=made.main.size,
        sha256=made.main.sha256,
        content_sha256=made.main.content_sha256 or "",
        others=made.others,
        outer_size=made.main.unzipped if made.main.kind == "nested" else None,
        runtime=target.runtime.name,
        architecture=target.architecture.value,
        from_cache=not stored.is_new,
        audit=audited,
        inputs={
            "hatch-lambda": __version__,
            "deflate": deflate.__version__,
            "build-backend": own.backend or "none",
            "interpreter": taken.interpreter,
            "lock": taken.lock,
        },
        name=project.distribution,
        version=own.version or project.version,
        pinned=taken.pinned,
        metadata=journal.metadata,
    )


def _audit(project: Project, taken: Taken, own: Facts, session: Session) -> Audit:
    """Audit the package by what is known of its files, or remember what the same came to."""
    from hatch_lambda.inspect.audit.checks import audit
    from hatch_lambda.inspect.audit.subject import Subject, read_layers

    settings = project.settings
    layers = read_layers(project.layers)
    subject = Subject(
        tree=taken.tree,
        facts=taken.dependencies.part.facts + own,
        runtime=project.target.runtime,
        architecture=project.target.architecture,
        handler=settings.project.handler,
        nested=settings.output.shape == "nested",
        layers=layers,
        syntax=taken.syntax,
        cache=session.cache,
    )
    # An edit of the project's code changes none of this, but for what it imports and asks for.
    files = [(file.path, file.executable, file.distribution) for file in taken.own_tree]
    known = (files, own, project.target, subject.handler, layers)
    return audit(subject, digest(taken.dependencies.key, to_msgpack(known)))


def _cache_problem(problem: str) -> Finding:
    return Finding(
        code="HL030",
        severity=Severity.WARNING,
        message=problem,
        hint="the package is right all the same; the next build may be slower",
    )
