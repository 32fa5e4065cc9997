"""What is read of a distribution's ``*.dist-info``: RECORD, WHEEL, top_level.txt, and whose a file is."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import InstallError

if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.tags import Tag


_FOLDER = re.compile(
    r"(?P<site>(?:.*?/)?)(?P<folder>(?P<name>[^/]+?)(?:-(?P<version>v?\d[^/-]*)(?:-[^/]*)?|-[^/-]*)?"
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


class Row(Struct, frozen=True):
    """One line of a RECORD."""

    path: str
    digest: str
    """``sha256=…``, or nothing."""


def distribution_of(dist_info: str) -> str:
    """Return the normalized name of the distribution whose metadata folder is called *dist_info*."""
    return canonicalize_name(dist_info.removesuffix(".dist-info").rsplit("-", 1)[0])


def read(record: Path) -> list[Row]:
    """Read a RECORD file. Raises InstallError for one that is none."""
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
    records = {distribution_of(file.parts[0]): file for file in tree if _is_record(file)}
    if not records:
        return tree
    import collections

    rows: defaultdict[str, list[tuple[str, str, str]]] = collections.defaultdict(list)
    for file in tree:
        if file.distribution in records and not _is_record(file):
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


def _is_record(file: File) -> bool:
    return len(file.parts) == 2 and file.parts[0].endswith(".dist-info") and file.parts[1] == "RECORD"  # noqa: PLR2004 - the folder and the file


def read_tags(files: Iterable[File]) -> dict[str, frozenset[Tag]]:
    """Return the tags of each distribution that has a ``dist-info/WHEEL`` among *files*.

    Source: "Binary distribution format", the ``Tag`` lines of ``WHEEL``. What cannot be read as a tag counts
    as none.
    """
    return {file.distribution or file.parts[0].removesuffix(".dist-info"): tags for file, tags in _read(files)}


def telling_tags(files: Iterable[File]) -> frozenset[str]:
    """Return the paths of those ``dist-info/WHEEL`` among *files* that tell a target: not every one will do."""
    return frozenset(
        file.path
        for file, tags in _read(files)
        if any(tag.platform != "any" or tag.abi not in {"none", "abi3"} for tag in tags)
    )


def _read(files: Iterable[File]) -> Iterator[tuple[File, frozenset[Tag]]]:
    for file in files:
        if len(file.parts) == 2 and file.parts[0].endswith(".dist-info") and file.parts[1] == "WHEEL":  # noqa: PLR2004 - the folder and the file
            text = file.source.read_text(encoding="utf-8", errors="replace")
            lines = [line.partition(":") for line in text.splitlines()]
            values = [value.strip() for key, _, value in lines if key.strip().lower() == "tag"]
            yield file, frozenset(tag for value in values if value.count("-") == 2 for tag in parse_tag(value))  # noqa: PLR2004


_RECORD = re.compile(r"(?:(.*)/)?([^/]+)\.dist-info/RECORD")
_DIST_INFO = re.compile(r"(?:.*/)?([^/]+)\.dist-info/[^/]+")


def with_owners(files: Iterable[File]) -> Tree:
    """Return *files* as a tree that says whose each is, by the RECORDs, and by their folder for metadata itself."""
    return Tree.of(_owned(files))


def _owned(files: Iterable[File]) -> Iterator[File]:
    from packaging.utils import canonicalize_name

    listed = {file.path: file for file in files}
    owners: dict[str, str] = {}
    for path, file in listed.items():
        if match := _RECORD.fullmatch(path):
            site, folder = match.groups()
            owner = canonicalize_name(folder.rsplit("-", 1)[0])
            for row in _rows(file):
                owners.setdefault(posixpath.normpath(posixpath.join(site or "", row)), owner)
    for path, file in listed.items():
        known = owners.get(path)
        if known is None and (match := _DIST_INFO.fullmatch(path)):
            known = canonicalize_name(match[1].rsplit("-", 1)[0])
        yield replace(file, distribution=known) if known else file


def _rows(record: File) -> list[str]:
    text = record.source.read_bytes().decode("utf-8", errors="replace")
    try:
        return [row[0] for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error:  # it is no list of files, which is nobody's harm
        return []


_TOP_LEVEL = re.compile(r"((?:.*/)?)([^/]+?)-[^/]*\.dist-info/(top_level\.txt|METADATA)")
_SEPARATORS = re.compile(r"[-_.]+")


def attribute(tree: Tree) -> Tree:
    """Return *tree* with a distribution for what is in the folders that each ``top_level.txt`` names, or its name."""
    owners: dict[str, str] = {}
    for file in tree:
        if file.distribution and (match := _TOP_LEVEL.fullmatch(file.path)):
            site, name, kind = match.groups()
            names = [_SEPARATORS.sub("_", name)]
            if kind == "top_level.txt":
                names = file.source.read_bytes().decode("utf-8", "replace").split()
            for top in names:
                for spelled in (top, f"{top}.libs", f"{name}.libs"):
                    owners[f"{site}{spelled}".lower()] = file.distribution
    return Tree(
        tuple(
            file if file.distribution else replace(file, distribution=_owner(file.path, owners)) for file in tree.files
        )
    )


def _owner(path: str, owners: dict[str, str]) -> str | None:
    parts = path.lower().split("/")
    for length in range(1, len(parts) + 1):
        whole = "/".join(parts[:length])
        for name in (whole, whole.partition(".")[0] if length == len(parts) else whole):
            if name in owners:
                return owners[name]
    return None
