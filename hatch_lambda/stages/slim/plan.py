"""Deciding which files of a package stay, and taking the others out."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from packaging.utils import canonicalize_name

from hatch_lambda.core.model import Change, Stage, Tree
from hatch_lambda.core.source.files import ELF_MAGIC, Texts, begins_with, is_source
from hatch_lambda.stages.slim.conditions import Ask, Undecided, settle
from hatch_lambda.stages.slim.decision import Decision
from hatch_lambda.stages.slim.metadata import FILE_LISTS, Metadata, classify, is_leftover, locate, reads_file_lists
from hatch_lambda.stages.slim.rules import ProjectPatterns, active_rules, folders_that_hold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hatch_lambda.config.settings import SlimSettings
    from hatch_lambda.core.model import File
    from hatch_lambda.stages.slim.rules import Rule


_SCRIPTS = "bin/"


def plan(tree: Tree, settings: SlimSettings, telling: Collection[str] = ()) -> tuple[Decision, ...]:
    """Decide about every file of *tree*, in its order.

    Files at the paths *telling* tell the target of a folder that may be slimmed again.

    The first that has something to say decides: what no package may have, the project's patterns, the policies
    for metadata and commands, the rules. Where a rule depends on what stays, it is asked last; and what is left
    is asked whether it is data that the project does without. Reads Python code and compiled modules, changes
    nothing. Raises ConfigurationError for a pattern that is none, and for data that is not there.
    """
    patterns = ProjectPatterns.of(settings.patterns)
    rules = tuple(rule for rule in active_rules(settings) if rule.stage is Stage.SLIM)
    asking = Asking.of(tree, rules)
    keep_metadata = {canonicalize_name(name) for name in settings.keep_dist_info}
    decided: dict[str, Decision] = {}
    undecided: list[Undecided] = []
    for file in tree:
        decision = (
            _by_installers(file)
            or _by_project(file, patterns)
            or _by_metadata(file, settings, keep_metadata, telling)
            or _by_scripts(file, settings)
        )
        if decision is None or decision.reason == Metadata.FOR_PROGRAMS.value:
            asks = asking.about(file, metadata=decision is not None)
            if decision is not None and not asks:
                decided[file.path] = decision
                continue
            if any(ask.rule.unless or ask.rule.words for ask in asks):
                undecided.append(Undecided(file=file, asks=tuple(asks)))
                continue
            decision = _by_rules(file, asks)
        decided[file.path] = decision
    texts = Texts()
    kept = [decision.file for decision in decided.values() if decision.kept]
    for file, outcome in settle(undecided, kept, texts):
        decided[file.path] = Decision(
            file=file, kept=outcome.kept, rule=outcome.rule, reason=outcome.reason, pattern=outcome.pattern
        )
    _keep_file_lists(decided, texts)
    _leave_data_out(decided, settings, texts)
    return tuple(decided[file.path] for file in tree)


def apply(decisions: Iterable[Decision]) -> tuple[Tree, tuple[Change, ...]]:
    """Return the tree of the files that stay, and a Change for each that does not."""
    decided = tuple(decisions)
    changes = tuple(
        Change.of(decision.file, Stage.SLIM, rule=decision.rule, reason=decision.reason)
        for decision in decided
        if not decision.kept
    )
    return Tree.of(decision.file for decision in decided if decision.kept), changes


def _by_installers(file: File) -> Decision | None:
    if not is_leftover(file):
        return None
    return Decision(file=file, kept=False, rule="installer-leftovers", reason=Metadata.LEFTOVER.value)


def _by_project(file: File, patterns: ProjectPatterns) -> Decision | None:
    verdict = patterns.judge(file.path)
    if verdict is None:
        return None
    return Decision(
        file=file,
        kept=verdict.kept,
        rule="patterns",
        reason=f"the project's pattern `{verdict.pattern}` {'keeps' if verdict.kept else 'removes'} it",
        pattern=verdict.pattern,
    )


def _by_metadata(
    file: File, settings: SlimSettings, keep: Collection[str], telling: Collection[str]
) -> Decision | None:
    place = locate(file.path)
    if place is None:
        return None
    name, rest = place
    if settings.dist_info == "keep":
        return Decision(file=file, kept=True, rule="dist-info", reason='`dist-info = "keep"` keeps it')
    if settings.dist_info == "remove" and canonicalize_name(name) not in keep:
        return Decision(file=file, kept=False, rule="dist-info", reason='`dist-info = "remove"` removes it')
    if file.path in telling:
        return Decision(
            file=file, kept=True, rule="dist-info", reason="it tells the target when the folder is slimmed again"
        )
    metadata = classify(rest)
    return Decision(file=file, kept=metadata is Metadata.FOR_PROGRAMS, rule="dist-info", reason=metadata.value)


def _by_scripts(file: File, settings: SlimSettings) -> Decision | None:
    if settings.scripts or file.project or file.distribution is None or not file.path.startswith(_SCRIPTS):
        return None
    if begins_with(file, (ELF_MAGIC,)):
        reason = "a program, not a script: its distribution may run it"
        return Decision(file=file, kept=True, rule="scripts", reason=reason)
    reason = "a command for a shell, which a function has not; `scripts = true` keeps it"
    return Decision(file=file, kept=False, rule="scripts", reason=reason)


def _by_rules(file: File, asks: Sequence[Ask]) -> Decision:
    if not asks:
        return Decision(file=file, kept=True, rule="default", reason="no rule asks for its removal")
    last = asks[-1]
    return Decision(file=file, kept=False, rule=last.rule.name, reason=last.rule.reason, pattern=last.pattern)


def _keep_file_lists(decided: dict[str, Decision], texts: Texts) -> None:
    """Keep RECORD and its kin where code that stays asks which files distributions installed."""
    lists = [
        decision
        for path, decision in decided.items()
        if not decision.kept
        and decision.rule == "dist-info"
        and decision.reason == Metadata.FOR_INSTALLERS.value
        and path.rpartition("/")[2] in FILE_LISTS
    ]
    if not lists:
        return
    for decision in tuple(decided.values()):
        file = decision.file
        if decision.kept and is_source(file) and reads_file_lists(file.distribution, texts.of(file)):
            reason = f"{file.path} asks which files are installed"
            for entry in lists:
                decided[entry.file.path] = Decision(file=entry.file, kept=True, rule="dist-info", reason=reason)
            return


def _leave_data_out(decided: dict[str, Decision], settings: SlimSettings, texts: Texts) -> None:
    """Remove the data of libraries that the project does without, but for what its own patterns keep."""
    if not settings.data:
        return
    from hatch_lambda.stages.slim.service_data import select

    kept = [decision.file for decision in decided.values() if decision.kept]
    for selection in select(settings.data.items(), kept, texts):
        for file in kept:
            if (name := selection.library.item(file)) is not None and decided[file.path].rule != "patterns":
                stays, reason = selection.judge(name)
                decided[file.path] = Decision(
                    file=file, kept=stays, rule="service-data", reason=reason, unsure=selection.unsure
                )


class Asking(Struct, frozen=True, kw_only=True):
    """The rules, and what of the tree they have to know."""

    rules: tuple[Rule, ...]
    folders: frozenset[tuple[str, str]]
    """The folders that hold what a rule demands, each after the rule's name."""
    paths: frozenset[str]
    copies: Mapping[str, tuple[str, ...]]
    """The paths of a shared library with the same content in the same folder, for each of them."""

    @classmethod
    def of(cls, tree: Tree, rules: tuple[Rule, ...]) -> Asking:
        """Look at *tree* once for all of the *rules*."""
        return cls(
            rules=rules,
            folders=folders_that_hold(tree, rules),
            paths=frozenset(file.path for file in tree) if any(rule.beside for rule in rules) else frozenset(),
            copies=_copies(tree) if any(rule.copies for rule in rules) else {},
        )

    def about(self, file: File, *, metadata: bool) -> tuple[Ask, ...]:
        """Return what the rules ask for *file*, which is *metadata* or is not."""
        return tuple(ask for rule in self.rules if rule.metadata is metadata and (ask := self._ask(rule, file)))

    def _ask(self, rule: Rule, file: File) -> Ask | None:
        if not rule.may_ask(file) or (pattern := rule.match(file)) is None:
            return None
        found = rule.folder(file.path)
        if rule.holds and (found is None or (rule.name, found[0]) not in self.folders):
            return None
        if rule.beside and posixpath.splitext(file.path)[0] + rule.beside not in self.paths:
            return None
        if rule.copies and file.path not in self.copies:
            return None
        copies = self.copies.get(file.path, ())
        return Ask(rule=rule, pattern=pattern, folder=found[0] if found else None, copies=copies)


def _copies(tree: Iterable[File]) -> dict[str, tuple[str, ...]]:
    """Find the shared libraries that have copies of themselves beside them, as wheels have for want of links."""
    alike: dict[tuple[str, str | None, int], list[File]] = defaultdict(list)
    for file in tree:
        folder, _, name = file.path.rpartition("/")
        if name.startswith("lib") and ".so" in name and not file.project:
            alike[folder, file.distribution, file.size].append(file)
    found: dict[str, tuple[str, ...]] = {}
    for files in alike.values():
        if len(files) > 1 and begins_with(files[0], (ELF_MAGIC,)):
            same: dict[bytes, list[str]] = defaultdict(list)
            for file in files:
                same[hashlib.sha256(file.source.read_bytes()).digest()].append(file.path)
            found |= {path: tuple(paths) for paths in same.values() if len(paths) > 1 for path in paths}
    return found
