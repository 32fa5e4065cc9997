"""The report of a package: put together from what is in the zip and, where we built it, from how that came about."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA
from hatch_lambda.core.codec import JSON_LIMIT, Document, from_json
from hatch_lambda.core.version import __version__
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.inspect.report.document import (
    VERSION,
    Distribution,
    FindingFacts,
    ImportTime,
    PackagedFile,
    PackageFacts,
    RemovedFile,
    Report,
    RuleFacts,
    StageFacts,
    compare,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hatch_lambda.config.target import Told
    from hatch_lambda.core.model import Finding
    from hatch_lambda.inspect.package import Package
    from hatch_lambda.inspect.report.inventory import Inventory


_OF_THE_MACHINE = frozenset({"HL030"})
"""Findings about the place and the moment of a build, which are not the package's."""


def report_of(  # noqa: PLR0913 - each comes from elsewhere
    file: str,
    inventory: Inventory,
    *,
    package: Package | None,
    target: Told,
    findings: Iterable[Finding],
    imports: Sequence[ImportTime] | None,
    previous: Report | None,
) -> Report:
    """Make the report of the zip called *file*; *package* is what a build says of it, where one made it."""
    removed = _removed(package)
    report = Report(
        version=VERSION,
        generator=f"hatch-lambda {__version__}",
        package=PackageFacts(
            file=file,
            name=(package.name if package else "") or None,
            version=package.version if package else None,
            bytes=inventory.size,
            unzipped_bytes=inventory.unzipped,
            files=len(inventory.items),
            sha256=inventory.sha256,
            code_sha256=base64.b64encode(bytes.fromhex(inventory.sha256)).decode("ascii"),
            content_sha256=inventory.content_sha256,
            runtime=target.runtime,
            architecture=target.architecture,
            direct_upload_quota_bytes=DIRECT_UPLOAD_QUOTA,
            unzipped_quota_bytes=UNZIPPED_QUOTA,
        ),
        inputs=dict(package.inputs) if package else {},
        stages=[
            StageFacts(name=stage.name, files=stage.files, bytes=stage.size)
            for stage in (package.stages if package else ())
        ],
        distributions=_distributions(inventory, removed),
        rules=_rules(package, removed),
        findings=[
            FindingFacts(
                code=found.code,
                severity=found.severity.value,
                message=found.message,
                hint=found.hint,
                path=found.path,
            )
            for found in findings
            if found.code not in _OF_THE_MACHINE
        ],
        imports=None if imports is None else sorted(imports, key=lambda time: (-time.self_ms, time.name)),
        comparison=None,
        files=[
            PackagedFile(
                path=item.path,
                bytes=item.size,
                zipped_bytes=item.zipped,
                sha256=item.sha256,
                executable=item.executable,
                distribution=item.owner,
            )
            for item in inventory.items
        ],
        removed=removed,
    )
    if previous is None:
        return report
    import msgspec

    return msgspec.structs.replace(report, comparison=compare(previous, report))


def _distributions(inventory: Inventory, removed: Iterable[RemovedFile]) -> list[Distribution]:
    files, sizes, zipped, taken, saved = Counter[str](), Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for item in inventory.items:
        if item.owner is not None:
            files[item.owner] += 1
            sizes[item.owner] += item.size
            zipped[item.owner] += item.zipped
    for change in removed:
        if change.distribution is not None:
            taken[change.distribution] += change.bytes_after is None
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
        RemovedFile(
            path=change.path,
            stage=change.stage.value,
            rule=change.rule,
            bytes_before=change.before,
            bytes_after=change.after,
            distribution=change.distribution,
        )
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


class _Import(msgspec.Struct):
    of: str
    self_ms: float
    cumulative_ms: float


class _Package(msgspec.Struct):
    imports: list[_Import]
    zip_bytes: int | None = None


class _Measured(msgspec.Struct):
    packages: list[_Package]


def import_times(path: Path, zip_bytes: int) -> list[ImportTime]:
    """Read the import times by distribution of the zip that has *zip_bytes*, or else of the first that was measured.

    Raises ConfigurationError for a file that has none.
    """
    hint = "make it with `hatch-lambda coldstart ZIP --json`"
    content = Document(
        path=path, shown=str(path), family=ConfigurationError, hint=hint, limit=JSON_LIMIT, has_paths=False
    ).content()
    try:
        measured = from_json(content, _Measured).packages
    except msgspec.MsgspecError:
        measured = []
    if not measured:
        raise ConfigurationError(f"{path}: no import times by distribution in it", hint=hint)
    ours = next((one for one in measured if one.zip_bytes == zip_bytes), measured[0])
    return [ImportTime(name=one.of, self_ms=one.self_ms, cumulative_ms=one.cumulative_ms) for one in ours.imports]
