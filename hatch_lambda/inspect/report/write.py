"""Write the report of a package: the document, the page, and the bill of materials.

It looks into the zip itself, so it says what is really in there, whoever made it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.config.target import Architecture, Target, TargetHint, runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.codec import JSON_LIMIT, Document, from_json, to_json
from hatch_lambda.core.files import open_regular
from hatch_lambda.core.staging import Staging
from hatch_lambda.errors import ConfigurationError, MissingToolError, machine_errors
from hatch_lambda.stages.archive.read import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.markers import Environment

    from hatch_lambda.inspect.package import Package
    from hatch_lambda.inspect.report.document import Report


DOCUMENT, PAGE, SBOM = "report.json", "report.html", "sbom.cdx.json"
_SIGNS = {
    DOCUMENT: b'"generator": "hatch-lambda ',
    PAGE: b" \xc2\xb7 hatch-lambda</title>",
    SBOM: b'"bom-ref": "hatch-lambda"',
}
"""What each part of a report says of who wrote it."""
_LONGEST = 1 << 26


class ReportFiles(Struct, frozen=True, kw_only=True):
    """A report, and the files that hold it."""

    report: Report
    document: Path
    page: Path
    sbom: Path


def require_extra() -> None:
    """Raise MissingToolError unless all is installed that a report needs."""
    try:
        import cyclonedx  # noqa: F401
        import jinja2  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            f"{error.name} is not installed, which reports are made with",
            hint="pip install 'hatch-lambda[report]'",
        ) from error


@machine_errors()
def write_report(
    package: Package | Path,
    folder: Path,
    *,
    previous: Path | None = None,
    coldstart: Path | None = None,
    epoch: int | None = None,
) -> ReportFiles:
    """Write the report of a zip, or of a package that was just built, to *folder*.

    It compares the package with that of the report *previous*, or of the one that is in *folder* already. Each
    file is whole, and takes the old one's place when all of them are done.
    """
    from hatch_lambda.config.settings import AuditSettings
    from hatch_lambda.config.target import TargetHint
    from hatch_lambda.inspect.audit.verify import verify_package as audit_package

    require_extra()
    from hatch_lambda.inspect.report.document import import_times, report_of
    from hatch_lambda.inspect.report.inventory import take_inventory
    from hatch_lambda.inspect.report.page import page
    from hatch_lambda.inspect.report.sbom import sbom

    earlier = _read(previous or folder / DOCUMENT, must_exist=previous is not None)
    _refuse_strangers(folder)
    made, path = (None, package) if isinstance(package, Path) else (package, package.path)
    with tempfile.TemporaryDirectory(prefix="hatch-lambda-") as work:
        if made is None:
            unknown = TargetHint()
            audited = audit_package(path, unknown, AuditSettings(), Cache(root=None), Path(work))
            tree, findings = audited.tree, audited.findings
            target = TargetHint(runtime=audited.runtime, architecture=audited.architecture)
        else:
            tree, findings = unpack(path, Path(work) / "package"), made.findings
            target = TargetHint(runtime=made.runtime, architecture=made.architecture)
        owners = None if made is None else {file.path: file.distribution for file in made.tree}
        inventory = take_inventory(path, tree, owners=owners, removed=made.metadata if made else {})
        report = report_of(
            path.name,
            inventory,
            package=made,
            target=target,
            findings=findings,
            imports=None if coldstart is None else import_times(coldstart, inventory.size),
            previous=earlier,
        )
    contents = {
        DOCUMENT: to_json(report, indent=1),
        PAGE: page(report),
        SBOM: sbom(report, inventory, _wheels(made), _environment(target), epoch),
    }
    with Staging() as new:
        for name, content in contents.items():
            new.text(folder / name, content)
        new.commit()
    return ReportFiles(report=report, document=folder / DOCUMENT, page=folder / PAGE, sbom=folder / SBOM)


def _read(path: Path, *, must_exist: bool) -> Report | None:
    """Read an earlier report. One of another form is passed over, and what is none is not overwritten."""
    import msgspec

    from hatch_lambda.inspect.report.document import Report

    if not path.exists() and not must_exist:
        return None
    hint = "name another file or folder"
    content = Document(path=path, shown=str(path), family=ConfigurationError, hint=hint, limit=JSON_LIMIT).content()
    try:
        return from_json(content, Report)
    except msgspec.MsgspecError as error:
        if not must_exist and content.lstrip()[:1] == b"{" and b'"generator": "hatch-lambda ' in content:
            return None
        raise ConfigurationError(f"{path}: not a report of this version of hatch-lambda: {error}", hint=hint) from error


def _refuse_strangers(folder: Path) -> None:
    """Raise ConfigurationError where something in *folder* has the name of a part of a report and is none of ours."""
    for name, sign in _SIGNS.items():
        path = folder / name
        try:
            with open_regular(path) as stream:
                is_ours = not (content := stream.read(_LONGEST)) or sign in content
        except FileNotFoundError:
            continue
        except OSError:
            is_ours = False
        if not is_ours:
            raise ConfigurationError(
                f"{path}: hatch-lambda did not write this; it was left as it is", hint="name another folder"
            )


def _environment(target: TargetHint) -> Environment:
    """Return the markers' values on *target*, where it is not known those of the newest runtime."""
    known = runtimes()
    runtime = known.get(target.runtime or "") or [*known.values()][-1]
    return Target(runtime=runtime, architecture=Architecture(target.architecture or "x86_64")).markers


def _wheels(package: Package | None) -> Mapping[str, tuple[str, str]]:
    """Return the file name and the SHA-256 of each locked wheel, by the distribution's name."""
    if package is None or package.pinned is None:
        return {}
    from hatch_lambda.stages.locks.pylock import parse

    return {
        entry.name: (wheel.filename, wheel.hashes["sha256"])
        for entry in parse(package.pinned, package.inputs["lock"]).packages
        for wheel in entry.wheels or ()
        if "sha256" in wheel.hashes
    }
