"""Import times, as ``hatch-lambda coldstart --json`` measured them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hatch_lambda.decoding import JSON_LIMIT, Document, from_json
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.report.document import ImportTime

if TYPE_CHECKING:
    from pathlib import Path


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
