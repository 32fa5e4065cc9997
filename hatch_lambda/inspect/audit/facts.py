"""Facts about the files of a package: collected once, while they lie unpacked, and checked at every build.

A new fact is a FactCollector, and the field of Facts that it fills.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from enum import Enum
from functools import cached_property
from mmap import ACCESS_READ, mmap
from typing import IO, TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from msgspec import Struct, field

from hatch_lambda.core.dist_info import DistInfoPath
from hatch_lambda.core.elf.linkage import MAGIC, Linkage, linkage
from hatch_lambda.core.source.imports import imports, imports_by_name, metadata_uses, quoted

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from packaging.markers import Environment

    from hatch_lambda.core.model import File, Tree


T = TypeVar("T")

_HEAD = 16
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_FAT, _MOST_ARCHITECTURES = b"\xca\xfe\xba\xbe", 40
"""A Mach-O file for several machines; a Java class begins alike, and its version is above that."""
_WINDOWS = (".pyd", ".dll", ".exe")
_REQUIRES = re.compile(r"^Requires-Dist:(.*)$", re.MULTILINE)
_GROUPS = re.compile(r"^\s*\[([^\]]+)\]", re.MULTILINE)
_COMMANDS = {"console_scripts", "gui_scripts"}
_KEYS = (".pem", ".key")


class Object(Struct, frozen=True, kw_only=True):
    """An ELF object; one that cannot be read has a problem in place of its linkage."""

    path: str
    linkage: Linkage | None
    problem: str = ""


class Bytecode(Struct, frozen=True, kw_only=True):
    """What the head of a ``.pyc`` says (PEP 552)."""

    path: str
    magic: int
    flags: int


class MetadataUse(Struct, frozen=True, kw_only=True):
    """A module that asks for a distribution's metadata and cannot do without."""

    path: str
    distribution: str
    """As written; nothing for its own."""


class Facts(Struct, frozen=True, kw_only=True):
    """All that the checks need to know of the content of files. The distribution ``""`` is the project."""

    objects: tuple[Object, ...] = ()
    foreign_binaries: tuple[tuple[str, str], ...] = ()
    """Binaries that are not for Linux, each with its system."""
    bytecode: tuple[Bytecode, ...] = ()
    metadata_uses: tuple[MetadataUse, ...] = ()
    imports: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each distribution's modules import."""
    requires: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each distribution says that it needs on the target, without extras."""
    plugins: tuple[str, ...] = ()
    """Distributions that others find by their entry points."""
    keys: tuple[str, ...] = ()
    """Files with a private key that no distribution brought."""

    def __add__(self, other: Facts) -> Facts:
        """Add the facts about other files."""
        return Facts(**{name: _joined(getattr(self, name), getattr(other, name)) for name in Facts.__struct_fields__})


def _joined(first: Any, second: Any) -> Any:
    """Chain two tuples, or those under the same key of two tables."""
    if isinstance(first, tuple):
        return first + second
    return {name: (*first.get(name, ()), *second.get(name, ())) for name in {**first, **second}}


def collect(tree: Tree, markers: Environment) -> Facts:
    """Read every file of *tree* once; *markers* are the target's."""
    collectors = {name: collector(markers) for name, collector in COLLECTORS.items()}
    readers = {kind: [one for one in collectors.values() if one.reads is kind] for kind in Kind}
    for file in tree:
        with file.source.open("rb") as stream:
            content = Content(stream)
            for collector in readers[Kind.of(file)]:
                collector.add(file, content)
    return Facts(**{name: collector.result(tree) for name, collector in collectors.items()})


class Kind(Enum):
    """What a file is by its name."""

    SOURCE = 1
    METADATA = 2
    OTHER = 3

    @classmethod
    def of(cls, file: File) -> Kind:
        """Return what *file* is."""
        if file.path.endswith(".py"):
            return cls.SOURCE
        return cls.METADATA if DistInfoPath.parse(file.path) is not None else cls.OTHER


class Content:
    """What is in an open file, read no further than a collector asks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    @cached_property
    def head(self) -> bytes:
        """Its first bytes."""
        self._stream.seek(0)
        return self._stream.read(_HEAD)

    @cached_property
    def whole(self) -> bytes:
        """All of it."""
        self._stream.seek(0)
        return self._stream.read()

    @cached_property
    def text(self) -> str:
        """All of it, as text."""
        return self.whole.decode("utf-8", "replace")

    def mapped(self) -> memoryview:
        """Return all of it, of which only those pages are read that are looked at."""
        return memoryview(mmap(self._stream.fileno(), 0, access=ACCESS_READ))


class FactCollector(ABC, Generic[T]):
    """Collects one kind of fact about the files of a tree."""

    reads: ClassVar[Kind] = Kind.OTHER

    def __init__(self, markers: Environment) -> None:
        self.markers = markers

    @abstractmethod
    def add(self, file: File, content: Content) -> None:
        """Look at *file*, one of those that it reads."""

    @abstractmethod
    def result(self, tree: Tree) -> T:
        """Return the fact about all files of *tree*, which have been added."""


class _Listed(FactCollector[tuple[T, ...]]):
    """Collects a fact for each file that has one."""

    def __init__(self, markers: Environment) -> None:
        super().__init__(markers)
        self.found: list[T] = []

    def result(self, tree: Tree) -> tuple[T, ...]:  # noqa: ARG002 - the files have been added
        return tuple(self.found)


class _Objects(_Listed[Object]):
    def add(self, file: File, content: Content) -> None:
        if not content.head.startswith(MAGIC):
            return
        try:
            found = linkage(content.mapped(), file.parts[-1])
        except ValueError as error:
            self.found.append(Object(path=file.path, linkage=None, problem=str(error)))
        else:
            self.found += [Object(path=file.path, linkage=found)] if found is not None else []


class _ForeignBinaries(_Listed[tuple[str, str]]):
    def add(self, file: File, content: Content) -> None:
        if system := _system(content.head, file.path):
            self.found.append((file.path, system))


def _system(head: bytes, path: str) -> str | None:
    if head.startswith(_MACH_O) or (
        head.startswith(_FAT) and int.from_bytes(head[4:8], "big") < _MOST_ARCHITECTURES and not path.endswith(".class")
    ):
        return "macOS"
    return "Windows" if head.startswith(b"MZ") and path.endswith(_WINDOWS) else None


class _Bytecode(_Listed[Bytecode]):
    def add(self, file: File, content: Content) -> None:
        if file.path.endswith(".pyc"):
            magic, flags = (int.from_bytes(part, "little") for part in (content.head[:2], content.head[4:8]))
            self.found.append(Bytecode(path=file.path, magic=magic, flags=flags))


class _Keys(_Listed[str]):
    def add(self, file: File, content: Content) -> None:
        if not file.distribution and file.path.endswith(_KEYS) and b"PRIVATE KEY-----" in content.whole:
            self.found.append(file.path)


class _MetadataUses(_Listed[MetadataUse]):
    reads = Kind.SOURCE

    def add(self, file: File, content: Content) -> None:
        self.found += (MetadataUse(path=file.path, distribution=name) for name in metadata_uses(content.whole))


class _Imports(FactCollector[dict[str, tuple[str, ...]]]):
    """Leaves out those of the standard library and of a distribution's own modules.

    The project's stay as they are: what it may import can be in another tree.
    """

    reads = Kind.SOURCE

    def __init__(self, markers: Environment) -> None:
        super().__init__(markers)
        self._modules: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, file: File, content: Content) -> None:
        modules = self._modules[file.distribution or ""]
        text = content.whole
        modules.update(name for name in (*imports(text), *imports_by_name(text)) if not name.startswith("."))
        if not file.distribution:
            modules.update(name.module for name in quoted(text))

    def result(self, tree: Tree) -> dict[str, tuple[str, ...]]:
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for file in tree:
            parts = [part.partition(".")[0] for part in file.parts]
            for name in parts[:1] if parts[0] != "python" else parts:
                owners[name].add(file.distribution or "")
        return {
            name: tuple(sorted(module for module in modules if not name or owners[module.partition(".")[0]] - {name}))
            for name, modules in sorted(self._modules.items())
        }


class _Plugins(FactCollector[tuple[str, ...]]):
    reads = Kind.METADATA

    def __init__(self, markers: Environment) -> None:
        super().__init__(markers)
        self._found: set[str] = set()

    def add(self, file: File, content: Content) -> None:
        if (
            file.distribution
            and file.parts[-1] == "entry_points.txt"
            and not _COMMANDS.issuperset(_GROUPS.findall(content.text))
        ):
            self._found.add(file.distribution)

    def result(self, tree: Tree) -> tuple[str, ...]:  # noqa: ARG002 - the files have been added
        return tuple(sorted(self._found))


class _Requires(FactCollector[dict[str, tuple[str, ...]]]):
    reads = Kind.METADATA

    def __init__(self, markers: Environment) -> None:
        super().__init__(markers)
        self._environment: dict[str, str | AbstractSet[str]] = {**cast("dict[str, str]", markers), "extra": ""}
        self._found: dict[str, tuple[str, ...]] = {}

    def add(self, file: File, content: Content) -> None:
        if file.distribution and file.parts[-1] == "METADATA":
            self._found[file.distribution] = tuple(self._required(content.text))

    def result(self, tree: Tree) -> dict[str, tuple[str, ...]]:  # noqa: ARG002 - the files have been added
        return self._found

    def _required(self, metadata: str) -> list[str]:
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        names = set()
        for text in _REQUIRES.findall(metadata.partition("\n\n")[0].replace("\r", "")):
            try:
                requirement = Requirement(text)
                applies = requirement.marker is None or requirement.marker.evaluate(self._environment)
            except (ValueError, RecursionError):  # no requirement, or one that asks what nobody knows
                continue
            if applies:
                names.add(canonicalize_name(requirement.name))
        return sorted(names)


COLLECTORS: dict[str, type[FactCollector[Any]]] = {
    "objects": _Objects,
    "foreign_binaries": _ForeignBinaries,
    "bytecode": _Bytecode,
    "metadata_uses": _MetadataUses,
    "imports": _Imports,
    "requires": _Requires,
    "plugins": _Plugins,
    "keys": _Keys,
}
"""What fills each field of Facts."""
