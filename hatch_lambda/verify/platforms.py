"""The wheels' own word for what they run on: it tells the target of a folder, and what does not fit it."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.model import Finding, Severity
from hatch_lambda.target import Architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.tags import Tag

_GLIBC = re.compile(r"(?:many)?linux(?:1|2010|2014|_2_\d+)?_(x86_64|aarch64)")
_INTERPRETER = re.compile(r"cp3(\d+)")
_SHOWN = 5


class Told(Struct, frozen=True, kw_only=True):
    """What a folder is for; None where every runtime or architecture will do, or nothing tells."""

    runtime: str | None
    architecture: str | None

    @classmethod
    def common(cls, targets: Iterable[Told]) -> Told:
        """Return what those of *targets* that know something agree on."""
        every = list(targets)
        return cls(
            runtime=_only({target.runtime for target in every}),
            architecture=_only({target.architecture for target in every}),
        )


def tell_target(tags: Mapping[str, frozenset[Tag]]) -> Told:
    """Return the runtime and the architecture that most of the compiled distributions are for."""
    versions: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    for distribution in sorted(tags):
        versions.update(sorted(_runtimes(tags[distribution])))
        machines.update(sorted(_architectures(tags[distribution])))
    return Told(
        runtime=next((name for name, _ in versions.most_common(1)), None),
        architecture=next((name for name, _ in machines.most_common(1)), None),
    )


def check_platforms(tags: Mapping[str, frozenset[Tag]], target: Told) -> Iterator[Finding]:
    """Find distributions none of whose tags fits *target*: their modules cannot be imported there."""
    strangers = [f"{name} is for {why}" for name in sorted(tags) if (why := _stranger(tags[name], target)) is not None]
    if strangers:
        more = [f"and {len(strangers) - _SHOWN} more"] if len(strangers) > _SHOWN else []
        wanted = " on ".join(filter(None, (target.runtime, target.architecture))) or "Lambda"
        yield Finding(
            code="HL007",
            severity=Severity.WARNING,
            message=f"not for {wanted}: {'; '.join([*strangers[:_SHOWN], *more])}",
            hint="install again for one target: `--platform` and `--only-binary=:all:` of pip,"
            " `--python-platform` of uv; and `--python-version` of both",
        )


def _only(names: set[str | None]) -> str | None:
    known = names - {None}
    return known.pop() if len(known) == 1 else None


def _stranger(tags: frozenset[Tag], target: Told) -> str | None:
    """Return what a distribution is for, unless that is *target*, or everything."""
    compiled = [tag for tag in tags if tag.platform != "any"]
    if compiled and len(compiled) == len(tags):
        machines = _architectures(tags)
        if not machines or (target.architecture is not None and target.architecture not in machines):
            return ", ".join(sorted({tag.platform for tag in compiled}))
    versions = _runtimes(tags)
    if versions and target.runtime is not None and target.runtime not in versions:
        return ", ".join(sorted(versions))
    return None


def _architectures(tags: frozenset[Tag]) -> set[str]:
    """Return the architectures that *tags* name, as AWS calls them: those of Linux with glibc only."""
    machines = {match[1] for tag in tags if (match := _GLIBC.fullmatch(tag.platform))}
    return {architecture.value for architecture in Architecture if architecture.machine in machines}


def _runtimes(tags: frozenset[Tag]) -> set[str]:
    """Return the runtimes to which *tags* bind a distribution: none if it has the stable ABI or no ABI."""
    if any(tag.abi in {"none", "abi3"} for tag in tags):
        return set()
    minors = {match[1] for tag in tags if (match := _INTERPRETER.fullmatch(tag.interpreter))}
    return {f"python3.{minor}" for minor in minors}
