"""Which rules ask for which files, as far as the files' names and their neighbours tell."""

from __future__ import annotations

import hashlib
import posixpath
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.slimming.code import ELF_MAGIC, begins_with
from hatch_lambda.slimming.conditions import Ask
from hatch_lambda.slimming.rules import folders_that_hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_lambda.model import File, Tree
    from hatch_lambda.slimming.rules import Rule


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
