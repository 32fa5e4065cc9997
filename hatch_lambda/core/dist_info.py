"""What is read of a distribution's ``*.dist-info``: RECORD, WHEEL, top_level.txt, and whose a file is."""

from __future__ import annotations

import base64
import hashlib
import io
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.tags import Tag


_FOLDER = re.compile(
    r"(?P<site>(?:.*?/)??)(?P<folder>(?P<name>[^/]+?)(?:-(?P<version>v?\d[^/-]*)(?:-[^/]*)?|-[^/-]*)?"
    r"\.(?:dist|egg)-info)/(?P<rest>.+)",
    re.DOTALL,
)


class DistInfoPath(Struct, frozen=True, kw_only=True):
    """The path of a file in the metadata folder of a distribution, outermost first.

    ``python/Foo_Bar-1.0.dist-info/licenses/LICENSE`` has the site ``python/``, the name ``Foo_Bar``, the version
    ``1.0`` and the rest ``licenses/LICENSE``.
    """

    site: str
    """The folder of its distribution's modules: nothing, or with ``/`` at the end."""
    name: str
    """As written."""
    version: str | None
    rest: str

    @classmethod
    def parse(cls, path: str) -> DistInfoPath | None:
        """Return what *path* says; None for a file elsewhere."""
        if "-info/" not in path or (match := _FOLDER.fullmatch(path)) is None:
            return None
        return cls(site=match["site"], name=match["name"], version=match["version"], rest=match["rest"])

    @property
    def distribution(self) -> str:
        """The normalized name."""
        return canonicalize_name(self.name)


def at_top(path: str, rest: str) -> DistInfoPath | None:
    """Return what *path* says, if it is *rest* in a metadata folder at the top."""
    info = DistInfoPath.parse(path)
    return info if info is not None and (info.site, info.rest) == ("", rest) else None


class Row(Struct, frozen=True):
    """One line of a RECORD."""

    path: str
    digest: str
    """``sha256=…``, or nothing."""


def read(record: Path) -> list[Row]:
    """Read a RECORD file. Raises InstallError for one that is none."""
    import csv

    try:
        text = record.read_bytes().decode("utf-8", errors="surrogateescape")
        return [Row(row[0], row[1] if len(row) > 1 else "") for row in csv.reader(io.StringIO(text)) if row]
    except (OSError, csv.Error) as error:
        raise InstallError(
            f"{record.parent.name}/{record.name}: not a readable list of files: {error}",
            hint="install the distribution anew",
        ) from error


def digest(content: bytes) -> str:
    """Return the digest of *content* as a RECORD spells it."""
    encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={encoded.decode('ascii')}"


def renew(tree: Tree, workspace: Path) -> Tree:
    """Return *tree* with every RECORD that is left in it listing what is really there.

    Files have gone and changed since the installer wrote it.
    """
    records = {info.distribution: file for file in tree if (info := at_top(file.path, "RECORD")) is not None}
    if not records:
        return tree
    import csv

    rows: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for file in tree:
        if file.distribution in records and at_top(file.path, "RECORD") is None:
            rows[file.distribution].append((file.path, digest(file.source.read_bytes()), str(file.size)))
    renewed = {}
    folder = workspace / "records"
    folder.mkdir(exist_ok=True)
    for number, (name, file) in enumerate(records.items()):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([*rows[name], (file.path, "", "")])
        source = folder / str(number)
        source.write_bytes(text.getvalue().encode("utf-8", errors="surrogateescape"))
        renewed[file.path] = replace(file, source=source, size=source.stat().st_size)
    return Tree(tuple(renewed.get(file.path, file) for file in tree))


def read_tags(files: Iterable[File]) -> dict[str, frozenset[Tag]]:
    """Return the tags of each distribution that has a ``dist-info/WHEEL`` among *files*.

    Source: "Binary distribution format", the ``Tag`` lines of ``WHEEL``. What cannot be read as a tag counts
    as none.
    """
    return {file.distribution or file.parts[0].removesuffix(".dist-info"): tags for file, tags in _read_wheels(files)}


def telling_tags(files: Iterable[File]) -> frozenset[str]:
    """Return the paths of those ``dist-info/WHEEL`` among *files* that tell a target: not every one will do."""
    return frozenset(
        file.path
        for file, tags in _read_wheels(files)
        if any(tag.platform != "any" or tag.abi not in {"none", "abi3"} for tag in tags)
    )


def _read_wheels(files: Iterable[File]) -> Iterator[tuple[File, frozenset[Tag]]]:
    for file in files:
        if at_top(file.path, "WHEEL") is not None:
            text = file.source.read_text(encoding="utf-8", errors="replace")
            lines = [line.partition(":") for line in text.splitlines()]
            values = [value.strip() for key, _, value in lines if key.strip().lower() == "tag"]
            yield file, frozenset(tag for value in values if value.count("-") == 2 for tag in parse_tag(value))  # noqa: PLR2004


_IMPORT_NAME = re.compile(r"^Import-Name:[ \t]*([\w.]+)", re.MULTILINE)
_DEEPEST_NAMESPACE = 3


def attribute_files(files: Iterable[File]) -> Tree:
    """Return *files* as a tree that says whose each is.

    A RECORD says it, else the metadata folder that it lies in, else what the metadata calls the modules, else the name
    of the distribution: ``google/cloud/storage`` is google-cloud-storage's where that is installed, too. Metadata
    inside of a package is of what it vendors, and that belongs to who has the package.
    """
    tree = Tree.of(files)
    described = _described(tree)
    recorded: dict[str, str] = {}
    for file, info in described:
        if info.rest == "RECORD":
            for row in _rows(file):
                recorded.setdefault(posixpath.normpath(posixpath.join(info.site, row)), info.distribution)
    recorded |= {file.path: info.distribution for file, info in described}
    guesses = _Guesses(described)
    owned = (replace(file, distribution=recorded.get(file.path) or guesses.owner(file.parts)) for file in tree)
    return Tree(tuple(owned))


def _described(tree: Tree) -> list[tuple[File, DistInfoPath]]:
    """Return the files in the metadata folders beside modules, not inside of packages."""
    packages = {
        file.path.rpartition("/")[0] + "/" for file in tree if file.parts[-1] in {"__init__.py", "__init__.pyc"}
    }
    found = ((file, info) for file in tree if (info := DistInfoPath.parse(file.path)) is not None)
    return [
        (file, info)
        for file, info in found
        if not any(info.site[: at + 1] in packages for at, letter in enumerate(info.site) if letter == "/")
    ]


class _Guesses:
    """Whose files are that no RECORD lists, by what the distributions call their modules."""

    def __init__(self, described: Iterable[tuple[File, DistInfoPath]]) -> None:
        self._names: set[str] = set()
        self._tops: defaultdict[str, set[str]] = defaultdict(set)
        self._sites: set[tuple[str, ...]] = set()
        for file, info in described:
            self._names.add(info.distribution)
            self._sites.add(tuple(info.site.split("/")[:-1]))
            for name in _module_names(file, info.rest):
                self._tops[name.lower()].add(info.distribution)

    def owner(self, parts: tuple[str, ...]) -> str | None:
        """Return who has the file at *parts*: the deepest folder tells, and a name that two claim tells nothing."""
        site = max((site for site in self._sites if parts[: len(site)] == site), key=len, default=())
        names = _module_parts(parts[len(site) :])
        for depth in range(min(_DEEPEST_NAMESPACE, len(names)), 0, -1):
            claims = self._tops.get(".".join(names[:depth]).lower(), set())
            if len(claims) == 1:
                return next(iter(claims))
            if (name := canonicalize_name("-".join(names[:depth]))) in self._names:
                return name
        return None


def _module_parts(parts: tuple[str, ...]) -> list[str]:
    """Return *parts* without endings: ``a/b.abi3.so`` is ``a`` and ``b``, ``a.libs/x.so`` ``a`` and ``x``."""
    *folders, file = parts
    return [*(folder.removesuffix(".libs").removesuffix(".data") for folder in folders), file.partition(".")[0]]


def _module_names(file: File, rest: str) -> list[str]:
    if rest == "METADATA":
        head = file.source.read_bytes().partition(b"\n\n")[0]
        return _IMPORT_NAME.findall(head.decode("utf-8", "replace"))
    return file.source.read_bytes().decode("utf-8", "replace").split() if rest == "top_level.txt" else []


def _rows(record: File) -> list[str]:
    import csv

    text = record.source.read_bytes().decode("utf-8", errors="replace")
    try:
        return [row[0] for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error:  # it is no list of files, which is nobody's harm
        return []
