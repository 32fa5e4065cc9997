"""The report of a package: put together from what is in the zip and, where we built it, from how that came about."""

from __future__ import annotations

import base64
from collections import Counter
from typing import TYPE_CHECKING

from hatch_lambda import __version__
from hatch_lambda.report.comparison import compare
from hatch_lambda.report.document import (
    VERSION,
    Distribution,
    FindingFacts,
    PackagedFile,
    PackageFacts,
    RemovedFile,
    Report,
    RuleFacts,
    StageFacts,
)
from hatch_lambda.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatch_lambda.model import Finding
    from hatch_lambda.report import Package
    from hatch_lambda.report.document import ImportTime
    from hatch_lambda.report.inventory import Inventory
    from hatch_lambda.verify import Told

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
