"""The one place that orders the stages: from a project to a package, from a folder to a slim one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import deflate
from msgspec.structs import replace

from hatch_lambda.core.cache import Cache, digest
from hatch_lambda.core.codec import to_msgpack
from hatch_lambda.core.files import failing_as_archive_error, workspace
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Finding, Log, Severity, Stopwatch
from hatch_lambda.core.staging import Staging
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import machine_errors
from hatch_lambda.inspect.package import Package
from hatch_lambda.pipeline.contents import put_together
from hatch_lambda.pipeline.dependencies import choose, prepare
from hatch_lambda.pipeline.outputs import check_older, output_of
from hatch_lambda.pipeline.parts import drop
from hatch_lambda.pipeline.shapes.shape import Ingredients, make
from hatch_lambda.pipeline.smoke import smoke_test
from hatch_lambda.pipeline.steps import packer
from hatch_lambda.stages.archive.section import DamagedSectionError
from hatch_lambda.stages.archive.zipformat import Timestamp
from hatch_lambda.stages.bytecode.choose import for_package
from hatch_lambda.stages.slim.findings import check_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.session import Session
    from hatch_lambda.inspect.audit.subject import Audit
    from hatch_lambda.pipeline.contents import Contents
    from hatch_lambda.pipeline.request import Source
    from hatch_lambda.pipeline.shapes.shape import Product
    from hatch_lambda.stages.archive.write import Zip


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
    from hatch_lambda.inspect.audit.subject import demote, raise_errors

    with workspace(session.cache.root) as work:
        session = replace(session, work_folder=work)
        contents = _take(project, source, session)
        audited = _audit(project, contents, session)
        ingredients = _ingredients(project, contents, source, session)
        watch = Stopwatch()
        try:
            with Staging() as new:
                with ingredients.packer:
                    made, whole = make(ingredients, new)
                log = contents.log + Log(stages=watch.stop("zip", contents.own))
                found = (*audited.findings, *made.findings, *_checked(project, contents, made, session))
                found = demote([*log.findings, *found, *check_older(ingredients, made)], project.settings.audit.ignore)
                log = _tried(
                    replace(whole, path=new.at(whole.path)), project, contents, replace(log, findings=found), session
                )
                raise_errors(log.findings)
                with failing_as_archive_error(made.main.path):
                    new.commit()
        except DamagedSectionError:
            for stored in contents.dependencies.parts:
                drop(session.cache, stored.key)
            raise
    _log.debug("%s was written, %d bytes", made.main.path, made.main.size)
    return _package(project, contents, made, log, audited)


def _ingredients(project: Project, contents: Contents, source: Source, session: Session) -> Ingredients:
    version = contents.project.version or project.version
    return Ingredients(
        project=project,
        version=version,
        sections=contents.dependencies.sections,
        dependencies=contents.dependencies.tree,
        own=contents.own,
        output=output_of(project, version, source.directory),
        work=session.work,
        packer=packer(project.settings, session),
        timestamp=Timestamp.of(session.source_date_epoch),
    )


def _tried(package: Zip, project: Project, contents: Contents, log: Log, session: Session) -> Log:
    """Return *log* with what came of running the *package*; one that has errors already is not run."""
    from hatch_lambda.inspect.audit.subject import demote

    if any(found.severity is Severity.ERROR for found in log.findings):
        return log
    watch = Stopwatch()
    stage, findings = smoke_test(package.path, package.content_sha256, project, session, log.changes)
    stages = watch.stop(stage, contents.tree) if stage else ()
    return log + Log(stages=stages, findings=demote(findings, project.settings.audit.ignore))


def _checked(project: Project, contents: Contents, made: Product, session: Session) -> Iterator[Finding]:
    """Check what is not about the content of the files."""
    from hatch_lambda.inspect.audit.layout import check_runtime, check_zipped

    yield from check_runtime(project.target.runtime, guessed=project.runtime_was_guessed, today=session.today)
    yield from check_requests(contents.project.tree, contents.dependencies.tree, project.settings.slim)
    yield from check_zipped(made.main.size if made.main.sha256 else 0)


def _package(project: Project, contents: Contents, made: Product, log: Log, audited: Audit) -> Package:
    return Package(
        tree=contents.tree,
        stages=tuple(
            replace(stage, size=made.main.size) if stage.name in _OF_THE_ZIP else stage for stage in log.stages
        ),
        changes=log.changes,
        findings=log.findings,
        shape=project.settings.output.shape,
        function=project.function,
        handler=made.handler or project.settings.project.handler,
        path=made.main.path,
        size=made.main.size,
        sha256=made.main.sha256,
        content_sha256=made.main.content_sha256 or "",
        others=made.others,
        outer_size=made.main.unzipped if made.main.kind == "nested" else None,
        runtime=project.target.runtime.name,
        architecture=project.target.architecture.value,
        from_cache=contents.dependencies.from_cache,
        audit=audited,
        inputs={
            "hatch-lambda": __version__,
            "deflate": deflate.__version__,
            "build-backend": contents.project.backend or "none",
            "interpreter": contents.interpreter,
            "lock": contents.dependencies.choice.lock,
        },
        name=project.distribution,
        version=contents.project.version or project.version,
        pinned=contents.dependencies.choice.pinned,
        metadata=log.metadata,
    )


def _take(project: Project, source: Source, session: Session) -> Contents:
    """Come by all that goes into the package.

    While the project's wheel is being built the dependencies are installed, unless they are known already.
    """
    from hatch_lambda.stages.install.project import take_project

    session.progress.start("install", 0)
    with ThreadPoolExecutor(max_workers=2) as pool:
        settings, scripts = project.settings.project, project.settings.slim.scripts
        building = pool.submit(
            take_project, project, settings, session.uv, session.work, wheel=source.wheel, scripts=scripts
        )
        finding = pool.submit(for_package, project.settings.bytecode, project.target.runtime, session, project.root)
        chosen = choose(project, source, session)
        bytecode = finding.result()
        dependencies = prepare(project, chosen, bytecode, building, session)
    return put_together(project, building.result(), dependencies, bytecode, session)


def _audit(project: Project, contents: Contents, session: Session) -> Audit:
    """Audit the package by what is known of its files, or remember what the same came to."""
    from hatch_lambda.inspect.audit.checks import audit
    from hatch_lambda.inspect.audit.facts import collect
    from hatch_lambda.inspect.audit.subject import Subject, read_layers

    settings = project.settings
    own = collect(contents.own, project.target.markers)
    layers = read_layers(project.layers)
    subject = Subject(
        tree=contents.tree,
        facts=contents.dependencies.facts + own,
        runtime=project.target.runtime,
        architecture=project.target.architecture,
        handler=settings.project.handler,
        nested=settings.output.shape == "nested",
        layers=layers,
        syntax=contents.syntax,
        cache=session.cache,
    )
    # An edit of the project's code changes none of this, but for what it imports and asks for.
    files = [(file.path, file.executable, file.distribution) for file in contents.own]
    known = (files, own, project.target, subject.handler, layers)
    return audit(subject, digest([stored.key for stored in contents.dependencies.parts], to_msgpack(known)))


def _cache_problem(problem: str) -> Finding:
    return Finding(
        code="HL030",
        severity=Severity.WARNING,
        message=problem,
        hint="the package is right all the same; the next build may be slower",
    )
