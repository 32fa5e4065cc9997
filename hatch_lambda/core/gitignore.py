"""Gitignore patterns of the settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pathspec import GitIgnoreSpec


def compile_patterns(patterns: Iterable[str], key: str) -> GitIgnoreSpec:
    """Compile the patterns of the setting *key*.

    The backend is named, because pathspec otherwise takes the best one that is installed, and a package must not
    depend on what else is. Raises ConfigurationError that names the first pattern that is none.
    """
    from pathspec import GitIgnoreSpec

    lines = list(patterns)
    for line in lines:
        if not is_pattern(line):
            raise ConfigurationError(
                f"tool.lambda-slim.{key}: {line!r} is not a gitignore pattern",
                hint="patterns are those of .gitignore, such as `data/**/*.bin`",
            )
    return GitIgnoreSpec.from_lines(lines, backend="simple")


def is_pattern(line: str) -> bool:
    """Tell whether *line* can stand in a ``.gitignore``."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line], backend="simple")
    except (ValueError, LookupError, re.error):
        return False
    return True
