"""Come by all that goes into a package: the project's files, and the part of its dependencies, kept or made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda import archive, bytecode, compiling, install, locks, parts, verify
from hatch_lambda.model import Tree
from hatch_lambda.policies import build_policy, lock_policy, project_policy, slim_policy, strip_policy
from hatch_lambda.report.journal import Journal
from hatch_lambda.target import UNZIPPED_QUOTA

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Buffer

    from hatch_lambda.cache import Cache
    from hatch_lambda.model import Finding
    from hatch_lambda.project import Project
    from hatch_lambda.run import Run, Source


class Taken(Struct, frozen=True, kw_only=True):
    """All that goes into a package."""

    project: install.ProjectPart
    dependencies: parts.StoredPart
    dependency_tree: Tree
    """The files of that part."""
    own_tree: Tree
    """The project's files that are to follow its dependencies'."""
    tree: Tree
    """All files."""
    lock: str
    """The name of the lock file."""
    pinned: str | None
    """The locked wheels as a ``pylock.toml``; None where there are none."""
    interpreter: str
    """The version that compiled the modules, or ``none``."""
    syntax: tuple[Finding, ...] | None
    """What that found wrong with the project's own."""


def take(project: Project, source: Source, timestamp: archive.Timestamp, run: Run) -> Taken:
    """Come by the project's files and by the dependencies' part: kept since an earlier build, or made now.

    While the project's wheel is being built the dependencies are installed, unless they are known already. What is
    only wanted if there is room for it, bytecode, is tried first.
    """
    run.context.progress.start("install", 0)
    with ThreadPoolExecutor(max_workers=2) as pool:
        policy = project_policy(project, source.wheel)
        building = pool.submit(install.take_project, project.root, policy, run.context.uv, run.work)
        target = project.target
        asking = pool.submit(compiling.options, project.settings, target.runtime, run.context, cwd=project.root)
        chosen = choose(project, source, run)
        run.journal.findings += chosen.choice.findings
        options = asking.result()
        compressed: dict[str, Buffer] = {}
        for number, option in enumerate(options, start=1):
            work = run.work / f"attempt-{number}"
            work.mkdir()
            attempt = _Attempt(
                project=project,
                chosen=chosen,
                timestamp=timestamp,
                building=building,
                run=replace(run, work=work, bytecode=option, journal=Journal()),
                room=_room(project) if number < len(options) else None,
                compressed=compressed,
            )
            taken = attempt.take()
            if taken is not None:
                break
    run.journal.take(attempt.run.journal)
    if number > 1:
        run.journal.findings.append(compiling.left_out())
    assert taken is not None  # the last attempt raises where there is no room
    return taken


class Chosen(Struct, frozen=True, kw_only=True):
    """What is installed: what the lock chooses, and of local folders what is built of them."""

    choice: locks.Choice
    folders: tuple[install.Built, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """For each distribution a digest: with the same ones the same bytes are installed."""
        return tuple(sorted((*self.choice.identities, *(built.identity for built in self.folders))))


def choose(project: Project, source: Source, run: Run) -> Chosen:
    """Choose the locked wheels for the target, and build the local folders, which nothing else makes certain."""
    policy = lock_policy_of(project, source)
    context = run.context
    choice = locks.choose(locked(project, source), project.target, policy, context.uv, context.cache, run.work)
    folders = [source for source in choice.sources if source.directory is not None]
    built = install.build_folders(folders, _bench(project, run), context.once, jobs=context.jobs) if folders else ()
    return Chosen(choice=choice, folders=built)


def install_dependencies(project: Project, chosen: Chosen, run: Run) -> Tree:
    """Build what was chosen and has no wheel, and install everything."""
    bench, choice = _bench(project, run), chosen.choice
    fetched = (install.build(source, bench) for source in choice.sources if source.directory is None)
    built = sorted((*fetched, *chosen.folders), key=lambda one: one.source.name)
    tree, changes = install.take_distributions(choice.pinned, [one.wheel for one in built], bench)
    tree = install.with_extra_files(tree, bench)
    run.journal.changes += changes
    run.journal.findings += install.native_notes(built)
    run.journal.mark("install", tree)
    return tree


def _bench(project: Project, run: Run) -> install.Bench:
    return install.Bench(
        target=project.target,
        policy=build_policy(project),
        uv=run.context.uv,
        cache=run.context.cache,
        workspace=run.work,
        cwd=project.root,
    )


def lock_policy_of(project: Project, source: Source) -> locks.LockPolicy:
    """Return the lock stage's policy, for the door that *source* is."""
    return lock_policy(
        locked(project, source).settings,
        may_create=source.may_create_lock,
        unattended=source.unattended,
        in_source_tree=source.in_source_tree,
        function=project.function,
    )


def locked(project: Project, source: Source) -> Project:
    """Return whose lock is read: an sdist carries every lock as that of the project itself."""
    return project.locked if source.in_source_tree else project


class _Attempt(Struct, frozen=True, kw_only=True, dict=True):
    """One way to take everything: with bytecode, or without."""

    project: Project
    chosen: Chosen
    timestamp: archive.Timestamp
    building: Future[install.ProjectPart]
    run: Run
    room: int | None
    """Bytes above which another way is tried; None: this is the way, however much it needs."""
    compressed: dict[str, Buffer]
    """What ways that were not taken leave to the next: compressed files by the SHA-256 of their content."""

    def take(self) -> Taken | None:
        """Take the project's files and the dependencies' part; None where there is too little room, and another way."""
        run = self.run
        stored = self._dependencies()
        if stored is None:
            return None
        run.journal.take(stored.part)
        dependencies, own = stored.part.tree(stored.file), self.building.result()
        run.journal.mark("install", own.tree)
        own_tree = run.slim_project(own.tree, dependencies)
        syntax = tuple(found for found in run.journal.findings if found.code == bytecode.NOT_PYTHON)
        run.journal.findings[:] = (found for found in run.journal.findings if found not in syntax)
        own_tree = install.set_apart(own_tree, dependencies, stored.part.digests())
        tree = Tree.of([*dependencies, *own_tree])
        if self._is_too_much(tree):
            return None
        return Taken(
            project=own,
            dependencies=stored,
            dependency_tree=dependencies,
            own_tree=own_tree,
            tree=tree,
            lock=self.chosen.choice.lock,
            pinned=self.chosen.choice.pinned,
            interpreter=run.bytecode.policy.interpreter if run.bytecode is not None else "none",
            syntax=syntax if run.bytecode is not None else None,
        )

    @cached_property
    def _bytecode(self) -> compiling.Bytecode | None:
        """How the dependencies' modules are compiled: they name files as they are on Lambda."""
        made = self.run.bytecode
        return made.in_layer() if made is not None and self.run.settings.shape == "layer" else made

    @cached_property
    def _key(self) -> parts.Key:
        settings, build = self.run.settings, build_policy(self.project)
        return parts.Key(
            wheels=self.chosen.identities,
            target=str(self.project.target),
            policies=(
                *(build, slim_policy(settings), strip_policy(settings)),
                self._bytecode and self._bytecode.policy,
                *(install.surroundings(build, self.run.context.uv.environment) if self.chosen.choice.sources else ()),
            ),
            compression=settings.compression,
            timestamp=self.timestamp,
            tool=parts.tool(self.run.context.cache),
        )

    def _dependencies(self) -> parts.StoredPart | None:
        cache = self.run.context.cache
        stored, crowded = self._kept(cache)
        if stored is None and not crowded:
            with parts.making(self._key):
                stored, crowded = self._kept(replace(cache, remote=None))  # another thread's would be on this machine
                if stored is None and not crowded:
                    stored = self._make()
        return stored

    def _kept(self, cache: Cache) -> tuple[parts.StoredPart | None, bool]:
        """Return the part that is kept, or whether it is known to be too large."""
        key = self._key
        if not parts.is_known(cache, key):
            return None, False
        influence = self.run.influence(self.building.result().tree)
        stored = parts.load(cache, key, influence)
        room = self.room
        return stored, stored is None and room is not None and parts.is_crowded(cache, key, influence, room)

    def _make(self) -> parts.StoredPart | None:
        """Install, slim, strip, compile and compress the dependencies, and keep the result."""
        run = replace(self.run, bytecode=self._bytecode, journal=Journal())
        with ThreadPoolExecutor(max_workers=1) as pool:
            looking = pool.submit(parts.streams, replace(run.context.cache, remote=None), self._key, self.compressed)
            dependencies = install_dependencies(self.project, self.chosen, run)
        own = self.building.result().tree
        with run.packer(looking.result()) as packer:
            tree = run.slim(dependencies, own, packer)
            if self._is_too_much(tree):
                parts.note_crowded(run.context.cache, self._key, run.influence(own), tree.size)
                self.compressed.update(packer.finished())
                return None
            if len(tree):
                nested = run.settings.shape == "nested"
                replace(run, journal=Journal()).judge(verify.check_unzipped(tree, nested=nested))
            run.context.progress.start("compress", tree.size)
            with ThreadPoolExecutor(max_workers=1) as pool:
                reading = pool.submit(verify.collect, tree, self.project.target.markers)
                section = archive.write_section(tree, run.work / "section", packer, self.timestamp)
                facts = reading.result()
        run.journal.mark("zip", tree)
        part = parts.Part.of(section, tree, run.journal, facts)
        return parts.store(run.context.cache, self._key, run.influence(own), part, run.work / "section")

    def _is_too_much(self, tree: Tree) -> bool:
        return self.room is not None and tree.size > self.room


def _room(project: Project) -> int | None:
    """Return the bytes that Lambda leaves to the package beside its layers; None where the rest is nested."""
    if project.settings.shape == "nested":
        return None
    return UNZIPPED_QUOTA - sum(layer.size for layer in verify.read_layers(project.layers))
