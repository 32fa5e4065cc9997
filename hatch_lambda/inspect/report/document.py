"""The report as one JSON document: what is in a package, what was taken out, what is wrong with it, what grew.

It is put together from what is in the zip and, where we built it, from how that came about. It holds no date, no
duration and no path of the machine, so the same package always has the same report.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA
from hatch_lambda.core.codec import JSON_LIMIT, Document, from_json, view
from hatch_lambda.core.model import Finding  # noqa: TC001 - msgspec reads the types of a document's fields
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.inspect.package import CODE_SHA256, SHA256, in_base64
from hatch_lambda.inspect.run.coldstart import ColdStart, Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hatch_lambda.config.target import TargetHint
    from hatch_lambda.inspect.package import Package
    from hatch_lambda.inspect.report.inventory import Inventory


class PackageFacts(Struct, frozen=True, kw_only=True):
    """What the zip is."""

    file: Annotated[str, Meta(description="Name of the zip, without its folder.")]
    name: Annotated[str | None, Meta(description="The project's name, where the report is a build's.")]
    version: str | None
    bytes: Annotated[int, Meta(ge=0, description="Of the zip.")]
    unzipped_bytes: Annotated[int, Meta(ge=0)]
    files: Annotated[int, Meta(ge=0)]
    sha256: SHA256
    code_sha256: CODE_SHA256
    content_sha256: Annotated[SHA256, Meta(description="Of names, modes and contents, whatever the compression.")]
    runtime: Annotated[str | None, Meta(description="Null where nothing tells.")]
    architecture: str | None
    direct_upload_quota_bytes: int
    unzipped_quota_bytes: int


class StageFacts(Struct, frozen=True, kw_only=True, rename={"size": "bytes"}):
    """What a stage of the build left."""

    name: str
    files: int
    size: int


class Distribution(Struct, frozen=True, kw_only=True):
    """A distribution of which files are in the package."""

    name: Annotated[str, Meta(description="Normalized (PEP 503).")]
    version: str | None
    licence: Annotated[str | None, Meta(description="SPDX expression, or what the metadata says instead.")]
    files: int
    bytes: int
    zipped_bytes: int
    removed_files: int
    removed_bytes: Annotated[int, Meta(description="With the symbols that left the files that stay.")]


class PackagedFile(
    Struct, frozen=True, kw_only=True, rename={"size": "bytes", "zipped": "zipped_bytes", "owner": "distribution"}
):
    """A file of the package."""

    path: str
    size: int
    zipped: int
    sha256: SHA256
    executable: bool
    owner: Annotated[
        str | None, Meta(description="Its distribution; null for the project's own, and for what nobody claims.")
    ]


class RemovedFile(Struct, frozen=True, kw_only=True, rename={"before": "bytes_before", "after": "bytes_after"}):
    """What a rule took: a whole file, or bytes of one that stays."""

    path: str
    stage: str
    rule: str
    before: int
    after: Annotated[int | None, Meta(description="Null where the file was removed.")]
    distribution: str | None

    @property
    def saved(self) -> int:
        """Bytes that are no longer there."""
        return self.before - (self.after or 0)


class RuleFacts(Struct, frozen=True, kw_only=True):
    """What a rule took altogether, and why."""

    name: str
    reason: str
    files: int
    bytes_saved: int


class Growth(Struct, frozen=True, kw_only=True):
    """Bytes of a distribution or a folder, before and after."""

    name: str
    before: Annotated[int, Meta(description="Bytes in the previous package; 0 where it was not in it.")]
    after: int
    version_before: str | None = None
    version_after: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """What changed since the previous package."""

    file: str
    sha256: SHA256
    code_sha256: CODE_SHA256
    bytes: int
    unzipped_bytes: int
    added: int
    removed: int
    changed: int
    distributions: list[Growth]
    folders: Annotated[list[Growth], Meta(description="Folders at the top and right below, that grew or shrank.")]


class Report(Struct, frozen=True, kw_only=True):
    """The whole document."""

    schema_version: Literal[2] = 2
    """Raised when a key changes its meaning or goes."""
    generator: str
    package: PackageFacts
    inputs: Annotated[dict[str, str], Meta(description="What the bytes depend on beside the project.")]
    stages: list[StageFacts]
    distributions: list[Distribution]
    rules: list[RuleFacts]
    findings: list[Finding]
    imports: Annotated[list[Cost] | None, Meta(description="Null where no measurement of the cold start was given.")]
    comparison: Annotated[Comparison | None, Meta(description="Null where there was no earlier report.")]
    files: list[PackagedFile]
    removed: list[RemovedFile]


_OF_THE_MACHINE = frozenset({"HL030"})
"""Findings about the place and the moment of a build, which are not the package's."""


def report_of(  # noqa: PLR0913 - each comes from elsewhere
    file: str,
    inventory: Inventory,
    *,
    package: Package | None,
    target: TargetHint,
    findings: Iterable[Finding],
    imports: Sequence[Cost] | None,
    previous: Report | None,
) -> Report:
    """Make the report of the zip called *file*; *package* is what a build says of it, where one made it."""
    removed = _removed(package)
    report = Report(
        generator=f"hatch-lambda {__version__}",
        package=PackageFacts(
            file=file,
            name=(package.name if package else "") or None,
            version=package.version if package else None,
            bytes=inventory.size,
            unzipped_bytes=inventory.unzipped,
            files=len(inventory.items),
            sha256=inventory.sha256,
            code_sha256=in_base64(inventory.sha256),
            content_sha256=inventory.content_sha256,
            runtime=target.runtime,
            architecture=target.architecture,
            direct_upload_quota_bytes=DIRECT_UPLOAD_QUOTA,
            unzipped_quota_bytes=UNZIPPED_QUOTA,
        ),
        inputs=dict(package.inputs) if package else {},
        stages=[view(stage, StageFacts) for stage in (package.stages if package else ())],
        distributions=_distributions(inventory, removed),
        rules=_rules(package, removed),
        findings=[found for found in findings if found.code not in _OF_THE_MACHINE],
        imports=None if imports is None else sorted(imports, key=lambda cost: (-cost.self_ms, cost.owner)),
        comparison=None,
        files=[view(item, PackagedFile) for item in inventory.items],
        removed=removed,
    )
    return report if previous is None else replace(report, comparison=compare(previous, report))


def _distributions(inventory: Inventory, removed: Iterable[RemovedFile]) -> list[Distribution]:
    files, sizes, zipped, taken, saved = Counter[str](), Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for item in inventory.items:
        if item.owner is not None:
            files[item.owner] += 1
            sizes[item.owner] += item.size
            zipped[item.owner] += item.zipped
    for change in removed:
        if change.distribution is not None:
            taken[change.distribution] += change.after is None
            saved[change.distribution] += change.saved
    found = (
        Distribution(
            name=name,
            version=metadata.version,
            licence=metadata.licence,
            files=files[name],
            bytes=sizes[name],
            zipped_bytes=zipped[name],
            removed_files=taken[name],
            removed_bytes=saved[name],
        )
        for name, metadata in inventory.metadata.items()
    )
    return sorted(found, key=lambda one: (-one.bytes, one.name))


def _removed(package: Package | None) -> list[RemovedFile]:
    """Return what was taken; what was put in, such as bytecode, the stages tell."""
    changes = (
        view(change, RemovedFile)
        for change in (package.changes if package else ())
        if change.after is None or change.after <= change.before
    )
    return sorted(changes, key=lambda change: (change.path, change.stage))


def _rules(package: Package | None, removed: Iterable[RemovedFile]) -> list[RuleFacts]:
    reasons: dict[str, str] = {}
    for change in package.changes if package else ():
        reasons.setdefault(change.rule, change.reason)
    files, saved = Counter[str](), Counter[str]()
    for one in removed:
        files[one.rule] += 1
        saved[one.rule] += one.saved
    found = (RuleFacts(name=name, reason=reasons[name], files=files[name], bytes_saved=saved[name]) for name in files)
    return sorted(found, key=lambda rule: (-rule.bytes_saved, rule.name))


def import_times(path: Path, zip_bytes: int) -> tuple[Cost, ...]:
    """Read the import times by distribution of the zip that has *zip_bytes*, or else of the first that was measured.

    Raises ConfigurationError for a file that has none.
    """
    hint = "make it with `hatch-lambda coldstart ZIP --json`"
    document = Document(
        path=path, shown=str(path), family=ConfigurationError, hint=hint, limit=JSON_LIMIT, has_paths=False
    )
    try:
        measured = from_json(document.content(), ColdStart).starts
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{path}: no import times by distribution in it: {error}", hint=hint) from error
    return next((start for start in measured if start.zip_bytes == zip_bytes), measured[0]).imports


OTHERS = "(others)"
"""Stands for the files of no distribution, which are the project's own in a package that was built here."""
_TOP = 2
"""Folders of a path that are compared: ``scipy`` and ``scipy/linalg``."""


def compare(previous: Report, now: Report) -> Comparison | None:
    """Say what changed from *previous* to *now*.

    A package that is the same says again what it said before, so that writing a report twice changes nothing.
    """
    if previous.package.sha256 == now.package.sha256:
        return previous.comparison
    before = {file.path: file for file in previous.files}
    after = {file.path: file for file in now.files}
    return Comparison(
        file=previous.package.file,
        sha256=previous.package.sha256,
        code_sha256=previous.package.code_sha256,
        bytes=previous.package.bytes,
        unzipped_bytes=previous.package.unzipped_bytes,
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[path].sha256 != after[path].sha256 for path in before.keys() & after.keys()),
        distributions=_grown_distributions(previous, now),
        folders=list(_grown(_folders(previous), _folders(now))),
    )


def _grown_distributions(previous: Report, now: Report) -> list[Growth]:
    versions = [{one.name: one.version for one in report.distributions} for report in (previous, now)]
    before, after = _owners(previous), _owners(now)
    names = {*before, *after}
    every = (
        Growth(
            name=name,
            before=before[name],
            after=after[name],
            version_before=versions[0].get(name),
            version_after=versions[1].get(name),
        )
        for name in names
    )
    changed = (one for one in every if one.before != one.after or one.version_before != one.version_after)
    return sorted(changed, key=_most_first)


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Growth]:
    names = {*before, *after}
    every = (Growth(name=name, before=before.get(name, 0), after=after.get(name, 0)) for name in names)
    yield from sorted((one for one in every if one.before != one.after), key=_most_first)


def _owners(report: Report) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for file in report.files:
        sizes[file.owner or OTHERS] += file.size
    return sizes


def _folders(report: Report) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for file in report.files:
        *folders, _ = file.path.split("/")
        for depth in range(1, min(_TOP, len(folders)) + 1):
            sizes["/".join(folders[:depth])] += file.size
    return sizes


def _most_first(one: Growth) -> tuple[int, str]:
    return -abs(one.after - one.before), one.name
