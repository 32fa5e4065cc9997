"""The parts of a package that are kept: sections of its zip with the dependencies' code, and with its bytecode."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager
from functools import cache as memoized
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import deflate
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_msgpack, to_msgpack
from hatch_lambda.core.model import File, Log, Step, Tree
from hatch_lambda.core.untrusted import is_digest, name_problem, shown
from hatch_lambda.core.version import __version__
from hatch_lambda.inspect.audit.facts import Facts  # noqa: TC001 - msgspec needs it
from hatch_lambda.stages.archive.pack import SectionStreams
from hatch_lambda.stages.archive.section import DamagedSectionError, Section, StoredSection
from hatch_lambda.stages.archive.write import is_whole
from hatch_lambda.stages.archive.zipformat import Timestamp  # noqa: TC001 - msgspec needs it

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from hatch_lambda.core.cache import Cache


_PARTS, _SECTIONS, _KNOWN, _PROGRAM = "parts", "sections", "known", "program"
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
    """Everything that can change a part, but for what the project's own code does to it."""

    wheels: tuple[str, ...]
    target: str
    policies: tuple[object, ...]
    compression: str
    timestamp: Timestamp
    tool: str
    """A digest of this very program; see :func:`tool`."""
    follows: str = ""
    """A digest of the part that it is made of, and that it follows in the zip."""

    def digest(self, influence: str = "") -> str:
        """Return it as the cache needs it, with the *influence* of the project's code (see ``slimming``)."""
        return digest(self, influence, __version__, deflate.__version__, *map(_version, _SHAPING))

    @property
    def alike(self) -> str:
        """The digest of what parts have in common that hold the same content as the same bytes."""
        return digest(self.compression, self.tool, bool(self.follows), __version__, deflate.__version__)

    @property
    def kind(self) -> str:
        """The digest of what parts have in common that make the same content of a distribution."""
        return digest(self.target, self.policies)


class DependencyPart(Struct, frozen=True, kw_only=True):
    """A section of the zip, and what its making told: the dependencies' code, or its bytecode."""

    section: Section
    distributions: tuple[str | None, ...]
    """Whose each of the section's files is, in their order."""
    log: Log
    facts: Facts
    """What the audit has to know of the files."""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no description of a package's part, whoever wrote it."""
        if len(self.distributions) != len(self.section.files):
            raise ValueError("not every file has an owner")
        for name in filter(None, {*self.distributions, *self.log.metadata}):
            if (problem := name_problem(name)) is not None:
                raise ValueError(f"{shown(name)} {problem}")

    @classmethod
    def of(cls, section: Section, made: Step, facts: Facts) -> DependencyPart:
        """Describe *section*, which holds the files that were *made*."""
        owners = {file.path: file.distribution for file in made.tree}
        distributions = tuple(owners[entry.name] for entry in section.files)
        return cls(section=section, distributions=distributions, log=made.log, facts=facts)

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


class StoredPart(Struct, frozen=True, kw_only=True, dict=True):
    """A part, and where it is kept."""

    part: DependencyPart
    key: str
    file: Path
    """It begins with the part's section."""
    is_new: bool
    """Whether this build made it."""

    @property
    def section(self) -> StoredSection:
        """The section as the archive stage takes it."""
        return StoredSection(section=self.part.section, file=self.file)

    @cached_property
    def tree(self) -> Tree:
        """Its files; their bytes are compressed."""
        return self.part.tree(self.file)

    @cached_property
    def made_of(self) -> str:
        """A digest of its files and of whose they are."""
        return digest(self.part.section.sha256, self.part.distributions)


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


def load(cache: Cache, key: Key, influence: str = "", after: StoredPart | None = None) -> StoredPart | None:
    """Return the part, if both of its entries are there and say the same, and if it may come *after* another.

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
        stored.section.check(key.timestamp, content=is_new, after=after.part.section if after else None)
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
        part = from_msgpack(memoryview(document), DependencyPart)
    except msgspec.MsgspecError:  # whole, but none of ours
        drop(cache, name)
        return None
    return StoredPart(part=part, key=name, file=file, is_new=False)


def store(cache: Cache, key: Key, influence: str, part: DependencyPart, file: Path) -> StoredPart:
    """Keep *part*, whose section is all that is in *file*; that file is moved to where the cache has it."""
    name = key.digest(influence)
    kept = cache.adopt(_SECTIONS, name, file, part.section.sha256)
    # Whoever takes it spends no time on it, and with the same key everybody keeps the same.
    stages = tuple(replace(stage, seconds=0.0) for stage in part.log.stages)
    document = to_msgpack(replace(part, log=replace(part.log, stages=stages)))
    cache.put(_PARTS, name, document)
    cache.put(_CHECKED, _mark(name, document), b"")
    cache.put(_KNOWN, key.digest(), b"")
    _note_recent(cache, key, name)
    return StoredPart(part=part, key=name, file=kept, is_new=True)


def streams(cache: Cache, key: Key) -> SectionStreams:
    """Return the compressed files of earlier parts that share the most with that under *key*."""
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
    return SectionStreams(sections)


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
        cache.put(_RECENT, key.alike, to_msgpack(recent))


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
