"""The project's own patterns: the last word about every file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.errors import ConfigurationError
from hatch_lambda.slimming.rules import compile_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pathspec.pattern import RegexPattern

_KEY = "tool.lambda-slim.patterns"
_DIRECTORY_GROUP = "ps_d"
"""The group by which pathspec's expressions mark that a folder matched, not the file itself."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the project's patterns say about a file, and which of them decided."""

    kept: bool
    pattern: str


class ProjectPatterns(Struct, frozen=True):
    """Gitignore patterns in which the last match decides.

    Two things differ from pathspec's own ``GitIgnoreSpec``, which ranks a file's match above any folder's
    whatever their order: a folder that a later pattern excludes is excluded, also after
    ``!**/tests/**``; and, unlike git, a file below an excluded folder can be kept again. As in git,
    ``!folder/`` undoes the exclusion of the folder, not of files that were excluded by themselves; so
    ``*``, ``!*/``, ``!*.py`` keeps only Python.
    """

    compiled: tuple[tuple[str, RegexPattern], ...]

    @classmethod
    def of(cls, lines: Iterable[str]) -> ProjectPatterns:
        """Compile *lines*; raises ConfigurationError that names the first one that can match nothing."""
        return cls(tuple((line, _compile(line)) for line in lines))

    def judge(self, path: str) -> Verdict | None:
        """Say whether *path* goes or stays; None where no pattern matches."""
        verdict: Verdict | None = None
        by_file = False
        for text, pattern in self.compiled:
            result = pattern.match_file(path)
            if result is None:
                continue
            is_folder = bool(result.match.groupdict().get(_DIRECTORY_GROUP))
            if by_file and is_folder and not pattern.include:
                continue
            verdict = Verdict(kept=not pattern.include, pattern=text)
            by_file = not is_folder
        return verdict


def _compile(line: str) -> RegexPattern:
    try:
        (pattern,) = compile_patterns([line])
    except (ValueError, LookupError, re.error) as error:
        raise _invalid(line, "is not a gitignore pattern") from error
    if pattern.include is None:
        raise _invalid(line, "can match nothing")
    if line.lstrip("!").startswith(("./", "../")):
        raise _invalid(line, "can match nothing: paths in the package do not begin with a dot")
    return pattern


def _invalid(line: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{_KEY}: {line!r} {why}",
        hint="patterns are those of .gitignore over paths in the package, such as `numpy/**/*.md`",
    )
