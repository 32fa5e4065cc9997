"""Import times, as ``hatch-lambda coldstart --json`` measured them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from hatch_lambda.errors import ConfigurationError
from hatch_lambda.report.document import ImportTime

if TYPE_CHECKING:
    from pathlib import Path


def import_times(path: Path) -> list[ImportTime]:
    """Read the import times by distribution. Raises ConfigurationError for a file that has none."""
    try:
        document: Any = json.loads(path.read_bytes())
        return msgspec.convert(document["imports"], list[ImportTime])
    except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
        raise ConfigurationError(
            f"{path}: no import times by distribution in it",
            hint="make it with `hatch-lambda coldstart ZIP --json`",
        ) from error
