"""What a package is built for: runtimes, architectures, their markers, tags and quotas.

Everything here describes the *target*. Nothing asks the host what it is.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date  # noqa: TC003 - a field of a Struct
from enum import StrEnum
from functools import cache, cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from hatch_lambda.core.codec import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.markers import Environment
    from packaging.specifiers import SpecifierSet
    from packaging.tags import Tag


UNZIPPED_QUOTA = 262_144_000
"""Bytes that a function with all its layers may take unzipped (250 MiB; AWS, "Lambda quotas")."""

DIRECT_UPLOAD_QUOTA = 50_000_000
"""Bytes that a zip may have to be uploaded without S3 (50 MB; AWS, "Lambda quotas")."""

DEFAULT_STORAGE, LARGEST_STORAGE = 512, 10_240
"""MB that ``/tmp`` has unless the function asks for more, and at most (AWS, "Lambda quotas")."""

_OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""The lowest minor version of glibc 2 that PEP 600 names for each machine."""


class Architecture(StrEnum):
    """A Lambda architecture, by the name that AWS gives it."""

    X86_64 = "x86_64"
    ARM64 = "arm64"

    @property
    def machine(self) -> str:
        """The name that ELF, manylinux and ``platform.machine()`` give it."""
        return "aarch64" if self is Architecture.ARM64 else "x86_64"


class System(Struct, frozen=True, forbid_unknown_fields=True):
    """The Amazon Linux below some runtimes, as ``runtimes.toml`` describes it."""

    name: str
    versions: dict[str, tuple[int, ...]]
    """The highest version of each family of symbols."""

    def __post_init__(self) -> None:
        """Check that wheels can be chosen by its glibc; raises ValueError."""
        if len(self.versions.get("GLIBC", ())) != len(("major", "minor")):
            raise ValueError("`versions` needs `GLIBC`, of two numbers")


class Runtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A Lambda runtime, as ``runtimes.toml`` describes it."""

    name: Annotated[str, Meta(pattern=r"\Apython3\.\d+\Z")]
    python: Annotated[str, Meta(pattern=r"\A3\.\d+\.\d+\Z")]
    """A recent patch release of its interpreter, for ``python_full_version`` in markers."""
    bytecode_magic: Annotated[int, Meta(ge=0, le=0xFFFF)]
    """The first two bytes of its bytecode, as a little-endian number."""
    amazon_linux: str
    end_of_support: date

    def __post_init__(self) -> None:
        """Check that its name is that of its interpreter; raises ValueError."""
        if self.python.rpartition(".")[0] != self.version:
            raise ValueError(f"`python` is {self.python}, which is not {self.name}")

    @property
    def system(self) -> System:
        """What it runs on."""
        return next(system for system in _known().system if system.name == self.amazon_linux)

    @property
    def glibc(self) -> tuple[int, int]:
        """The version of its C library."""
        major, minor = self.system.versions["GLIBC"]
        return major, minor

    @property
    def python_version(self) -> tuple[int, int]:
        """The major and minor version of its interpreter."""
        major, minor, *_ = self.python.split(".")
        return int(major), int(minor)

    @property
    def version(self) -> str:
        """The same as one says it: ``3.13``."""
        return self.name.removeprefix("python")


class Runtimes(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``runtimes.toml``."""

    runtime: tuple[Runtime, ...]
    system: tuple[System, ...]

    def __post_init__(self) -> None:
        """Check what entries need of one another; raises ValueError."""
        systems = {system.name for system in self.system}
        for runtime in self.runtime:
            if runtime.amazon_linux not in systems:
                raise ValueError(f"{runtime.name}: no [[system]] has the name {runtime.amazon_linux!r}")
        for before, runtime in pairwise(self.runtime):
            if runtime.python_version <= before.python_version:
                raise ValueError(f"{runtime.name} stands after {before.name}, which is not older")


@cache
def _known() -> Runtimes:
    return load("config/runtimes.toml", Runtimes)


@cache
def runtimes() -> dict[str, Runtime]:
    """Return every known runtime by name, oldest first."""
    return {runtime.name: runtime for runtime in _known().runtime}


def highest_runtime(requires_python: SpecifierSet | None) -> Runtime | None:
    """Return the newest runtime whose interpreter *requires_python* allows, or None."""
    for runtime in reversed(runtimes().values()):
        if requires_python is None or requires_python.contains(runtime.python):
            return runtime
    return None


class Target(Struct, frozen=True, kw_only=True, dict=True):
    """A runtime on an architecture: all that the choice of a file may depend on."""

    runtime: Runtime
    architecture: Architecture

    def __str__(self) -> str:
        return f"{self.runtime.name}-{self.architecture.value}"

    @cached_property
    def markers(self) -> Environment:
        """The marker environment (PEP 508) of an interpreter on this target."""
        major, minor = self.runtime.python_version
        return {
            "implementation_name": "cpython",
            "implementation_version": self.runtime.python,
            "os_name": "posix",
            "platform_machine": self.architecture.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.runtime.python,
            "python_version": f"{major}.{minor}",
            "sys_platform": "linux",
        }

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """The wheel tags that this target accepts, best first (PEP 425, PEP 600)."""
        from packaging.tags import compatible_tags, cpython_tags

        version = self.runtime.python_version
        interpreter = f"cp{version[0]}{version[1]}"
        platforms = list(self._platforms())
        return (
            *cpython_tags(version, abis=[interpreter], platforms=platforms),
            *compatible_tags(version, interpreter, platforms),
        )

    def _platforms(self) -> Iterator[str]:
        machine = self.architecture.machine
        legacy = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
        for minor in range(self.runtime.glibc[1], _OLDEST_GLIBC[machine] - 1, -1):
            yield f"manylinux_2_{minor}_{machine}"
            if minor in legacy:
                yield f"{legacy[minor]}_{machine}"
        yield f"linux_{machine}"


_GLIBC = re.compile(r"(?:many)?linux(?:1|2010|2014|_2_\d+)?_(x86_64|aarch64)")
_INTERPRETER = re.compile(r"cp3(\d+)")


_OUR_NAME = re.compile(r"-(python3\.\d+)-(x86_64|arm64)(?:-layer)?\.zip")
_SITE = re.compile(r"(?:.*/)?lib/(python3\.\d+)/site-packages")
_MODULE = re.compile(r"\.cpython-3(\d+)-(x86_64|aarch64)-linux-gnu\.so$")
_BYTECODE = re.compile(r"\.cpython-3(\d+)(?:\.opt-\w+)?\.pyc$")


class TargetHint(Struct, frozen=True, kw_only=True):
    """What a package seems to be for; None where every runtime or architecture will do, or nothing tells."""

    runtime: str | None = None
    architecture: str | None = None

    def __or__(self, other: TargetHint) -> TargetHint:
        """Return it, with *other* in place of what it does not know."""
        return TargetHint(runtime=self.runtime or other.runtime, architecture=self.architecture or other.architecture)

    @classmethod
    def common(cls, targets: Iterable[TargetHint]) -> TargetHint:
        """Return what those of *targets* that know something agree on."""
        every = list(targets)
        return cls(
            runtime=_only({target.runtime for target in every}),
            architecture=_only({target.architecture for target in every}),
        )


def guess_target(
    location: str = "",
    *,
    tags: Mapping[str, frozenset[Tag]] | None = None,
    paths: Iterable[str] = (),
    machines: Iterable[str] = (),
) -> TargetHint:
    """Return what a package is for, by the surest of what is known of it.

    That is its *location* (our name for a zip, the folder of one Python's modules), then the *tags* of its
    distributions, the *paths* of its compiled files, and the *machines* of its objects, as ELF calls them: what most
    of them are for, and of equals the first by name.
    """
    return _by_location(location) | _by_tags(tags or {}) | _by_paths(paths) | _by_machines(machines)


def _by_location(location: str) -> TargetHint:
    if named := _OUR_NAME.search(location):
        return TargetHint(runtime=named[1], architecture=named[2])
    site = _SITE.fullmatch(location)
    return TargetHint(runtime=site[1] if site else None)


def _by_tags(tags: Mapping[str, frozenset[Tag]]) -> TargetHint:
    return TargetHint(
        runtime=_most(Counter(name for found in tags.values() for name in runtimes_of(found))),
        architecture=_most(Counter(name for found in tags.values() for name in architectures_of(found))),
    )


def _by_paths(paths: Iterable[str]) -> TargetHint:
    """Ask bytecode only where no module tells: another version may be beside the sources."""
    names = list(paths)
    modules = [match for name in names if (match := _MODULE.search(name))]
    versions = modules or [match for name in names if (match := _BYTECODE.search(name))]
    return TargetHint(
        runtime=_most(Counter(f"python3.{match[1]}" for match in versions)),
        architecture=_by_machines(match[2] for match in modules).architecture,
    )


def _by_machines(machines: Iterable[str]) -> TargetHint:
    names = {architecture.machine: architecture.value for architecture in Architecture}
    return TargetHint(architecture=_most(Counter(names[machine] for machine in machines if machine in names)))


def _most(counted: Counter[str]) -> str | None:
    return max(sorted(counted), key=counted.__getitem__, default=None)


def _only(names: set[str | None]) -> str | None:
    known = names - {None}
    return known.pop() if len(known) == 1 else None


def architectures_of(tags: frozenset[Tag]) -> set[str]:
    """Return the architectures that *tags* name, as AWS calls them: those of Linux with glibc only."""
    machines = {match[1] for tag in tags if (match := _GLIBC.fullmatch(tag.platform))}
    return {architecture.value for architecture in Architecture if architecture.machine in machines}


def runtimes_of(tags: frozenset[Tag]) -> set[str]:
    """Return the runtimes to which *tags* bind a distribution: none if it has the stable ABI or no ABI."""
    if any(tag.abi in {"none", "abi3"} for tag in tags):
        return set()
    minors = {match[1] for tag in tags if (match := _INTERPRETER.fullmatch(tag.interpreter))}
    return {f"python3.{minor}" for minor in minors}
