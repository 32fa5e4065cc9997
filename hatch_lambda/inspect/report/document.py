"""The report as one JSON document: what is in a package, what was taken out, what is wrong with it, what grew.

It holds no date, no duration and no path of the machine, so the same package always has the same report.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


VERSION: Final = 1
"""Raised when a key changes its meaning or goes."""


class PackageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the zip is."""

    file: Annotated[str, Meta(description="Name of the zip, without its folder.")]
    name: Annotated[str | None, Meta(description="The project's name, where the report is a build's.")]
    version: str | None
    bytes: Annotated[int, Meta(ge=0, description="Of the zip.")]
    unzipped_bytes: Annotated[int, Meta(ge=0)]
    files: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    code_sha256: Annotated[str, Meta(description="The same as Lambda reports it: `CodeSha256`.")]
    content_sha256: Annotated[
        str, Meta(pattern="^[0-9a-f]{64}$", description="Of names, modes and contents, whatever the compression.")
    ]
    runtime: Annotated[str | None, Meta(description="None where nothing tells.")]
    architecture: str | None
    direct_upload_quota_bytes: int
    unzipped_quota_bytes: int


class StageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage of the build left."""

    name: str
    files: int
    bytes: int


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution of which files are in the package."""

    name: Annotated[str, Meta(description="Normalized (PEP 503).")]
    version: str | None
    licence: Annotated[str | None, Meta(description="SPDX expression, or what the metadata says instead.")]
    files: int
    bytes: int
    zipped_bytes: int
    removed_files: int
    removed_bytes: Annotated[int, Meta(description="With the symbols that left the files that stay.")]


class PackagedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the package."""

    path: str
    bytes: int
    zipped_bytes: int
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    executable: bool
    distribution: Annotated[str | None, Meta(description="None for the project's own, and for what nobody claims.")]


class RemovedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule took: a whole file, or bytes of one that stays."""

    path: str
    stage: str
    rule: str
    bytes_before: int
    bytes_after: Annotated[int | None, Meta(description="None where the file was removed.")]
    distribution: str | None

    @property
    def saved(self) -> int:
        """Bytes that are no longer there."""
        return self.bytes_before - (self.bytes_after or 0)


class RuleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule took altogether, and why."""

    name: str
    reason: str
    files: int
    bytes_saved: int


class FindingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that the user should know."""

    code: str
    severity: Literal["error", "warning", "note"]
    message: str
    hint: str | None
    path: str | None


class ImportTime(msgspec.Struct, frozen=True, kw_only=True):
    """How long the modules of a distribution take while the handler is imported."""

    name: str
    self_ms: float
    cumulative_ms: float


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a distribution or a folder, before and after."""

    name: str
    before: Annotated[int, Meta(description="Bytes in the previous package; 0 where it was not in it.")]
    after: int
    version_before: str | None = None
    version_after: str | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the previous package."""

    file: str
    sha256: str
    bytes: int
    unzipped_bytes: int
    added: int
    removed: int
    changed: int
    distributions: list[Growth]
    folders: Annotated[list[Growth], Meta(description="Folders at the top and right below, that grew or shrank.")]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    version: Annotated[Literal[1], Meta(description="Of this document's form.")]
    generator: str
    package: PackageFacts
    inputs: Annotated[dict[str, str], Meta(description="What the bytes depend on beside the project.")]
    stages: list[StageFacts]
    distributions: list[Distribution]
    rules: list[RuleFacts]
    findings: list[FindingFacts]
    imports: Annotated[
        list[ImportTime] | None, Meta(description="None where no measurement of the cold start was given.")
    ]
    comparison: Annotated[Comparison | None, Meta(description="None where there was no earlier report.")]
    files: list[PackagedFile]
    removed: list[RemovedFile]


def encode(report: Report) -> bytes:
    """Return the document as JSON, with a line for each value, so that it can be compared by lines too."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hatch-lambda:report:{VERSION}",
        **msgspec.json.schema(Report),
        "title": "Report of hatch-lambda",
    }


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
        bytes=previous.package.bytes,
        unzipped_bytes=previous.package.unzipped_bytes,
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        changed=sum(before[path].sha256 != after[path].sha256 for path in before.keys() & after.keys()),
        distributions=_distributions(previous, now),
        folders=list(_grown(_folders(previous), _folders(now))),
    )


def _distributions(previous: Report, now: Report) -> list[Growth]:
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
        sizes[file.distribution or OTHERS] += file.bytes
    return sizes


def _folders(report: Report) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for file in report.files:
        *folders, _ = file.path.split("/")
        for depth in range(1, min(_TOP, len(folders)) + 1):
            sizes["/".join(folders[:depth])] += file.bytes
    return sizes


def _most_first(one: Growth) -> tuple[int, str]:
    return -abs(one.after - one.before), one.name
