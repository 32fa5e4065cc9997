"""The one place that orders the stages: from a project to a package, from a folder to a slim one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import deflate
from msgspec.structs import replace

from hatch_lambda import __version__, archive, collect, compiling, install, locks, parts, shapes, slimming, verify
from hatch_lambda.cache import Cache, digest
from hatch_lambda.decoding import from_cache, to_msgpack
from hatch_lambda.errors import machine_errors
from hatch_lambda.interpreter import nearby
from hatch_lambda.model import Finding, Severity, Tree
from hatch_lambda.policies import project_policy, slim_policy, verify_policy
from hatch_lambda.report import Package, Slimmed
from hatch_lambda.report.journal import Journal
from hatch_lambda.run import Context, Run, Source
from hatch_lambda.smoke import smoke_test
from hatch_lambda.workspace import workspace

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.model import Change, File
    from hatch_lambda.project import Project
    from hatch_lambda.settings import Settings


_AUDITS = "audits"
_OF_THE_ZIP = frozenset({"zip", "import", "invoke"})
"""Stages whose size is the zip's."""


@machine_errors()
def build(project: Project, source: Source, context: Context) -> Package:
    """Build the package of *project*, check it, and only then put it in its place."""
    try:
        package = _build(project, source, context)
    except archive.DamagedSectionError:
        # Made anew it takes the damaged part's place; and if the cache cannot hold even that, it is done without.
        try:
            package = _build(project, source, replace(context, cache=replace(context.cache, refresh=True)))
        except archive.DamagedSectionError:
            package = _build(project, source, replace(context, cache=Cache(root=None)))
    finally:
        problems = [*map(_cache_problem, context.cache.settle())]
    return replace(package, findings=(*package.findings, *verify.settle(problems, project.settings.verify_ignore)))


def _build(project: Project, source: Source, context: Context) -> Package:
    target, timestamp = project.target, archive.Timestamp.of(context.source_date_epoch)
    journal = Journal()
    journal.findings += verify.check_runtime(target.runtime, guessed=project.runtime_was_guessed, today=context.today)
    with workspace(context.cache.root) as work:
        run = Run(settings=project.settings, context=context, work=work, journal=journal)
        taken = collect.take(project, source, timestamp, run)
        own, stored, own_tree, tree = taken.project, taken.dependencies, taken.own_tree, taken.tree
        requests = slimming.check_requests(own.tree, taken.dependency_tree, slim_policy(project.settings))
        audited = _audit(project, taken, verify.collect(own_tree, target.markers), context)
        run.judge([*requests, *audited.findings])

        def inspect(package: Path, content_sha256: str) -> None:
            journal.mark("zip", own_tree)
            run.judge(smoke_test(package, content_sha256, project, run, tree))

        version = own.version or project.version
        ingredients = shapes.Ingredients(
            project=project,
            version=version,
            stored=stored.section,
            dependencies=taken.dependency_tree,
            own=own_tree,
            output=shapes.output_of(project, version, source.directory),
            work=work,
            packer=run.packer(),
            timestamp=timestamp,
            inspect=inspect,
            judge=run.judge,
        )
        try:
            with ingredients.packer:
                made = shapes.make(ingredients)
        except archive.DamagedSectionError:
            parts.drop(context.cache, stored.key)
            raise
    journal.stages = [
        replace(stage, size=made.main.size) if stage.name in _OF_THE_ZIP else stage for stage in journal.stages
    ]
    run.judge(verify.check_zipped(made.main.size if made.main.sha256 else 0))
    run.judge(shapes.check_older(ingredients, made))
    return Package(
        tree=tree,
        stages=tuple(journal.stages),
        changes=tuple(journal.changes),
        findings=tuple(journal.findings),
        shape=project.settings.shape,
        function=project.function,
        handler=made.handler or project.settings.handler,
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


@machine_errors()
def plan(project: Project, source: Source, context: Context) -> tuple[list[Change], tuple[slimming.Decision, ...]]:
    """Decide about every file of the package of *project*, and build nothing.

    Before the decisions come the Changes of the install stage, about which no rule decides.
    """
    with workspace(context.cache.root) as work:
        run = Run(settings=project.settings, context=context, work=work, journal=Journal())
        own = install.take_project(project.root, project_policy(project, source.wheel), context.uv, work)
        installed = collect.install_dependencies(project, collect.choose(project, source, run), run)
        dependencies = run.decide(installed, own.tree)
        kept, _ = slimming.apply(dependencies)
        decisions = (*dependencies, *run.decide_project(own.tree, kept))
        return run.journal.changes, compiling.foresee(decisions, project.settings, project.target.runtime)


@machine_errors()
def slim_directory(
    folder: Path, settings: Settings, expected: verify.Told, context: Context, *, dry_run: bool
) -> Slimmed:
    """Slim and strip, in place, what ``pip install --target`` or ``uv pip install --target`` put into *folder*.

    In a layer's folder that is ``python`` and ``python/lib/pythonX.Y/site-packages``, each a package of its
    own to the patterns. A changed file becomes a new one: the old may be a hard link into a cache. What is not
    *expected* of the target is told by the layer's folders and the tags of the wheels. Nothing is written
    before everything is decided, and what a run that died had decided is done first.
    """
    request = digest(settings, expected)
    files: list[File] = []
    targets: list[verify.Told] = []
    with workspace(context.cache.root) as work:
        install.require_target(folder)
        earlier = None if dry_run else install.finish(folder)
        is_done = earlier is not None and earlier.undisturbed and earlier.note.request == request
        run = Run(settings=settings, context=context, work=work, journal=Journal())
        journal = run.journal
        sites = install.site_folders(folder, known=earlier is not None)
        for number, site in enumerate(sites):
            room = work / str(number)
            room.mkdir()
            inside = replace(run, work=room, journal=Journal())
            tree, target = _read_site(site, expected, inside)
            targets.append(target)
            if not is_done:
                tree = _slim_site(site, folder, tree, target, inside)
            prefix = "" if site == folder else f"{site.relative_to(folder).as_posix()}/"
            journal.take(inside.journal, prefix)
            files += (replace(file, path=prefix + file.path) for file in tree)
        everything = Tree.of(files)
        if earlier is not None:
            journal.changes[:0] = earlier.note.changes
        if earlier is not None and is_done:
            journal.findings[:] = earlier.note.findings
        else:
            # A folder is not the whole function, which may be larger; so its size is no reason to fail.
            run.judge(replace(found, severity=Severity.WARNING) for found in verify.check_unzipped(everything))
        if not (dry_run or is_done):
            note = install.Note(request=request, changes=tuple(journal.changes), findings=tuple(journal.findings))
            install.write_back(folder, everything, sites, note)
        journal.findings += _check_interrupted(folder, was_begun=earlier is not None)
    common = verify.Told.common(targets)
    return Slimmed(
        tree=everything,
        stages=tuple(journal.stages),
        changes=tuple(journal.changes),
        findings=tuple(journal.findings),
        runtime=common.runtime,
        architecture=common.architecture,
    )


def _read_site(site: Path, expected: verify.Told, run: Run) -> tuple[Tree, verify.Told]:
    """Return what lies in *site*, and what that is for."""
    tree, changes = install.read_tree(site, run.work, ours=False)
    run.journal.changes += changes
    run.journal.mark("folder", tree)
    tags = install.read_tags(tree)
    told = verify.tell_target(tags) if tags else verify.tell_by_files(tree)
    target = verify.Told(
        runtime=expected.runtime or install.site_runtime(site) or told.runtime,
        architecture=expected.architecture or told.architecture,
    )
    run.journal.findings += verify.check_platforms(tags, target)
    return tree, target


def _slim_site(site: Path, folder: Path, tree: Tree, target: verify.Told, run: Run) -> Tree:
    """Slim and strip the *tree* that lies in *site*, and keep there what tells the target."""
    made = compiling.for_folder(run.settings, target.runtime, run.context, site, folder)
    return replace(run, bytecode=made, telling=install.telling_tags(tree)).slim(tree, Tree(()))


def _check_interrupted(folder: Path, *, was_begun: bool) -> list[Finding]:
    """Find an earlier run that died: finished now if it *was_begun* before this one, or not yet."""
    if was_begun:
        fact, hint = "an earlier run was interrupted; what it had left to do was done first", None
    elif install.is_begun(folder):
        fact, hint = "an earlier run was interrupted", "a run without --dry-run finishes it first, which changes this"
    else:
        return []
    return [
        Finding(
            code="HL009",
            severity=Severity.WARNING if hint else Severity.NOTE,
            message=f"{folder}: {fact}",
            hint=hint,
        )
    ]


def resolve_lock(project: Project, source: Source, context: Context, work: Path) -> locks.Lock:
    """Read the lock of *project*, as far as this door may."""
    python = nearby("{}.{}".format(*project.target.runtime.python_version), context.uv, context.cache)
    return locks.read(
        collect.locked(project, source), collect.lock_policy_of(project, source), context.uv, work, python
    )


def _audit(project: Project, taken: collect.Taken, own: verify.Facts, context: Context) -> verify.Audit:
    """Judge the package by what is known of its files, or remember how the same was judged."""
    policy = verify_policy(project.settings)
    layers = verify.read_layers(project.layers)
    subject = verify.Subject(
        tree=taken.tree,
        facts=taken.dependencies.part.facts + own,
        runtime=project.target.runtime,
        architecture=project.target.architecture,
        elsewhere=frozenset().union(*(layer.paths for layer in layers)),
        syntax=taken.syntax,
    )
    # An edit of the project's code changes none of this, but for what it imports and asks for.
    files = [(file.path, file.executable, file.distribution) for file in taken.own_tree]
    known = (files, own, project.target, policy, layers)
    key = digest(taken.dependencies.key, to_msgpack(known))
    audited = from_cache(context.cache.get(_AUDITS, key), verify.Audit)
    if audited is None:
        audited = verify.audit(subject, policy, layers)
        context.cache.put(_AUDITS, key, to_msgpack(audited))
    more = [
        *verify.check_unzipped(taken.tree, sum(layer.size for layer in layers), nested=policy.nested),
        *verify.check_syntax(subject, policy.handler, context.cache),
    ]
    return replace(audited, findings=(*audited.findings, *more))


def _cache_problem(problem: str) -> Finding:
    return Finding(
        code="HL030",
        severity=Severity.WARNING,
        message=problem,
        hint="the package is right all the same; the next build may be slower",
    )
