"""What is audited, and against what."""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from hatch_lambda.data import load
from hatch_lambda.verify.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_lambda.model import Finding, Tree
    from hatch_lambda.target import Architecture, Runtime

_SITE = re.compile(r"python/(?:lib/python3\.\d+/site-packages/)?")


class Subject(Struct, frozen=True, kw_only=True, dict=True):
    """A package, the facts about its files, and its target, as far as it is known."""

    tree: Tree
    facts: Facts = field(default_factory=Facts)
    runtime: Runtime | None = None
    architecture: Architecture | None = None
    elsewhere: frozenset[str] = frozenset()
    """Paths of the files that layers add, as they are below ``/opt``."""
    syntax: tuple[Finding, ...] | None = None
    """What the runtime's own interpreter found when it compiled the project's modules; None where it did not."""

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of all its files."""
        return frozenset(file.path for file in self.tree)

    @cached_property
    def tops(self) -> frozenset[str]:
        """The names at its top."""
        return frozenset(path.partition("/")[0] for path in self.paths)

    @cached_property
    def is_layer(self) -> bool:
        """Whether its modules are below ``python/``, where a layer has them."""
        return "python" in self.tops and "python/__init__.py" not in self.paths and self.tops <= _IN_LAYERS

    def module_path(self, path: str) -> str:
        """Return *path* as an import sees it: from the folder on ``sys.path``."""
        match = _SITE.match(path) if self.is_layer else None
        return path[match.end() :] if match else path

    @cached_property
    def system(self) -> Mapping[str, tuple[int, ...]]:
        """The highest version of each family of symbols that the runtime's system has."""
        if self.runtime is None:
            return {}
        versions = next(
            entry["versions"] for entry in platform()["system"] if entry["name"] == self.runtime.amazon_linux
        )
        return {family: tuple(map(int, version.split("."))) for family, version in versions.items()}


_IN_LAYERS = frozenset({"python", "lib", "bin", "share", "include", "etc", "licenses"})


@cache
def platform() -> dict[str, Any]:
    """Return ``data/amazon_linux.toml``."""
    return load("amazon_linux.toml")
