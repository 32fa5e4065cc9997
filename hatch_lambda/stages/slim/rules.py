"""The default rules, as ``rules.toml`` describes them, and which files each of them asks for."""

from __future__ import annotations

import re
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from hatch_lambda.core.codec import first_twice, load
from hatch_lambda.core.model import Stage
from hatch_lambda.core.source.files import begins_with
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pathspec.pattern import RegexPattern

    from hatch_lambda.config.settings import SlimSettings
    from hatch_lambda.core.model import File, Tree


_SUFFIX = re.compile(r"\*(\.[A-Za-z0-9_.]+)")
_FOLDER = re.compile(r"/?[A-Za-z0-9_/]+/")


class Unless(StrEnum):
    """What spares a file that a rule asks for."""

    IMPORTED = "imported"
    READ_AT_RUN_TIME = "read-at-run-time"
    DOTNET = "dotnet"
    LINKED = "linked"


class Rule(Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True, rename="kebab"):
    """A kind of file that no program misses, and why: an entry of ``rules.toml``, which describes the keys."""

    name: Annotated[str, Meta(pattern=r"\A[a-z]+(-[a-z]+)*\Z")]
    reason: Annotated[str, Meta(min_length=1)]
    patterns: tuple[str, ...] = ()
    within: str | None = None
    starts_with: tuple[str, ...] = ()
    unless: Unless | None = None
    readers: tuple[str, ...] = ()
    spared: frozenset[str] = frozenset()
    holds: tuple[str, ...] = ()
    all_files: bool = False
    optional: bool = False
    metadata: bool = False
    stage: Stage = Stage.SLIM
    words: tuple[str, ...] = ()
    family: frozenset[str] = frozenset()
    beside: str | None = None
    copies: bool = False

    def __post_init__(self) -> None:
        """Check what keys need of one another; raises ValueError, which msgspec gives the entry's place."""
        slims, only_folders = self.stage is Stage.SLIM, len(self.folders) == len(self.patterns)
        reads = self.unless is Unless.READ_AT_RUN_TIME
        slips = (
            (slims and not self.patterns, "a rule of the stage slim needs `patterns`"),
            (self.patterns and not slims, "only a rule of the stage slim may have `patterns`"),
            (self.unless is Unless.IMPORTED and not only_folders, 'with `unless = "imported"`, patterns are folders'),
            (self.readers and not reads, '`readers` need `unless = "read-at-run-time"`'),
            (self.holds and not self.folders, "`holds` needs a pattern of a folder"),
            (self.family and not self.words, "`family` needs `words`"),
        )
        for is_one, what in slips:
            if is_one:
                raise ValueError(what)

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """Patterns of the form ``*.suffix``, kept apart because they are many and ``endswith`` is fast.

        They match files only: gitignore's would match below a folder of such a name, too.
        """
        return tuple(match[1] for text in self.patterns if (match := _SUFFIX.fullmatch(text)))

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Patterns of the form ``name/`` (at any depth), ``a/b/`` or ``/a/`` (from the top)."""
        return tuple(text for text in self.patterns if _FOLDER.fullmatch(text))

    @cached_property
    def others(self) -> tuple[str, ...]:
        """All other patterns, in their order."""
        return tuple(text for text in self.patterns if not (_SUFFIX.fullmatch(text) or _FOLDER.fullmatch(text)))

    def may_ask(self, file: File) -> bool:
        """Tell whether *file* is of the kind that default rules may touch: what a project ships, it may read."""
        if self.all_files:
            return True
        return not file.project and file.distribution is not None and file.distribution not in self.spared

    def match(self, file: File) -> str | None:
        """Return the pattern that matches the path of *file* last and does not exempt it, or None."""
        path = file.path
        if self.within is not None and file.parts[-2:-1] != (self.within,):
            return None
        matched: str | None = None
        if self.suffixes and path.endswith(self.suffixes):
            matched = next(f"*{suffix}" for suffix in self.suffixes if path.endswith(suffix))
        elif self.folders and (folder := self.folder(path)) is not None:
            matched = folder[1]
        if matched is None and not self._widens:
            return None
        for text, pattern in zip(self.others, self._compiled, strict=True):
            if pattern.match_file(path):
                matched = text if pattern.include else None
        if matched is not None and self.starts_with and not begins_with(file, self._beginnings):
            return None
        return matched

    @cached_property
    def _widens(self) -> bool:
        """Whether one of the others matches more files; if not, they only exempt."""
        return not all(text.startswith("!") for text in self.others)

    @cached_property
    def _beginnings(self) -> tuple[bytes, ...]:
        return tuple(text.encode() for text in self.starts_with)

    @cached_property
    def _compiled(self) -> tuple[RegexPattern, ...]:
        return compile_patterns(self.others)

    def folder(self, path: str) -> tuple[str, str] | None:
        """Return the topmost folder above *path* that a folder pattern names, and that pattern."""
        for text in self.folders:
            name = text.strip("/")
            if "/" in text[:-1]:
                if path.startswith(f"{name}/"):
                    return name, text
            elif path.startswith(text):
                return name, text
            elif (start := path.find(f"/{text}")) >= 0:
                return path[: start + len(text)], text
        return None


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``rules.toml``."""

    rule: tuple[Rule, ...]

    def __post_init__(self) -> None:
        """Refuse two rules of one name; raises ValueError."""
        if twice := first_twice(rule.name for rule in self.rule):
            raise ValueError(f"two rules have the name {twice!r}")


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return the rules in their order, the optional ones too."""
    return load("stages/slim/rules.toml", Rules).rule


def active_rules(settings: SlimSettings) -> tuple[Rule, ...]:
    """Return the rules that are on, in their order: by the project's choice of each, else by its kind."""
    aggressive, default = settings.aggressive, settings.append_default_patterns
    chosen = settings.rules
    return tuple(rule for rule in all_rules() if chosen.get(rule.name, aggressive if rule.optional else default))


def folders_that_hold(tree: Tree, rules: Iterable[Rule]) -> frozenset[tuple[str, str]]:
    """Name the folders in which a rule's ``holds`` is fulfilled, each after the rule's name."""
    return frozenset(
        (rule.name, found[0])
        for rule in rules
        if rule.holds
        for file in tree
        if (found := rule.folder(file.path)) and any(fnmatchcase(file.parts[-1], name) for name in rule.holds)
    )


def compile_patterns(lines: Iterable[str]) -> tuple[RegexPattern, ...]:
    """Compile gitignore patterns.

    The backend is named, because pathspec otherwise takes the best one that is installed, and a package
    must not depend on what else is. Raises what pathspec raises on a pattern that git would refuse.
    """
    from pathspec import GitIgnoreSpec

    return tuple(GitIgnoreSpec.from_lines(lines, backend="simple").patterns)


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
