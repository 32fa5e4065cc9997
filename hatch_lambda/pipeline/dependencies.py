"""The dependencies of a package: kept since an earlier build, or installed, slimmed and compressed now."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache as memoized
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import deflate
import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda.config.target import UNZIPPED_QUOTA
from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_msgpack
from hatch_lambda.core.log import logger
from hatch_lambda.core.model import (
    Change,
    File,
    Finding,
    Journal,
    StageResult,
    Tree,
)
from hatch_lambda.core.python import nearby
from hatch_lambda.core.untrusted import is_digest, name_problem, shown
from hatch_lambda.core.version import __version__
from hatch_lambda.inspect.audit.facts import Facts  # noqa: TC001 - as above
from hatch_lambda.stages.archive.pack import SectionStreams
from hatch_lambda.stages.archive.section import DamagedSectionError, Section, StoredSection
from hatch_lambda.stages.archive.write import is_whole, write_section
from hatch_lambda.stages.bytecode.choose import Bytecode, left_out
from hatch_lambda.stages.bytecode.choose import options as bytecode_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future

    from typing_extensions import Buffer

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.session import Session
    from hatch_lambda.pipeline.request import Source
    from hatch_lambda.pipeline.steps import Run
    from hatch_lambda.stages.archive.zipformat import Timestamp
    from hatch_lambda.stages.install.project import ProjectPart
    from hatch_lambda.stages.install.sdists.bench import Bench, Built
    from hatch_lambda.stages.locks.choice import Choice
    from hatch_lambda.stages.locks.lock import Lock, LockTerms


_log = logger(__name__)


def resolve_lock(project: Project, source: Source, session: Session, work: Path) -> Lock:
    """Read the lock of *project*, as far as this door may."""
    from hatch_lambda.stages.locks.read import read

    python = nearby("{}.{}".format(*project.target.runtime.python_version), session.uv, session.cache)
    return read(locked(project, source), lock_terms(project, source), session.uv, work, python)


_PARTS, _SECTIONS, _KNOWN, _CROWDED, _PROGRAM = "parts", "sections", "known", "crowded", "program"
_RECENT, _CHECKED = "recent", "checked"

_REMEMBERED = 64
"""Parts, of whatever projects, that another one may take content from."""

_MOST_READ = 3
"""Of these, how many it takes content from: to read one costs as much as to compress a few files."""

_SHAPING = ("installer", "pathspec")
"""Libraries that have a say about the files: the text of commands, and what a pattern matches."""

_LOCKS: dict[str, threading.Lock] = {}
_LOCKS_LOCK = threading.Lock()


class Key(Struct, frozen=True, kw_only=True):
    """Everything that can change the part, but for what the project's own code does to it."""

    wheels: tuple[str, ...]
    target: str
    policies: tuple[object, ...]
    compression: str
    timestamp: Timestamp
    tool: str
    """A digest of this very program; see :func:`tool`."""

    def digest(self, influence: str = "") -> str:
        """Return it as the cache needs it, with the *influence* of the project's code (see ``slimming``)."""
        return digest(self, influence, __version__, deflate.__version__, *map(_version, _SHAPING))

    @property
    def alike(self) -> str:
        """The digest of what parts have in common that hold the same content as the same bytes."""
        return digest(self.compression, self.tool, __version__, deflate.__version__)

    @property
    def kind(self) -> str:
        """The digest of what parts have in common that make the same content of a distribution."""
        return digest(self.target, self.policies)


class Part(Struct, frozen=True, kw_only=True):
    """The section of the zip, and what its making told."""

    section: Section
    distributions: tuple[str | None, ...]
    """Whose each of the section's files is, in their order."""
    stages: tuple[StageResult, ...]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    facts: Facts
    """What the audit has to know of the files."""
    metadata: dict[str, bytes] = field(default_factory=dict)
    """What the slim stage removed of that which tells scanners what is in the package, by path."""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no description of a package's part, whoever wrote it."""
        if len(self.distributions) != len(self.section.files):
            raise ValueError("not every file has an owner")
        for name in filter(None, {*self.distributions, *self.metadata}):
            if (problem := name_problem(name)) is not None:
                raise ValueError(f"{shown(name)} {problem}")

    @classmethod
    def of(cls, section: Section, tree: Tree, journal: Journal, facts: Facts) -> Part:
        """Describe *section*, which holds the files of *tree*."""
        owners = {file.path: file.distribution for file in tree}
        return cls(
            section=section,
            distributions=tuple(owners[entry.name] for entry in section.files),
            stages=tuple(journal.stages),
            changes=tuple(journal.changes),
            findings=tuple(journal.findings),
            metadata=journal.metadata,
            facts=facts,
        )

    def tree(self, file: Path) -> Tree:
        """Return its files as a tree; their bytes are compressed in *file*."""
        return Tree.of(
            File(path=entry.name, source=file, size=entry.size, executable=entry.executable, distribution=owner)
            for entry, owner in zip(self.section.files, self.distributions, strict=True)
        )

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each file's content, as hexadecimal, by its path."""
        return {entry.name: entry.sha256 for entry in self.section.files}


class Recent(Struct, frozen=True, array_like=True):
    """A part that was made, and the distributions in it."""

    name: str
    kind: str
    wheels: frozenset[str]

    def __post_init__(self) -> None:
        """Raise ValueError for a *name* that is not the key of an entry, which is part of a path."""
        if not is_digest(self.name):
            raise ValueError(f"{shown(self.name)} is no key")


class StoredPart(Struct, frozen=True, kw_only=True):
    """A part, and where it is kept."""

    part: Part
    key: str
    file: Path
    """It begins with the part's section."""
    is_new: bool
    """Whether this build made it."""

    @property
    def section(self) -> StoredSection:
        """The section as the archive stage takes it."""
        return StoredSection(section=self.part.section, file=self.file)


@contextmanager
def making(key: Key) -> Iterator[None]:
    """Let one thread of this process at a time make what *key* stands for; the others find it made."""
    with _LOCKS_LOCK:
        lock = _LOCKS.setdefault(key.digest(), threading.Lock())
    with lock:
        yield


def is_known(cache: Cache, key: Key) -> bool:
    """Tell whether there was a part under *key*, with whatever influence: it is likely still there."""
    return cache.get(_KNOWN, key.digest()) is not None


def load(cache: Cache, key: Key, influence: str) -> StoredPart | None:
    """Return the part, if both of its entries are there and say the same.

    What somebody else may have made is unpacked once to see whether it is what it claims to be.
    """
    name = key.digest(influence)
    document = cache.get(_PARTS, name)
    stored = _load(cache, name, document)
    if stored is None or document is None:
        return None
    mark = _mark(name, document)
    is_new = cache.get(_CHECKED, mark) is None
    try:
        stored.section.check(key.timestamp, content=is_new)
    except DamagedSectionError:
        drop(cache, name)
        return None
    if is_new:
        cache.put(_CHECKED, mark, b"")
    return stored


def _mark(name: str, document: Buffer) -> str:
    """Return the key that says that the part in *document* was made, or unpacked, on this machine."""
    return digest(name, hashlib.sha256(document).hexdigest())


def _load(cache: Cache, name: str, document: Buffer | None) -> StoredPart | None:
    file = cache.file(_SECTIONS, name) if document is not None else None
    if document is None or file is None:
        return None
    try:
        part = from_msgpack(memoryview(document), Part)
    except msgspec.MsgspecError:  # whole, but none of ours
        drop(cache, name)
        return None
    return StoredPart(part=part, key=name, file=file, is_new=False)


def is_crowded(cache: Cache, key: Key, influence: str, room: int) -> bool:
    """Tell whether it is known that the part needs more than *room*, in bytes."""
    size = cache.get(_CROWDED, key.digest(influence))
    return size is not None and bytes(size[:20]).isdigit() and int(bytes(size[:20])) > room


def note_crowded(cache: Cache, key: Key, influence: str, size: int) -> None:
    """Remember that the part, which was not made, would have *size*: the next build need not find that out."""
    cache.put(_CROWDED, key.digest(influence), str(size).encode())
    cache.put(_KNOWN, key.digest(), b"")


def store(cache: Cache, key: Key, influence: str, part: Part, file: Path) -> StoredPart:
    """Keep *part*, whose section is all that is in *file*; that file is moved to where the cache has it."""
    name = key.digest(influence)
    kept = cache.adopt(_SECTIONS, name, file, part.section.sha256)
    # Whoever takes it spends no time on it, and with the same key everybody keeps the same.
    timeless = replace(part, stages=tuple(replace(stage, seconds=0.0) for stage in part.stages))
    document = msgspec.msgpack.encode(timeless)
    cache.put(_PARTS, name, document)
    cache.put(_CHECKED, _mark(name, document), b"")
    cache.put(_KNOWN, key.digest(), b"")
    _note_recent(cache, key, name)
    return StoredPart(part=part, key=name, file=kept, is_new=True)


def streams(cache: Cache, key: Key, at_hand: Mapping[str, Buffer]) -> SectionStreams:
    """Return the compressed files of earlier parts that share the most with that under *key*, and what is *at_hand*."""
    recent = _recent(cache, key)
    missing = set(key.wheels)
    sections: list[StoredSection] = []
    while len(sections) < _MOST_READ:
        sharing = (made for made in recent if made.wheels & missing)
        best = max(sharing, key=lambda made: (made.kind == key.kind, len(made.wheels & missing)), default=None)
        if best is None:
            break
        recent.remove(best)
        stored = _load(cache, best.name, cache.get(_PARTS, best.name))
        if stored is None:
            continue
        if is_whole(stored.section):
            sections.append(stored.section)
            missing -= best.wheels
        else:
            drop(cache, best.name)
    return SectionStreams(sections, at_hand)


def _recent(cache: Cache, key: Key) -> list[Recent]:
    document = cache.get(_RECENT, key.alike)
    try:
        return [] if document is None else from_msgpack(document, list[Recent])
    except msgspec.MsgspecError:  # whole, but none of ours
        return []


def _note_recent(cache: Cache, key: Key, name: str) -> None:
    """Remember the part *name*; of two programs that do so at once, one is forgotten, which only costs time."""
    with _LOCKS_LOCK:
        earlier = (made for made in _recent(replace(cache, refresh=False), key) if made.name != name)
        recent = [Recent(name, key.kind, frozenset(key.wheels)), *earlier][:_REMEMBERED]
        cache.put(_RECENT, key.alike, msgspec.msgpack.encode(recent))


def drop(cache: Cache, key: str) -> None:
    """Forget the part under *key*."""
    cache.drop(_PARTS, key)
    cache.drop(_SECTIONS, key)


def tool(cache: Cache) -> str:
    """Return a digest of this very program: an older part must not meet newer rules, in development neither.

    To read all of it takes as long as half the rest of a build, so it is read once for files as they are.
    """
    package, sources = _program()
    name = digest(str(package), sources)
    kept = cache.get(_PROGRAM, name)
    if kept is not None and is_digest(known := bytes(kept).decode("latin-1")):
        return known
    made = digest(*((path, (package / path).read_bytes()) for path, *_ in sources))
    if sorted(_sources(package, "")) == sources:  # else it would stand for what was there before an edit
        cache.put(_PROGRAM, name, made.encode())
    return made


@memoized
def _program() -> tuple[Path, list[tuple[str, int, int, int]]]:
    """Return this program's folder and its files: what has begun to run is not another in the next build."""
    package = Path(__file__).parents[1]
    return package, sorted(_sources(package, ""))


def _sources(folder: Path, prefix: str) -> Iterator[tuple[str, int, int, int]]:
    """Yield the path of each file that this program is made of, its size in bytes, and when it and its node changed.

    Many installers set the first of these times to what they like.
    """
    for entry in os.scandir(folder):
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _sources(folder / entry.name, f"{path}/")
        elif path.endswith((".py", ".toml", ".txt")):
            status = entry.stat()
            yield path, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@memoized
def _version(library: str) -> str:
    """Return the version of *library* without importing it, or anything that is slow: by its metadata's folder."""
    spec = find_spec(library)
    if spec is not None and spec.origin is not None:
        found = sorted(path.name for path in Path(spec.origin).parents[1].glob(f"{library}-*.dist-info"))
        if len(found) == 1:
            return found[0]
    from importlib.metadata import version

    return version(library)


class Taken(Struct, frozen=True, kw_only=True):
    """All that goes into a package."""

    project: ProjectPart
    dependencies: StoredPart
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


def take(project: Project, source: Source, timestamp: Timestamp, run: Run) -> Taken:
    """Come by the project's files and by the dependencies' part: kept since an earlier build, or made now.

    While the project's wheel is being built the dependencies are installed, unless they are known already. What is
    only wanted if there is room for it, bytecode, is tried first.
    """
    from hatch_lambda.stages.install.project import take_project

    run.session.progress.start("install", 0)
    with ThreadPoolExecutor(max_workers=2) as pool:
        settings, uv, scripts = project.settings.project, run.session.uv, project.settings.slim.scripts
        building = pool.submit(take_project, project, settings, uv, run.work, wheel=source.wheel, scripts=scripts)
        target = project.target
        asking = pool.submit(bytecode_options, project.settings.bytecode, target.runtime, run.session, cwd=project.root)
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
        run.journal.findings.append(left_out())
    assert taken is not None  # the last attempt raises where there is no room
    return taken


class Chosen(Struct, frozen=True, kw_only=True):
    """What is installed: what the lock chooses, and of local folders what is built of them."""

    choice: Choice
    folders: tuple[Built, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """For each distribution a digest: with the same ones the same bytes are installed."""
        return tuple(sorted((*self.choice.identities, *(built.identity for built in self.folders))))


def choose(project: Project, source: Source, run: Run) -> Chosen:
    """Choose the locked wheels for the target, and build the local folders, which nothing else makes certain."""
    from hatch_lambda.stages.install.local import build_folders
    from hatch_lambda.stages.locks.choice import choose as choose_lock

    terms = lock_terms(project, source)
    session = run.session
    choice = choose_lock(locked(project, source), project.target, terms, session.uv, session.cache, run.work)
    folders = [source for source in choice.sources if source.directory is not None]
    built = build_folders(folders, _bench(project, run), session.once, jobs=session.jobs) if folders else ()
    return Chosen(choice=choice, folders=built)


def install_dependencies(project: Project, chosen: Chosen, run: Run) -> Tree:
    """Build what was chosen and has no wheel, and install everything."""
    from hatch_lambda.stages.install.distributions import take_distributions
    from hatch_lambda.stages.install.sdists.build import build as build_source
    from hatch_lambda.stages.install.sdists.container import with_extra_files
    from hatch_lambda.stages.install.sdists.native import native_notes

    bench, choice = _bench(project, run), chosen.choice
    fetched = (build_source(source, bench) for source in choice.sources if source.directory is None)
    built = sorted((*fetched, *chosen.folders), key=lambda one: one.source.name)
    tree, changes = take_distributions(choice.pinned, [one.wheel for one in built], bench)
    tree = with_extra_files(tree, bench)
    run.journal.changes += changes
    run.journal.findings += native_notes(built)
    run.journal.mark("install", tree)
    return tree


def _bench(project: Project, run: Run) -> Bench:
    from hatch_lambda.stages.install.sdists.bench import Bench
    from hatch_lambda.stages.install.sdists.engine import containerfile

    return Bench(
        target=project.target,
        settings=project.settings.sdist,
        containerfile=containerfile(project.root, project.settings.sdist),
        install_args=project.settings.lock.install_args,
        uv=run.session.uv,
        cache=run.session.cache,
        workspace=run.work,
        cwd=project.root,
    )


def lock_terms(project: Project, source: Source) -> LockTerms:
    """Return what has a say about the lock of *project*, for the door that *source* is."""
    from hatch_lambda.stages.locks.lock import LockTerms

    settings = locked(project, source).settings
    return LockTerms(
        settings=settings.lock,
        may_build=settings.sdist.method != "never",
        vendor=settings.project.vendored_wheels(),
        may_create=source.may_create_lock,
        unattended=source.unattended,
        in_source_tree=source.in_source_tree,
        function=project.function,
    )


def locked(project: Project, source: Source) -> Project:
    """Return whose lock is read: an sdist carries every lock as that of the project itself."""
    from hatch_lambda.stages.locks.read import lock_owner

    return lock_owner(project) if source.in_source_tree else project


class _Attempt(Struct, frozen=True, kw_only=True, dict=True):
    """One way to take everything: with bytecode, or without."""

    project: Project
    chosen: Chosen
    timestamp: Timestamp
    building: Future[ProjectPart]
    run: Run
    room: int | None
    """Bytes above which another way is tried; None: this is the way, however much it needs."""
    compressed: dict[str, Buffer]
    """What ways that were not taken leave to the next: compressed files by the SHA-256 of their content."""

    def take(self) -> Taken | None:
        """Take the project's files and the dependencies' part; None where there is too little room, and another way."""
        from hatch_lambda.stages.bytecode.compile import NOT_PYTHON
        from hatch_lambda.stages.install.distributions import set_apart

        run = self.run
        stored = self._dependencies()
        if stored is None:
            return None
        run.journal.take(stored.part)
        dependencies, own = stored.part.tree(stored.file), self.building.result()
        run.journal.mark("install", own.tree)
        own_tree = run.slim_project(own.tree, dependencies)
        syntax = tuple(found for found in run.journal.findings if found.code == NOT_PYTHON)
        run.journal.findings[:] = (found for found in run.journal.findings if found not in syntax)
        own_tree = set_apart(own_tree, dependencies, stored.part.digests())
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
            interpreter=run.bytecode.options.interpreter if run.bytecode is not None else "none",
            syntax=syntax if run.bytecode is not None else None,
        )

    @cached_property
    def _bytecode(self) -> Bytecode | None:
        """How the dependencies' modules are compiled: they name files as they are on Lambda."""
        made = self.run.bytecode
        return made.in_layer() if made is not None and self.run.settings.output.shape == "layer" else made

    @cached_property
    def _key(self) -> Key:
        from hatch_lambda.stages.install.sdists.build import surroundings

        settings, bench = self.run.settings, _bench(self.project, self.run)
        return Key(
            wheels=self.chosen.identities,
            target=str(self.project.target),
            policies=(
                *(bench.key, settings.slim, settings.strip),
                self._bytecode and self._bytecode.options,
                *(surroundings(settings.sdist, self.run.session.uv.environment) if self.chosen.choice.sources else ()),
            ),
            compression=settings.output.compression,
            timestamp=self.timestamp,
            tool=tool(self.run.session.cache),
        )

    def _dependencies(self) -> StoredPart | None:
        cache = self.run.session.cache
        stored, crowded = self._kept(cache)
        if stored is None and not crowded:
            with making(self._key):
                stored, crowded = self._kept(replace(cache, remote=None))  # another thread's would be on this machine
                if stored is None and not crowded:
                    stored = self._make()
        return stored

    def _kept(self, cache: Cache) -> tuple[StoredPart | None, bool]:
        """Return the part that is kept, or whether it is known to be too large."""
        key = self._key
        if not is_known(cache, key):
            return None, False
        influence = self.run.influence(self.building.result().tree)
        stored = load(cache, key, influence)
        _log.debug("the dependencies' part is %s", "kept" if stored is not None else "still to be made")
        room = self.room
        return stored, stored is None and room is not None and is_crowded(cache, key, influence, room)

    def _make(self) -> StoredPart | None:
        """Install, slim, strip, compile and compress the dependencies, and keep the result."""
        from hatch_lambda.inspect.audit.facts import collect
        from hatch_lambda.inspect.audit.layout import check_unzipped

        run = replace(self.run, bytecode=self._bytecode, journal=Journal())
        with ThreadPoolExecutor(max_workers=1) as pool:
            looking = pool.submit(streams, replace(run.session.cache, remote=None), self._key, self.compressed)
            dependencies = install_dependencies(self.project, self.chosen, run)
        own = self.building.result().tree
        with run.packer(looking.result()) as packer:
            tree = run.slim(dependencies, own, packer)
            if self._is_too_much(tree):
                _log.debug("the dependencies with their bytecode are %d bytes, more than %s", tree.size, self.room)
                note_crowded(run.session.cache, self._key, run.influence(own), tree.size)
                self.compressed.update(packer.finished())
                return None
            if len(tree):
                nested = run.settings.output.shape == "nested"
                replace(run, journal=Journal()).judge(check_unzipped(tree, nested=nested))
            run.session.progress.start("compress", tree.size)
            with ThreadPoolExecutor(max_workers=1) as pool:
                reading = pool.submit(collect, tree, self.project.target.markers)
                section = write_section(tree, run.work / "section", packer, self.timestamp)
                facts = reading.result()
        run.journal.mark("zip", tree)
        part = Part.of(section, tree, run.journal, facts)
        return store(run.session.cache, self._key, run.influence(own), part, run.work / "section")

    def _is_too_much(self, tree: Tree) -> bool:
        return self.room is not None and tree.size > self.room


def _room(project: Project) -> int | None:
    """Return the bytes that Lambda leaves to the package beside its layers; None where the rest is nested."""
    from hatch_lambda.inspect.audit.subject import read_layers

    if project.settings.output.shape == "nested":
        return None
    return UNZIPPED_QUOTA - sum(layer.size for layer in read_layers(project.layers))
