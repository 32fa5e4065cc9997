"""What the audit works on: the package, its layers, what it is told, and what it answers."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda.config.target import TargetHint
from hatch_lambda.core.cache import Cache
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import VerificationError
from hatch_lambda.inspect.audit.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.config.target import Architecture, Runtime
    from hatch_lambda.core.model import Tree
    from hatch_lambda.stages.archive.read import ReadEntry


_SHOWN = 3


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise VerificationError that tells the errors among *findings*, if there is one: the first few of each kind."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return
    by_code: dict[str, list[Finding]] = {}
    for finding in errors:
        by_code.setdefault(finding.code, []).append(finding)
    lines = []
    for code, found in by_code.items():
        lines += [f"{code}: {f'{one.path}: ' if one.path else ''}{one.message}" for one in found[:_SHOWN]]
        if rest := found[_SHOWN:]:
            lines.append(f"{code}: and {len(rest)} more")
    raise VerificationError(
        "\n".join(lines), hint="; ".join(dict.fromkeys(finding.hint for finding in errors if finding.hint)) or None
    )


class Layer(Struct, frozen=True, kw_only=True):
    """What is in one."""

    paths: frozenset[str]
    size: int
    """Bytes unzipped."""


_SITE = re.compile(r"python/(?:lib/python3\.\d+/site-packages/)?")


class Unused(Struct, frozen=True, kw_only=True, rename={"size": "bytes"}):
    """A distribution that no import from the project reaches."""

    name: str
    size: int
    required_by: tuple[str, ...]


class Subject(Struct, frozen=True, kw_only=True, dict=True):
    """A package, the facts about its files, and its target, as far as it is known."""

    tree: Tree
    facts: Facts = field(default_factory=Facts)
    runtime: Runtime | None = None
    architecture: Architecture | None = None
    handler: str | None = None
    """What Lambda is to call."""
    nested: bool = False
    """Whether some of the files are nested, so that their size does not matter."""
    layers: tuple[Layer, ...] = ()
    hint: TargetHint = field(default_factory=TargetHint)
    """What of the target is known where *runtime* or *architecture* is None."""
    entries: tuple[ReadEntry, ...] = ()
    """What the zip, or the system, says of its files."""
    unused: tuple[Unused, ...] = ()
    """What the audit found of that before it runs the checks."""
    zipped: int | None = None
    """Bytes of the zip, where there is one."""
    cache: Cache = field(default_factory=lambda: Cache(root=None))
    """Where checks keep what they need not find out again."""
    syntax: tuple[Finding, ...] | None = None
    """What the runtime's own interpreter found when it compiled the project's modules; None where it did not."""

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of all its files."""
        return frozenset(file.path for file in self.tree)

    @cached_property
    def elsewhere(self) -> frozenset[str]:
        """Paths of the files that layers add, as they are below ``/opt``."""
        return frozenset().union(*(layer.paths for layer in self.layers))

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


_IN_LAYERS = frozenset({"python", "lib", "bin", "share", "include", "etc", "licenses"})


def read_layers(zips: Iterable[str | Path]) -> tuple[Layer, ...]:
    """Read the directories of *zips*. Raises ArchiveError."""
    from hatch_lambda.stages.archive.read import entries

    layers = []
    for path in zips:
        files = [entry for entry in entries(Path(path)) if not entry.is_directory]
        layers.append(Layer(paths=frozenset(file.path for file in files), size=sum(file.size for file in files)))
    return tuple(layers)


class Audit(Struct, frozen=True, kw_only=True):
    """What came of it."""

    findings: tuple[Finding, ...] = ()
    unused: tuple[Unused, ...] = ()
    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each distribution requires on the target."""


def demote(findings: Iterable[Finding], ignore: Iterable[str]) -> tuple[Finding, ...]:
    """Make notes of *findings* whose codes are to be ignored."""
    ignored = frozenset(ignore)
    return tuple(
        replace(finding, severity=Severity.NOTE, hint="ignored by verify-ignore")
        if finding.code in ignored
        else finding
        for finding in findings
    )
