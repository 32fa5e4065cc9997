"""The default rules, as ``rules.toml`` describes them, and which files each of them asks for."""

from __future__ import annotations

import re
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hatch_lambda.core.codec import load
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


class Rule(Struct, frozen=True, kw_only=True, dict=True):
    """A kind of file that no program misses, and why."""

    name: str
    reason: str
    suffixes: tuple[str, ...] = ()
    """Patterns of the form ``*.suffix``, kept apart because they are many and ``endswith`` is fast.

    They match files only: gitignore's would match below a folder of such a name, too.
    """
    folders: tuple[str, ...] = ()
    """Patterns of the form ``name/`` (at any depth), ``a/b/`` or ``/a/`` (from the top)."""
    others: tuple[str, ...] = ()
    """All other patterns, in their order."""
    within: str | None = None
    """A file matches only if its folder has this name."""
    starts_with: tuple[bytes, ...] = ()
    unless: Unless | None = None
    readers: tuple[bytes, ...] = ()
    spared: frozenset[str] = frozenset()
    holds: tuple[str, ...] = ()
    """A folder matches only if one of these names (``fnmatch``) is somewhere below it."""
    all_files: bool = False
    """Whether it asks for the project's files and those of no distribution, too."""
    optional: bool = False
    """Whether it is off unless the project turns it on."""
    metadata: bool = False
    """Whether it asks for files in ``*.dist-info`` alone."""
    stage: str = "slim"
    """The stage that carries it out: only those of the slim stage have patterns."""
    words: tuple[str, ...] = ()
    """It asks for nothing where code of the project or of another distribution has one of these words."""
    family: frozenset[str] = frozenset()
    """Distributions whose code does not count for that, either."""
    beside: str | None = None
    """A file matches only if one with this suffix instead of its own is beside it."""
    copies: bool = False
    """A file matches only if another in its folder has the same content, and the program asks for that one."""

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
        if matched is not None and self.starts_with and not begins_with(file, self.starts_with):
            return None
        return matched

    @cached_property
    def _widens(self) -> bool:
        """Whether one of the others matches more files; if not, they only exempt."""
        return not all(text.startswith("!") for text in self.others)

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


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return the rules in their order, the optional ones too."""
    return tuple(_rule(entry) for entry in load("stages/slim/rules.toml")["rule"])


def active_rules(settings: SlimSettings) -> tuple[Rule, ...]:
    """Return the rules that are on, in their order: by the project's choice of each, else by its kind."""
    aggressive, default = settings.aggressive, settings.append_default_patterns
    chosen = settings.rules
    return tuple(rule for rule in all_rules() if chosen.get(rule.name, aggressive if rule.optional else default))


def _rule(entry: dict[str, Any]) -> Rule:
    suffixes: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    for text in entry.get("patterns", ()):
        if suffix := _SUFFIX.fullmatch(text):
            suffixes.append(suffix[1])
        elif _FOLDER.fullmatch(text):
            folders.append(text)
        else:
            others.append(text)
    return Rule(
        name=entry["name"],
        reason=entry["reason"],
        suffixes=tuple(suffixes),
        folders=tuple(folders),
        others=tuple(others),
        within=entry.get("within"),
        starts_with=tuple(text.encode() for text in entry.get("starts-with", ())),
        unless=Unless(entry["unless"]) if "unless" in entry else None,
        readers=tuple(text.encode() for text in entry.get("readers", ())),
        spared=frozenset(entry.get("spared", ())),
        holds=tuple(entry.get("holds", ())),
        all_files=entry.get("all-files", False),
        optional=entry.get("optional", False),
        metadata=entry.get("metadata", False),
        stage=entry.get("stage", "slim"),
        words=tuple(entry.get("words", ())),
        family=frozenset(entry.get("family", ())),
        beside=entry.get("beside"),
        copies=entry.get("copies", False),
    )


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
