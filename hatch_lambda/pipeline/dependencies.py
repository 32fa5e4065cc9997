"""The dependencies of a package: kept since an earlier build, or installed, slimmed, compiled and compressed now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.log import logger
from hatch_lambda.core.model import Log, Step, Stopwatch, Tree
from hatch_lambda.core.python import nearby
from hatch_lambda.pipeline import steps
from hatch_lambda.pipeline.parts import (
    DependencyPart,
    Key,
    StoredPart,
    is_known,
    load,
    making,
    store,
    streams,
    tool,
)
from hatch_lambda.stages.archive.write import read_packed, write_section
from hatch_lambda.stages.archive.zipformat import Timestamp

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from hatch_lambda.config.project import Project
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.session import Session
    from hatch_lambda.inspect.audit.facts import Facts
    from hatch_lambda.pipeline.request import Source
    from hatch_lambda.stages.archive.pack import Packer, SectionStreams
    from hatch_lambda.stages.archive.section import Section, StoredSection
    from hatch_lambda.stages.bytecode.choose import Bytecode
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


class Chosen(Struct, frozen=True, kw_only=True):
    """What is installed: what the lock chooses, and of local folders what is built of them."""

    choice: Choice
    folders: tuple[Built, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """For each distribution a digest: with the same ones the same bytes are installed."""
        return tuple(sorted((*self.choice.identities, *(built.identity for built in self.folders))))


def choose(project: Project, source: Source, session: Session) -> Chosen:
    """Choose the locked wheels for the target, and build the local folders, which nothing else makes certain."""
    from hatch_lambda.stages.install.local import build_folders
    from hatch_lambda.stages.locks.choice import choose as choose_lock

    terms = lock_terms(project, source)
    choice = choose_lock(locked(project, source), project.target, terms, session.uv, session.cache, session.work)
    folders = [source for source in choice.sources if source.directory is not None]
    built = build_folders(folders, _bench(project, session), session.once, jobs=session.jobs) if folders else ()
    return Chosen(choice=choice, folders=built)


def install_dependencies(project: Project, chosen: Chosen, session: Session) -> Step:
    """Build what was chosen and has no wheel, and install everything."""
    from hatch_lambda.stages.install.distributions import take_distributions
    from hatch_lambda.stages.install.sdists.build import build as build_source
    from hatch_lambda.stages.install.sdists.container import with_extra_files
    from hatch_lambda.stages.install.sdists.native import native_notes

    watch = Stopwatch()
    bench, choice = _bench(project, session), chosen.choice
    fetched = (build_source(source, bench) for source in choice.sources if source.directory is None)
    built = sorted((*fetched, *chosen.folders), key=lambda one: one.source.name)
    tree, changes = take_distributions(choice.pinned, [one.wheel for one in built], bench)
    tree = with_extra_files(tree, bench)
    log = Log(stages=watch.stop("install", tree), changes=tuple(changes), findings=tuple(native_notes(built)))
    return Step(tree=tree, log=log)


def _bench(project: Project, session: Session) -> Bench:
    from hatch_lambda.stages.install.sdists.bench import Bench
    from hatch_lambda.stages.install.sdists.engine import containerfile

    return Bench(
        target=project.target,
        settings=project.settings.sdist,
        containerfile=containerfile(project.root, project.settings.sdist),
        install_args=project.settings.lock.install_args,
        uv=session.uv,
        cache=session.cache,
        workspace=session.work,
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


class Dependencies(Struct, frozen=True, kw_only=True, dict=True):
    """The parts of a package that its dependencies are: their code, and after it their bytecode, if there is any."""

    choice: Choice
    """What the lock chose."""
    parts: tuple[StoredPart, ...]

    @property
    def sections(self) -> tuple[StoredSection, ...]:
        """The parts as the archive stage takes them."""
        return tuple(stored.section for stored in self.parts)

    @cached_property
    def tree(self) -> Tree:
        """All their files; the bytes are compressed."""
        return Tree.of(file for stored in self.parts for file in stored.tree)

    @cached_property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file's content, as hexadecimal, by its path."""
        return {path: sha256 for stored in self.parts for path, sha256 in stored.part.digests().items()}

    @property
    def facts(self) -> Facts:
        """What the audit has to know of them."""
        first, *others = (stored.part.facts for stored in self.parts)
        return sum(others, start=first)

    @cached_property
    def log(self) -> Log:
        """What choosing and making them told."""
        return sum((stored.part.log for stored in self.parts), start=Log(findings=tuple(self.choice.findings)))

    @property
    def from_cache(self) -> bool:
        """Whether this build made none of them."""
        return not any(stored.is_new for stored in self.parts)

    def without_bytecode(self) -> Dependencies:
        """Return the code alone."""
        return replace(self, parts=self.parts[:1])


def prepare(
    project: Project, chosen: Chosen, bytecode: Bytecode | None, building: Future[ProjectPart], session: Session
) -> Dependencies:
    """Come by the dependencies of *project*: kept since an earlier build, or made now.

    What the project's own code says has a say about what stays, so its files are waited for, as late as possible.
    """
    if bytecode is not None and project.settings.output.shape == "layer":
        bytecode = bytecode.in_layer()
    wanted = _Wanted(project=project, chosen=chosen, bytecode=bytecode, building=building, session=session)
    parts = wanted.kept(session.cache)
    _log.debug("of the dependencies %d of %d parts are kept", len(parts), wanted.count)
    if len(parts) < wanted.count:
        with making(wanted.key):
            # Another thread's would be on this machine.
            parts = wanted.kept(replace(session.cache, remote=None), parts)
            if len(parts) < wanted.count:
                parts = wanted.made(parts)
    return Dependencies(choice=chosen.choice, parts=parts)


class _Wanted(Struct, frozen=True, kw_only=True, dict=True):
    """The parts that are wanted, and how they are made.

    The code is the same whoever compiles it. Only where bytecode takes its place there is one part with both.
    """

    project: Project
    chosen: Chosen
    bytecode: Bytecode | None
    """How modules are compiled: they name files as they are on Lambda."""
    building: Future[ProjectPart]
    session: Session

    @cached_property
    def key(self) -> Key:
        from hatch_lambda.stages.install.sdists.build import surroundings

        settings, bench = self.project.settings, _bench(self.project, self.session)
        instead = self.bytecode.options if self.bytecode is not None and steps.is_instead(self.bytecode) else None
        return Key(
            wheels=self.chosen.identities,
            target=str(self.project.target),
            policies=(
                *(bench.key, settings.slim, settings.strip),
                *(self.bytecode is not None, instead),
                *(surroundings(settings.sdist, self.session.uv.environment) if self.chosen.choice.sources else ()),
            ),
            compression=settings.output.compression,
            timestamp=Timestamp.of(self.session.source_date_epoch),
            tool=tool(self.session.cache),
        )

    @cached_property
    def influence(self) -> str:
        from hatch_lambda.stages.slim import project_digest

        return project_digest.influence(self.building.result().tree, self.project.settings.slim)

    @property
    def beside(self) -> Bytecode | None:
        return None if steps.is_instead(self.bytecode) else self.bytecode

    @property
    def count(self) -> int:
        return 1 if self.beside is None else 2

    def kept(self, cache: Cache, parts: tuple[StoredPart, ...] = ()) -> tuple[StoredPart, ...]:
        """Return the first of the parts: those at hand and those that are kept."""
        if not parts and is_known(cache, self.key):
            code = load(cache, self.key, self.influence)
            parts = (code,) if code is not None else ()
        if len(parts) == 1 and self.beside is not None:
            (code,) = parts
            compiled = load(cache, self._bytecode_key(code, self.beside), after=code)
            parts = (code, compiled) if compiled is not None else parts
        return parts

    def made(self, parts: tuple[StoredPart, ...]) -> tuple[StoredPart, ...]:
        """Make what is not among *parts*, and keep it."""
        if not parts:
            return self._make_all()
        (code,) = parts
        assert self.beside is not None, "else there is no second part"
        compiled = steps.compile_modules(_unpacked(code, self.session), self.beside, self.session)
        return code, self._store_bytecode(code, compiled, self.beside)

    def _make_all(self) -> tuple[StoredPart, ...]:
        """Install, slim, strip, compile and compress the dependencies: what can be is done at the same time."""
        project, settings, session = self.project, self.project.settings, self.session
        with ThreadPoolExecutor(max_workers=2) as pool:
            looking = pool.submit(self._streams, self.key)
            installed = install_dependencies(project, self.chosen, session)
            own = self.building.result().tree
            session.progress.start("slim", 0)
            with steps.packer(settings, session, looking.result()) as packer:
                stripping = pool.submit(steps.strip, installed.tree, settings, session, packer)
                kept = steps.carry_out(installed.tree, steps.decide(installed.tree, own, settings.slim), self.bytecode)
                compiling = (
                    pool.submit(steps.compile_modules, kept.tree, self.bytecode, session) if self.bytecode else None
                )
                left = steps.keep_stripped(kept, stripping.result())
                if compiling is not None and self.beside is None:
                    left = steps.put_instead(left, compiling.result())
                code = self._store_code(installed, left, packer)
            if compiling is None or self.beside is None:
                return (code,)
            return code, self._store_bytecode(code, compiling.result(), self.beside)

    def _store_code(self, installed: Step, left: Step, packer: Packer) -> StoredPart:
        from hatch_lambda.core.dist_info import renew

        tree = renew(left.tree, self.session.work)
        self._refuse_too_large(tree)
        section, facts, zipped = self._write(tree, "code", packer)
        part = DependencyPart.of(section, Step(tree=tree, log=installed.log + left.log + zipped), facts)
        return store(self.session.cache, self.key, self.influence, part, self.session.work / "code")

    def _store_bytecode(self, code: StoredPart, compiled: Step, bytecode: Bytecode) -> StoredPart:
        key = self._bytecode_key(code, bytecode)
        with steps.packer(self.project.settings, self.session, self._streams(key)) as packer:
            section, facts, zipped = self._write(compiled.tree, "bytecode", packer, after=code.part.section)
        part = DependencyPart.of(section, Step(tree=compiled.tree, log=compiled.log + zipped), facts)
        return store(self.session.cache, key, "", part, self.session.work / "bytecode")

    def _write(self, tree: Tree, name: str, packer: Packer, after: Section | None = None) -> tuple[Section, Facts, Log]:
        """Write *tree* to a file of that *name*; read what the audit has to know of it at the same time."""
        from hatch_lambda.inspect.audit.facts import collect

        watch = Stopwatch()
        self.session.progress.start("compress", tree.size)
        with ThreadPoolExecutor(max_workers=1) as pool:
            reading = pool.submit(collect, tree, self.project.target.markers)
            section = write_section(tree, self.session.work / name, packer, self.key.timestamp, after)
            facts = reading.result()
        return section, facts, Log(stages=watch.stop("zip", tree))

    def _bytecode_key(self, code: StoredPart, bytecode: Bytecode) -> Key:
        """Return the key of the bytecode, which depends on nothing but the code and its compiler."""
        return replace(self.key, policies=(bytecode.options,), follows=code.made_of)

    def _streams(self, key: Key) -> SectionStreams:
        return streams(replace(self.session.cache, remote=None), key)

    def _refuse_too_large(self, tree: Tree) -> None:
        """Raise VerificationError before anything is compressed that is too large for Lambda by itself."""
        from hatch_lambda.inspect.audit.layout import check_unzipped
        from hatch_lambda.inspect.audit.subject import demote, raise_errors

        settings = self.project.settings
        if len(tree):
            nested = settings.output.shape == "nested"
            raise_errors(demote(check_unzipped(tree, nested=nested), settings.audit.ignore))


def _unpacked(code: StoredPart, session: Session) -> Tree:
    """Return the files of *code*, its modules unpacked."""
    folder = session.work / "sources"
    folder.mkdir()
    files = {file.path: file for file in code.tree}
    for number, packed in enumerate(read_packed(code.section)):
        if packed.entry.name.endswith(".py"):
            source = folder / f"{number}.py"
            source.write_bytes(packed.content)
            files[packed.entry.name] = replace(files[packed.entry.name], source=source)
    return Tree.of(files.values())
