"""The one place that orders the stages: from a project to a package, from a folder to a slim one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from hatch_lambda import archive, elf, install, locks, slimming, verify
from hatch_lambda.cache import workspace
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.model import Severity, Tree
from hatch_lambda.report import Package, Slimmed, StageResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from hatch_lambda.config import Settings
    from hatch_lambda.model import Change, Finding, Progress
    from hatch_lambda.process import Uv
    from hatch_lambda.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a door lends to the pipeline: everything that is the machine's and the moment's."""

    uv: Uv
    cache_dir: Path | None
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
class _Collected:
    """Everything that could go into the package, before any of it is judged."""

    tree: Tree
    version: str | None
    inputs: dict[str, str]


@dataclass
class _Log:
    """What the stages report, in the order in which it happened."""

    stages: list[StageResult] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def mark(self, stage: str, tree: Tree) -> None:
        """Note that *stage* left *tree*."""
        now = time.perf_counter()
        self.stages.append(StageResult.of(stage, tree, now - self.started))
        self.started = now

    def take(self, other: _Log, prefix: str) -> None:
        """Add what happened in the folder *prefix*, with its paths as they are seen from outside of it."""
        known = {stage.name: stage for stage in self.stages}
        for stage in other.stages:
            known[stage.name] = known[stage.name] + stage if stage.name in known else stage
        self.stages = list(known.values())
        self.changes += [replace(change, path=prefix + change.path) for change in other.changes]
        self.findings += [
            replace(finding, path=prefix + finding.path) if finding.path is not None else finding
            for finding in other.findings
        ]


@contextmanager
def _machine_errors() -> Iterator[None]:
    """Turn what this machine refuses (no space left, no permission) into an error with a remedy."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise HatchLambdaError(
            f"{where}{error.strerror or error}",
            hint="check the permissions there, and the free space, also where temporary files and caches are",
        ) from error


@_machine_errors()
def build(project: Project, source: Source, context: Context) -> Package:
    """Build the package of *project*, check it, and only then put it in its place."""
    settings, target = project.settings, project.target
    log = _Log()
    log.findings += verify.check_runtime(target.runtime, guessed=project.runtime_was_guessed, today=context.today)
    with workspace(context.cache_dir) as work:
        collected = _collect(project, source, context, work, log)
        tree = _slim(collected.tree, settings, context, work, log)
        log.findings += verify.check_handler(tree, settings.handler)
        log.findings += verify.check_unzipped(tree)
        verify.raise_errors(log.findings)
        zipped = archive.write(
            tree,
            _output(project, source, collected.version),
            archive.ArchivePolicy(compression=settings.compression, source_date_epoch=context.source_date_epoch),
            context.progress,
            jobs=context.jobs,
        )
        log.mark("zip", tree)
        log.stages[-1] = replace(log.stages[-1], size=zipped.size)
    log.findings += verify.check_zipped(zipped.size)
    return Package(
        tree=tree,
        stages=tuple(log.stages),
        changes=tuple(log.changes),
        findings=tuple(log.findings),
        path=zipped.path,
        size=zipped.size,
        sha256=zipped.sha256,
        content_sha256=zipped.content_sha256,
        runtime=target.runtime.name,
        architecture=target.architecture.value,
        inputs=collected.inputs,
    )


@_machine_errors()
def plan(project: Project, source: Source, context: Context) -> tuple[list[Change], tuple[slimming.Decision, ...]]:
    """Decide about every file of the package of *project*, and build nothing.

    Before the decisions come the Changes of the install stage, about which no rule decides.
    """
    log = _Log()
    with workspace(context.cache_dir) as work:
        collected = _collect(project, source, context, work, log)
        return log.changes, slimming.plan(collected.tree, _slim_policy(project.settings))


@_machine_errors()
def slim_directory(
    folder: Path, settings: Settings, expected: verify.Told, context: Context, *, dry_run: bool
) -> Slimmed:
    """Slim and strip, in place, what ``pip install --target`` or ``uv pip install --target`` put into *folder*.

    In a layer's folder that is ``python`` and ``python/lib/pythonX.Y/site-packages``, each a package of its
    own to the patterns. A changed file becomes a new one: the old may be a hard link into a cache. What is not
    *expected* of the target is told by the layer's folders and the tags of the wheels. Nothing is written
    before everything is decided.
    """
    log = _Log()
    slimmed: list[tuple[Path, Tree]] = []
    targets: list[verify.Told] = []
    with workspace(context.cache_dir) as work:
        for number, site in enumerate(install.site_folders(folder)):
            room = work / str(number)
            room.mkdir()
            inside = _Log()
            tree, changes = install.read_tree(site, room, ours=False)
            inside.changes += changes
            inside.mark("folder", tree)
            tags = install.read_tags(tree)
            told = verify.tell_target(tags)
            target = verify.Told(
                runtime=expected.runtime or install.site_runtime(site) or told.runtime,
                architecture=expected.architecture or told.architecture,
            )
            targets.append(target)
            inside.findings += verify.check_platforms(tags, target)
            slimmed.append((site, _slim(tree, settings, context, room, inside)))
            log.take(inside, "" if site == folder else f"{site.relative_to(folder).as_posix()}/")
        for site, tree in () if dry_run else slimmed:
            install.write_back(site, tree)
    everything = Tree(tuple(file for _, tree in slimmed for file in tree))
    # A folder is not the whole function, which may be larger; so its size is no reason to fail.
    log.findings += (replace(found, severity=Severity.WARNING) for found in verify.check_unzipped(everything))
    return Slimmed(
        tree=everything,
        stages=tuple(log.stages),
        changes=tuple(log.changes),
        findings=tuple(log.findings),
        runtime=_only(target.runtime for target in targets),
        architecture=_only(target.architecture for target in targets),
    )


@_machine_errors()
def made_here(project: Project, directory: Path) -> list[Path]:
    """Return the packages of *project* that are in *directory* or where ``output`` says, and their leftovers."""
    made = list(archive.packages_in(directory, project.name))
    if project.settings.output:
        output = project.root / project.settings.output
        made += [*([output] if output.is_file() else []), *archive.unfinished_of(output)]
    return made


def resolve_lock(project: Project, source: Source, context: Context, work: Path) -> locks.Lock:
    """Read the lock of *project*, as far as this door may."""
    return locks.read(project, _lock_policy(project.settings, source), context.uv, work)


def _collect(project: Project, source: Source, context: Context, work: Path, log: _Log) -> _Collected:
    """Install the locked distributions, and meanwhile build the project; put both together."""
    context.progress.start("install", 0)
    settings, target = project.settings, project.target
    with ThreadPoolExecutor(max_workers=1) as pool:
        building = pool.submit(
            install.take_project,
            project.root,
            install.ProjectPolicy(
                wheel=source.wheel,
                is_package=project.is_package,
                handler=settings.handler,
                include=settings.include,
                exclude=settings.exclude,
                scripts=settings.scripts,
            ),
            context.uv,
            work,
        )
        lock = resolve_lock(project, source, context, work)
        log.findings += lock.findings
        chosen = locks.select(lock, project, target, _lock_policy(settings, source))
        pinned = locks.pinned(chosen, lock.path.parent) if chosen else None
        dependencies, changes = install.take_distributions(pinned, target, context.uv, work, cwd=project.root)
        own = building.result()
    log.changes += changes
    tree = install.merge(dependencies, own.tree)
    log.mark("install", tree)
    return _Collected(
        tree=tree,
        version=own.version or project.version,
        inputs={
            "hatch-lambda": version("hatch-lambda"),
            "deflate": version("deflate"),
            "build-backend": own.backend or "none",
            "lock": lock.path.name,
        },
    )


def _slim(tree: Tree, settings: Settings, context: Context, work: Path, log: _Log) -> Tree:
    """Remove what is not needed, then what is not needed of what is left."""
    context.progress.start("slim", 0)
    tree, changes = slimming.apply(slimming.plan(tree, _slim_policy(settings)))
    install.refuse_conflicts(tree)
    log.changes += changes
    log.mark("slim", tree)
    policy = elf.StripPolicy(enabled=settings.strip, exclude=settings.strip_exclude)
    tree, changes, findings = elf.strip_tree(tree, policy, work, context.progress, jobs=context.jobs)
    tree = install.renew(tree, work)
    log.changes += changes
    log.findings += findings
    log.mark("strip", tree)
    return tree


def _only(names: Iterable[str | None]) -> str | None:
    """Return the one name among *names*; None where there is none, or more."""
    known = {name for name in names if name is not None}
    return known.pop() if len(known) == 1 else None


def _slim_policy(settings: Settings) -> slimming.SlimPolicy:
    return slimming.SlimPolicy(
        patterns=settings.patterns,
        append_default_patterns=settings.append_default_patterns,
        dist_info=settings.dist_info,
        keep_dist_info=settings.keep_dist_info,
        scripts=settings.scripts,
    )


def _lock_policy(settings: Settings, source: Source) -> locks.LockPolicy:
    return locks.LockPolicy(
        lock=settings.lock,
        require_lock=settings.require_lock,
        extras=settings.extras,
        groups=settings.groups,
        may_create=source.may_create_lock,
        in_source_tree=source.in_source_tree,
    )


def _output(project: Project, source: Source, project_version: str | None) -> Path:
    if project.settings.output:
        return project.root / project.settings.output
    directory = source.directory or project.root / "dist"
    return directory / archive.package_name(project.name, project_version, project.target)
