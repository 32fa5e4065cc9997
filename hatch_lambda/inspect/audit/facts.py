"""Facts about the files of a package: collected once, while they lie unpacked, and judged at every build."""

from __future__ import annotations

import re
from collections import defaultdict
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, cast

from msgspec import Struct, field

from hatch_lambda.core.elf.linkage import MAGIC, Linkage, linkage
from hatch_lambda.core.source.imports import imports, imports_by_name, metadata_uses, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from packaging.markers import Environment

    from hatch_lambda.core.model import File, Tree


_HEAD = 16
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_FAT, _MOST_ARCHITECTURES = b"\xca\xfe\xba\xbe", 40
"""A Mach-O file for several machines; a Java class begins alike, and its version is above that."""
_WINDOWS = (".pyd", ".dll", ".exe")
_DIST_INFO = re.compile(r"(?:.*/)?([^/]+)\.(?:dist-info|egg-info)/([^/]+)")
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


class Ask(Struct, frozen=True, kw_only=True):
    """A module that asks for a distribution's metadata and cannot do without."""

    path: str
    distribution: str
    """As written; nothing for its own."""


class Facts(Struct, frozen=True, kw_only=True):
    """All that judging needs to know of the content of files. The distribution ``""`` is the project."""

    objects: tuple[Object, ...] = ()
    strangers: tuple[tuple[str, str], ...] = ()
    """Binaries that are not for Linux, each with its system."""
    bytecode: tuple[Bytecode, ...] = ()
    asks: tuple[Ask, ...] = ()
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
        return Facts(
            objects=self.objects + other.objects,
            strangers=self.strangers + other.strangers,
            bytecode=self.bytecode + other.bytecode,
            asks=self.asks + other.asks,
            imports=_joined(self.imports, other.imports),
            requires=_joined(self.requires, other.requires),
            plugins=self.plugins + other.plugins,
            keys=self.keys + other.keys,
        )


def collect(tree: Tree, markers: Environment) -> Facts:
    """Read every file of *tree* once; *markers* are the target's."""
    collector = _Collector(markers)
    for file in tree:
        collector.add(file)
    return collector.facts(tree)


def _between(imports: Mapping[str, set[str]], tree: Tree) -> dict[str, tuple[str, ...]]:
    """Return *imports* without those of the standard library and of a distribution's own modules.

    The project's stay as they are: what it may import can be in another tree.
    """
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for file in tree:
        parts = [part.partition(".")[0] for part in file.parts]
        for name in parts[:1] if parts[0] != "python" else parts:
            owners[name].add(file.distribution or "")
    return {
        name: tuple(sorted(module for module in modules if not name or owners[module.partition(".")[0]] - {name}))
        for name, modules in sorted(imports.items())
    }


class _Collector:
    """The facts so far."""

    def __init__(self, markers: Environment) -> None:
        self._markers: dict[str, str | AbstractSet[str]] = {**cast("dict[str, str]", markers), "extra": ""}
        self._objects: list[Object] = []
        self._strangers: list[tuple[str, str]] = []
        self._bytecode: list[Bytecode] = []
        self._asks: list[Ask] = []
        self._imports: dict[str, set[str]] = {}
        self._requires: dict[str, tuple[str, ...]] = {}
        self._plugins: list[str] = []
        self._keys: list[str] = []

    def add(self, file: File) -> None:
        if file.path.endswith(".py"):
            self._add_source(file, file.source.read_bytes())
        elif match := _DIST_INFO.fullmatch(file.path):
            self._add_metadata(file, match[2])
        else:
            self._add_other(file)

    def facts(self, tree: Tree) -> Facts:
        return Facts(
            objects=tuple(self._objects),
            strangers=tuple(self._strangers),
            bytecode=tuple(self._bytecode),
            asks=tuple(self._asks),
            imports=_between(self._imports, tree),
            requires=self._requires,
            plugins=tuple(sorted(set(self._plugins))),
            keys=tuple(self._keys),
        )

    def _add_source(self, file: File, text: bytes) -> None:
        modules = self._imports.setdefault(file.distribution or "", set())
        modules.update(name for name in (*imports(text), *imports_by_name(text)) if not name.startswith("."))
        if not file.distribution:
            modules.update(name.module for name in quoted(text))
        self._asks += (Ask(path=file.path, distribution=name) for name in metadata_uses(text))

    def _add_metadata(self, file: File, name: str) -> None:
        if file.distribution is None:
            return
        if name == "METADATA":
            self._requires[file.distribution] = tuple(self._required(_text(file)))
        elif name == "entry_points.txt" and not _COMMANDS.issuperset(_GROUPS.findall(_text(file))):
            self._plugins.append(file.distribution)

    def _required(self, metadata: str) -> list[str]:
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        names = set()
        for text in _REQUIRES.findall(metadata.partition("\n\n")[0].replace("\r", "")):
            try:
                requirement = Requirement(text)
                applies = requirement.marker is None or requirement.marker.evaluate(self._markers)
            except (ValueError, RecursionError):  # no requirement, or one that asks what nobody knows
                continue
            if applies:
                names.add(canonicalize_name(requirement.name))
        return sorted(names)

    def _add_other(self, file: File) -> None:
        with file.source.open("rb") as stream:
            head = stream.read(_HEAD)
            if head.startswith(MAGIC):
                self._objects += _object(file, memoryview(mmap(stream.fileno(), 0, access=ACCESS_READ)))
            elif file.path.endswith(".pyc"):
                flags = int.from_bytes(head[4:8], "little")
                self._bytecode.append(Bytecode(path=file.path, magic=int.from_bytes(head[:2], "little"), flags=flags))
            elif system := _system(head, file.path):
                self._strangers.append((file.path, system))
            elif not file.distribution and file.path.endswith(_KEYS) and b"PRIVATE KEY-----" in head + stream.read():
                self._keys.append(file.path)


def _object(file: File, data: memoryview) -> list[Object]:
    try:
        found = linkage(data, file.parts[-1])
    except ValueError as error:
        return [Object(path=file.path, linkage=None, problem=str(error))]
    return [Object(path=file.path, linkage=found)] if found is not None else []


def _system(head: bytes, path: str) -> str | None:
    if head.startswith(_MACH_O) or (
        head.startswith(_FAT) and int.from_bytes(head[4:8], "big") < _MOST_ARCHITECTURES and not path.endswith(".class")
    ):
        return "macOS"
    return "Windows" if head.startswith(b"MZ") and path.endswith(_WINDOWS) else None


def _text(file: File) -> str:
    return file.source.read_bytes().decode("utf-8", "replace")


def _joined(first: Mapping[str, tuple[str, ...]], second: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: (*first.get(name, ()), *second.get(name, ())) for name in {**first, **second}}
