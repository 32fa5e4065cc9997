"""Settling the rules that remove a file unless code that stays needs it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.source.files import Texts, is_managed, is_module, is_source
from hatch_lambda.core.source.imports import Words
from hatch_lambda.stages.slim.file_names import Mentions, linked
from hatch_lambda.stages.slim.reachable import Candidate, reached
from hatch_lambda.stages.slim.rules import Rule, Unless

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_lambda.core.model import File


class Ask(Struct, frozen=True, kw_only=True):
    """A default rule that matches a file."""

    rule: Rule
    pattern: str
    folder: str | None
    """The folder for whose sake the file would go, where the pattern is one of a folder."""
    copies: tuple[str, ...] = ()
    """The paths of the files beside it that have its content, and its own."""


class Undecided(Struct, frozen=True, kw_only=True):
    """A file and the rules that match it, of which at least one has a condition."""

    file: File
    asks: tuple[Ask, ...]

    @property
    def test_folder(self) -> str | None:
        """The folder for whose sake it goes unless it is imported."""
        folders = [ask.folder for ask in self.asks if ask.rule.unless is Unless.IMPORTED]
        return folders[-1] if folders else None


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a file's rules."""

    kept: bool
    rule: str
    reason: str
    pattern: str | None


def settle(undecided: Sequence[Undecided], kept: Sequence[File], texts: Texts) -> Iterator[tuple[File, Outcome]]:
    """Decide about each of the *undecided*, given the files that are *kept* already.

    A rule whose condition spares a file does not ask for it; of those that do, the last one decides.
    """
    if not undecided:
        return
    mentions = Mentions(item.file for item in undecided)
    sources = [file for file in kept if is_source(file)]
    for file in sources:
        if mentions.concerns(file):
            mentions.add(file, texts.of(file))
    candidates = [Candidate(file=item.file, folder=folder) for item in undecided if (folder := item.test_folder)]
    all_there_is = _distributions_of_nothing_else(candidates, kept)
    found = {
        candidate.file.path: "all that its distribution could be imported for"
        for candidate in candidates
        if candidate.file.distribution in all_there_is
    }
    rest = [candidate for candidate in candidates if candidate.file.path not in found]
    spared = [candidate.file for candidate in candidates if candidate.file.path in found]
    for file in filter(is_source, spared):
        mentions.add(file, texts.of(file))
    if rest:
        found |= reached(rest, [*kept, *spared], texts, mentions)
    sources += [item.file for item in undecided if item.file.path in found and is_source(item.file)]
    libraries = [item.file for item in undecided if any(ask.rule.unless is Unless.LINKED for ask in item.asks)]
    conditions = _Conditions(
        found=found,
        mentions=mentions,
        readers=_readers(undecided, sources, texts),
        users=_users(undecided, sources, texts),
        linked=linked(libraries, kept) if libraries else set(),
    )
    for item in undecided:
        yield item.file, conditions.outcome(item)


def _distributions_of_nothing_else(candidates: Sequence[Candidate], kept: Sequence[File]) -> set[str | None]:
    """Name the distributions of which nothing would be left to import."""
    losing = {candidate.file.distribution for candidate in candidates if is_module(candidate.file)}
    return losing - {file.distribution for file in kept if is_module(file)}


def _readers(
    undecided: Sequence[Undecided], sources: Sequence[File], texts: Texts
) -> dict[tuple[str | None, str], str]:
    """Find the code that mentions a rule's readers: its path by distribution and name of the rule."""
    wanted: dict[str | None, dict[str, list[bytes]]] = defaultdict(dict)
    for item in undecided:
        for ask in item.asks:
            if ask.rule.readers:
                wanted[item.file.distribution][ask.rule.name] = list(map(str.encode, ask.rule.readers))
    found: dict[tuple[str | None, str], str] = {}
    for file in sources:
        for rule, readers in wanted.get(file.distribution, {}).items():
            if (file.distribution, rule) not in found and any(reader in texts.of(file) for reader in readers):
                found[file.distribution, rule] = file.path
    return found


def _users(undecided: Sequence[Undecided], sources: Sequence[File], texts: Texts) -> dict[tuple[str | None, str], str]:
    """Find the code, outside of a file's distribution, that has a rule's words: its path, by the same key."""
    wanted = {
        (item.file.distribution, ask.rule.name): ask.rule for item in undecided for ask in item.asks if ask.rule.words
    }
    found: dict[tuple[str | None, str], str] = {}
    for key, rule in wanted.items():
        words = Words(rule.words)
        family = {key[0], *rule.family}
        others = (file for file in sources if file.distribution not in family)
        user = next((file for file in others if words.search(texts.of(file))), None)
        if user is not None:
            found[key] = user.path
    return found


class _Conditions(Struct, frozen=True, kw_only=True):
    """What is known about the code that stays."""

    found: dict[str, str]
    mentions: Mentions
    readers: dict[tuple[str | None, str], str]
    users: dict[tuple[str | None, str], str]
    linked: set[str]

    def outcome(self, item: Undecided) -> Outcome:
        spared: Outcome | None = None
        removed: Outcome | None = None
        for ask in item.asks:
            rule = ask.rule
            if reason := self._spares(ask, item.file):
                spared = Outcome(kept=True, rule=rule.name, reason=reason, pattern=ask.pattern)
            else:
                removed = Outcome(kept=False, rule=rule.name, reason=rule.reason, pattern=ask.pattern)
        outcome = removed or spared
        assert outcome is not None
        return outcome

    def _spares(self, ask: Ask, file: File) -> str | None:
        if path := self.users.get((file.distribution, ask.rule.name)):
            return f"{path} may use it"
        if ask.rule.unless is Unless.IMPORTED:
            return self.found.get(file.path)
        if ask.rule.unless is Unless.DOTNET:
            return "an assembly of .NET, which Linux can load" if is_managed(file) else None
        if ask.rule.unless is Unless.READ_AT_RUN_TIME:
            return self._read(ask.rule, file)
        return self._loaded(ask, file) if ask.rule.unless is Unless.LINKED else None

    def _read(self, rule: Rule, file: File) -> str | None:
        if path := self.readers.get((file.distribution, rule.name)):
            return f"{path} reads such files"
        if path := self.mentions.of_name(file):
            return f"named in a string of {path}"
        if path := self.mentions.of_suffix(file):
            return f"{path} computes the names of such files"
        return None

    def _loaded(self, ask: Ask, file: File) -> str | None:
        if file.path.rpartition("/")[2] in self.linked:
            return "a library that stays loads it by this name"
        if path := self.mentions.of_name(file) or self.mentions.of_suffix(file):
            return f"{path} may load it by its name"
        if ask.rule.copies and not any(path.rpartition("/")[2] in self.linked for path in ask.copies):
            return "nothing tells by which of its names it is loaded"
        return None
