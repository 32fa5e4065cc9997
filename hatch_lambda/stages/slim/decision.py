"""The values of the slim stage: what is decided of a file, and the settings that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from hatch_lambda.stages.slim.rules import active_rules

if TYPE_CHECKING:
    from hatch_lambda.core.model import File
    from hatch_lambda.stages.slim.rules import Rule
    from hatch_lambda.stages.slim.service_data import Choice


class SlimPolicy(Struct, frozen=True, kw_only=True):
    """What the project wants to be removed."""

    patterns: tuple[str, ...] = ()
    """The project's own gitignore patterns: they have the last word about every file."""
    append_default_patterns: bool = True
    """Whether the default rules apply."""
    dist_info: Literal["minimal", "keep", "remove"] = "minimal"
    keep_dist_info: tuple[str, ...] = ()
    """Distributions, in any spelling, whose metadata stays (as under ``minimal``) with ``remove``."""
    scripts: bool = False
    """Whether the commands of dependencies, in ``bin/``, stay."""
    aggressive: bool = False
    """Whether the optional rules apply."""
    rules: tuple[tuple[str, bool], ...] = ()
    """Rules that are on or off by themselves."""
    data: tuple[tuple[str, Choice], ...] = ()
    """What stays of a library's data, by its key in ``services.toml``."""
    telling: frozenset[str] = frozenset()
    """Paths of the WHEEL files that tell for what a folder is, which may be slimmed again."""

    @property
    def active_rules(self) -> tuple[Rule, ...]:
        """The rules that apply, in their order."""
        return active_rules(default=self.append_default_patterns, aggressive=self.aggressive, chosen=dict(self.rules))


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a file stays, by which rule, and why."""

    file: File
    kept: bool
    rule: str
    reason: str
    pattern: str | None = None
    """The pattern that decided, where one did."""
    unsure: str | None = None
    """The path of code because of which nobody can tell whether the file is needed."""
