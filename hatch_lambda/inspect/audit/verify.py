"""The audit of a zip or a folder that anybody made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from hatch_lambda.config.target import UNZIPPED_QUOTA, Architecture, Target, TargetHint, guess_target, runtimes
from hatch_lambda.core.model import File, Finding, Severity, Tree
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.inspect.audit.checks import audit
from hatch_lambda.inspect.audit.facts import collect
from hatch_lambda.inspect.audit.subject import Audit, Subject, Unused, demote, read_layers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_lambda.config.settings import AuditSettings
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.inspect.audit.facts import Facts
    from hatch_lambda.stages.archive.read import ReadEntry


class Verified(Struct, frozen=True, kw_only=True):
    """What the audit of a package found."""

    path: Path
    tree: Tree
    zipped: int | None
    """Bytes of the zip; None for a folder."""
    runtime: str | None
    architecture: str | None
    audit: Audit

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, errors first."""
        order = list(Severity)
        return tuple(sorted(self.audit.findings, key=lambda found: (order.index(found.severity), found.code)))

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found that keeps it from working."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    def document(self) -> VerifiedDocument:
        """Return what ``verify --json`` prints of it."""
        return VerifiedDocument(
            path=str(self.path),
            runtime=self.runtime,
            architecture=self.architecture,
            files=len(self.tree),
            zip_bytes=self.zipped,
            unzipped_bytes=self.tree.size,
            findings=self.findings,
            unused=self.audit.unused,
            requires=self.audit.requires,
        )


class VerifiedDocument(Struct, frozen=True, kw_only=True):
    """What ``verify`` found."""

    schema_version: Literal[1] = 1
    path: str
    runtime: Annotated[str | None, Meta(description="Null where nothing tells.")]
    architecture: str | None
    files: int
    zip_bytes: Annotated[int | None, Meta(description="Null for a folder.")]
    unzipped_bytes: int
    unzipped_quota_bytes: int = UNZIPPED_QUOTA
    findings: Annotated[tuple[Finding, ...], Meta(description="Errors first.")]
    unused: Annotated[tuple[Unused, ...], Meta(description="Distributions that no import from the project reaches.")]
    requires: Annotated[dict[str, tuple[str, ...]], Meta(description="What each distribution requires on the target.")]


def verify_package(  # noqa: PLR0913 - each is of another owner
    path: Path,
    expected: TargetHint,
    settings: AuditSettings,
    cache: Cache,
    workspace: Path,
    *,
    handler: str | None = None,
    nested: bool = False,
) -> Verified:
    """Audit the zip or the folder at *path*.

        It is to be called by *handler*, and some of its files are *nested*, if it is known to be so. What is not
    *expected* of the target, its files tell: their names, then the machine of its objects. Raises
        ArchiveError for a zip that cannot be read.
    """
    from hatch_lambda.stages.archive import read
    from hatch_lambda.stages.archive.read import unpack

    entries = read.entries(path) if not path.is_dir() else ()
    tree = unpack(path, workspace / "package") if not path.is_dir() else _read_folder(path)
    hint = expected | guess_target(path.name, paths=(file.path for file in tree))
    known = runtimes()
    some = Target(
        runtime=known.get(hint.runtime or "", [*known.values()][-1]),
        architecture=Architecture(hint.architecture or "x86_64"),
    )
    facts = collect(tree, some.markers)
    hint |= guess_target(machines=_machines(facts))
    zipped = None if path.is_dir() else path.stat().st_size
    subject = Subject(
        tree=tree,
        facts=facts,
        runtime=known.get(hint.runtime or ""),
        architecture=Architecture(hint.architecture) if hint.architecture else None,
        handler=handler,
        nested=nested,
        layers=read_layers(settings.layers),
        hint=hint,
        entries=tuple(entries or _modes(tree)),
        zipped=zipped,
        cache=cache,
    )
    audited = audit(subject)
    return Verified(
        path=path,
        tree=tree,
        zipped=zipped,
        runtime=hint.runtime,
        architecture=hint.architecture,
        audit=replace(audited, findings=demote(audited.findings, settings.ignore)),
    )


def guess_by_files(tree: Tree) -> TargetHint:
    """Return the target that the names of most compiled files are of, or the machine of most objects."""
    hint = guess_target(paths=(file.path for file in tree))
    if hint.architecture is not None:
        return hint
    some = Target(runtime=[*runtimes().values()][-1], architecture=Architecture.X86_64)
    return hint | guess_target(machines=_machines(collect(tree, some.markers)))


def _read_folder(path: Path) -> Tree:
    from hatch_lambda.core.dist_info import attribute_files
    from hatch_lambda.core.files import is_executable, walk

    if not any(path.iterdir()):
        raise ConfigurationError(f"{path}: the folder is empty", hint="name a zip, or a folder with its content")
    files = []
    for name, source in walk(path):
        status = source.stat()
        executable = is_executable(source, status.st_mode)
        files.append(File(path=name, source=source, size=status.st_size, executable=executable))
    return attribute_files(files)


def _modes(tree: Tree) -> list[ReadEntry]:
    """Return what a zip of the files of *tree* would say of them, where this system has modes."""
    import os

    from hatch_lambda.stages.archive import read

    return [
        read.ReadEntry(
            name=file.path,
            size=file.size,
            compressed_size=file.size,
            crc32=0,
            mode=file.source.stat().st_mode if os.name == "posix" else None,
            method=0,
            encrypted=False,
        )
        for file in tree
    ]


def _machines(facts: Facts) -> Iterator[str]:
    return (item.linkage.machine for item in facts.objects if item.linkage is not None)
