"""The values that the stages pass on: a Tree of Files, Changes to it, and Findings about it."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from hatch_lambda.core.untrusted import is_distribution, shown
from hatch_lambda.errors.printable import printable
from hatch_lambda.errors.secrets import has_secret, masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.pylock import PackageWheel
    from packaging.utils import NormalizedName
    from packaging.version import Version


class File(Struct, frozen=True, kw_only=True):
    """One file of a package.

    The bytes at ``source`` are never changed in place: they may be hard links into a cache that other
    projects share. A stage that changes bytes writes a new file and returns a File that points to it.
    """

    path: str
    """Where it goes in the package: relative, with ``/``."""
    source: Path
    """Where its bytes are now."""
    size: int
    """Bytes at ``source``."""
    executable: bool = False
    distribution: str | None = None
    """Normalized name (PEP 503) of the distribution whose RECORD lists it; None where no RECORD does."""
    project: bool = False
    """Whether it is the project's own, not a dependency's."""
    conflicts: tuple[str, ...] = ()
    """Other distributions that claim the same path with different content."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The components of its path."""
        return tuple(self.path.split("/"))


class Tree(Struct, frozen=True):
    """The files of a package, in the order of their paths, no path twice."""

    files: tuple[File, ...]

    @classmethod
    def of(cls, files: Iterable[File]) -> Tree:
        """Make a tree of *files* in any order."""
        return cls(tuple(sorted(files, key=lambda file: file.path)))

    def __iter__(self) -> Iterator[File]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def size(self) -> int:
        """Bytes of all the files, unzipped."""
        return sum(file.size for file in self.files)


class Stage(StrEnum):
    """A step of the pipeline that changes the tree."""

    INSTALL = "install"
    SLIM = "slim"
    STRIP = "strip"
    BYTECODE = "bytecode"


class Change(Struct, frozen=True, kw_only=True, rename={"before": "bytes_before", "after": "bytes_after"}):
    """What a stage did to one file, and by which rule."""

    stage: Stage
    path: str
    rule: str
    reason: str
    before: int
    """Bytes before."""
    after: int | None
    """Bytes after; None where the file was removed."""
    distribution: str | None = None

    def __post_init__(self) -> None:
        """Write out what a terminal would obey: names and reasons come from packages, or from a cache."""
        _make_printable(self, ("path", "rule", "reason", "distribution"))

    @property
    def saved(self) -> int:
        """Bytes that are no longer there."""
        return self.before - (self.after or 0)

    @classmethod
    def of(cls, file: File, stage: Stage, *, rule: str, reason: str, after: int | None = None) -> Change:
        """Note what *stage* did to *file*; without *after*, that it was removed."""
        return cls(
            stage=stage,
            path=file.path,
            rule=rule,
            reason=reason,
            before=file.size,
            after=after,
            distribution=file.distribution,
        )


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(Struct, frozen=True, kw_only=True):
    """A fact about the package or its inputs that the user should know."""

    code: str
    """Stable: ``HL`` and three digits."""
    severity: Severity
    message: str
    hint: str | None = None
    path: str | None = None
    """The path in the package that it is about."""

    def __post_init__(self) -> None:
        """Keep out what may be a secret, and what a terminal would obey: findings are shown, kept and reported."""
        for name in ("message", "hint"):
            text = getattr(self, name)
            if text is not None and has_secret(text):
                force_setattr(self, name, masked(text))
        _make_printable(self, ("code", "message", "hint", "path"))


def _make_printable(value: Change | Finding, fields: Iterable[str]) -> None:
    for name in fields:
        text = getattr(value, name)
        if text is not None and not text.isprintable():
            force_setattr(value, name, printable(text))


class LockedWheel(Struct, frozen=True, kw_only=True):
    """The one wheel of a locked distribution that was chosen for the target."""

    name: NormalizedName
    version: Version
    wheel: PackageWheel
    """Its file name, where it is, and its hashes, as the lock file has them."""
    index: str | None = None
    """Address of the index that it was locked from. uv keeps what comes from an index for good, and asks again
    and again whether a file at a mere address has changed."""


class LockedSource(Struct, frozen=True, kw_only=True):
    """A locked distribution of which there is no wheel for the target, and which has to be built."""

    name: str
    """Normalized (PEP 503)."""
    version: str | None
    """None where the lock does not say it, for it follows from the source."""
    origin: str
    """Where it comes from, for messages: without secrets."""
    identity: str | None
    """A digest of what makes its content certain: an archive's hash, a commit; None for a folder, of which nothing
    but the wheel that is built of it tells what its build backend takes."""
    pinned: str | None = None
    """A ``pylock.toml`` of this distribution alone, for uv to fetch it by; None for a folder."""
    subdirectory: str | None = None
    """Where the project lies in what is fetched."""
    directory: str | None = None
    """Absolute path of a local folder, which holds the source as it is at the moment."""

    def __post_init__(self) -> None:
        """Raise ValueError for a *name* that is none, since it is part of paths."""
        if not is_distribution(self.name):
            raise ValueError(f"{shown(self.name)} is not the name of a distribution")

    @property
    def shown(self) -> str:
        """Name and version, for messages."""
        return f"{self.name} {self.version}" if self.version else self.name


class Progress(Protocol):
    """What a long stage tells a waiting person."""

    def start(self, stage: str, total: int) -> None:
        """Begin *stage*, which has *total* units to do (0: not known)."""

    def advance(self, amount: int = 1) -> None:
        """Count *amount* units as done; called from several threads."""


class Silent:
    """A Progress that tells nobody."""

    def start(self, stage: str, total: int) -> None:
        """Ignore it."""

    def advance(self, amount: int = 1) -> None:
        """Ignore it."""


_STAGES = ("folder", "install", "slim", "strip", "bytecode", "zip", "import", "invoke")
"""The order in which a package goes through the stages."""


class StageResult(Struct, frozen=True, kw_only=True, rename={"size": "bytes"}):
    """What a stage left: counts and bytes after it, and how long it took."""

    name: str
    files: int
    size: int
    """Bytes of the files, unzipped; from a build's stage zip on, of the zip."""
    seconds: float
    """To the millisecond."""

    @classmethod
    def of(cls, name: str, tree: Tree, seconds: float) -> StageResult:
        """Describe *tree* after the stage *name*."""
        return cls(name=name, files=len(tree), size=tree.size, seconds=round(seconds, 3))

    def __add__(self, other: StageResult) -> StageResult:
        """Add the same stage of another folder."""
        return StageResult(
            name=self.name,
            files=self.files + other.files,
            size=self.size + other.size,
            seconds=round(self.seconds + other.seconds, 3),
        )


class Log(Struct, frozen=True, kw_only=True):
    """What stages did to files and found; the logs of other files are added to it."""

    stages: tuple[StageResult, ...] = ()
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    metadata: dict[str, bytes] = field(default_factory=dict)
    """What was removed of that which tells scanners what is in the package, by path."""

    def __add__(self, other: Log) -> Log:
        """Add what happened to other files: the same stages are summed up."""
        stages = {stage.name: stage for stage in self.stages}
        for stage in other.stages:
            stages[stage.name] = stages[stage.name] + stage if stage.name in stages else stage
        return Log(
            stages=tuple(sorted(stages.values(), key=lambda stage: _STAGES.index(stage.name))),
            changes=self.changes + other.changes,
            findings=self.findings + other.findings,
            metadata=self.metadata | other.metadata,
        )

    def below(self, prefix: str) -> Log:
        """Return the same for a folder above, from where paths begin with *prefix*."""
        if not prefix:
            return self
        return Log(
            stages=self.stages,
            changes=tuple(replace(change, path=prefix + change.path) for change in self.changes),
            findings=tuple(
                replace(found, path=prefix + found.path) if found.path else found for found in self.findings
            ),
            metadata={prefix + path: content for path, content in self.metadata.items()},
        )


class Step(Struct, frozen=True, kw_only=True):
    """What stages left, and what they did."""

    tree: Tree
    log: Log


class Stopwatch:
    """Time stages that follow one another."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def stop(self, stage: str, tree: Tree) -> tuple[StageResult, ...]:
        """Return that *stage* left *tree*, after the time since it was started or stopped last."""
        since, self._since = self._since, time.perf_counter()
        return (StageResult.of(stage, tree, self._since - since),)
