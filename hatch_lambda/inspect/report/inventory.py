"""What is really inside a zip: its files, whose they are, and what the distributions say about themselves."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field
from packaging.metadata import RawMetadata, parse_email
from packaging.utils import canonicalize_name

from hatch_lambda.stages.archive.read import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from hatch_lambda.core.model import File, Tree


_CHUNK = 1 << 20
_ELF = b"\x7fELF"
_LAYER = r"python/(?:lib/python3\.\d+/site-packages/)?"
"""Where layers have what functions have at the top."""
_SITE = re.compile(_LAYER)
_INFO = re.compile(rf"(?P<site>(?:{_LAYER})?)(?P<folder>[^/]+)\.(?:dist|egg)-info/(?P<rest>.+)")
_SUFFIX = re.compile(r"\.(?:py|pyc|libs|so|data)\b.*|\.(?:dist|egg)-info$|-.*\.(?:dist|egg)-info$|\.cpython-.*")
_DEEPEST_NAMESPACE = 3


class Item(Struct, frozen=True, kw_only=True):
    """A file of the zip."""

    path: str
    size: int
    zipped: int
    sha256: str
    executable: bool
    owner: str | None
    """Normalized name of its distribution."""
    is_elf: bool


class Metadata(Struct, kw_only=True):
    """What a distribution says about itself, as far as it is known."""

    name: str
    """Normalized."""
    raw: RawMetadata = field(default_factory=RawMetadata)
    sboms: dict[str, bytes] = field(default_factory=dict)
    """The SBOMs that it brings along (PEP 770), by their paths."""
    version: str | None = None

    @property
    def licence(self) -> str | None:
        """Its SPDX expression, or what it says instead in one line."""
        if expression := self.raw.get("license_expression"):
            return expression
        names = [
            text.rpartition(" :: ")[2]
            for text in self.raw.get("classifiers", [])
            if text.startswith("License :: ") and text.count(" :: ") > 1
        ]
        text = (self.raw.get("license") or "").strip()
        # Older distributions put the whole text there, whose first line may be anything.
        return (text if text and "\n" not in text else None) or ", ".join(names) or None


class Inventory(Struct, frozen=True, kw_only=True):
    """The files of a zip and the metadata of its distributions."""

    items: tuple[Item, ...]
    metadata: Mapping[str, Metadata]
    """By normalized name; of distributions without metadata too, if files are theirs."""
    sha256: str
    """Of the zip."""
    size: int
    content_sha256: str

    @property
    def unzipped(self) -> int:
        """Bytes of all the files."""
        return sum(item.size for item in self.items)


def take_inventory(
    path: Path, unpacked: Tree, *, owners: Mapping[str, str | None] | None, removed: Mapping[str, bytes]
) -> Inventory:
    """Look into the zip at *path*, whose files are *unpacked* somewhere.

    *owners* says whose each file is, where that is known; otherwise RECORD, ``top_level.txt`` and the names tell.
    *removed* is metadata that slimming took, by path: it speaks for distributions that are still there.
    """
    listed = entries(path)
    zipped = {entry.path: entry.compressed_size for entry in listed}
    metadata = _metadata({file.path: file.source for file in unpacked}, removed)
    owned = owners if owners is not None else dict(_guesses(unpacked, metadata))
    items = tuple(_item(file, zipped[file.path], owned.get(file.path)) for file in unpacked)
    present = {item.owner for item in items if item.owner is not None}
    found = {file.path: item for file, item in zip(unpacked, items, strict=True)}
    modes = (
        (0o40755, "", entry.name)
        if entry.is_directory
        else (0o100755 if found[entry.path].executable else 0o100644, found[entry.path].sha256, entry.name)
        for entry in listed
        if entry.is_directory or entry.path in found
    )
    lines = (f"{mode:o} {sha256} {name}\n" for mode, sha256, name in modes)
    return Inventory(
        items=items,
        metadata={name: metadata.get(name) or Metadata(name=name) for name in sorted(present)},
        sha256=_sha256(path),
        size=path.stat().st_size,
        content_sha256=hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest(),
    )


def is_metadata(path: str) -> bool:
    """Tell whether the file at *path* says what its distribution is, or what went into it."""
    match = _INFO.fullmatch(path)
    return match is not None and (match["rest"] in {"METADATA", "PKG-INFO"} or match["rest"].startswith("sboms/"))


def _metadata(files: Mapping[str, Path], removed: Mapping[str, bytes]) -> dict[str, Metadata]:
    """Read what the distributions say of themselves; a file in the package before one that was removed."""
    found: dict[str, Metadata] = {}
    contents = {**removed, **{path: source.read_bytes() for path, source in files.items() if is_metadata(path)}}
    for match in filter(None, map(_INFO.fullmatch, sorted({*files, *removed}))):
        path, rest = match[0], match["rest"]
        name, _, version = match["folder"].partition("-")
        one = found.setdefault(canonicalize_name(name), Metadata(name=canonicalize_name(name)))
        one.version = one.version or version.partition("-")[0] or None
        if path not in contents:
            continue
        if rest in {"METADATA", "PKG-INFO"}:
            one.raw = parse_email(contents[path])[0]
            one.version = one.raw.get("version") or one.version
        else:
            one.sboms[path] = contents[path]
    return found


def _guesses(unpacked: Tree, metadata: Mapping[str, Metadata]) -> Iterator[tuple[str, str | None]]:
    """Yield whose each file is: as a RECORD says, else as the names of its folders do."""
    tops: defaultdict[str, str] = defaultdict(str)
    for file in unpacked:
        match = _INFO.fullmatch(file.path)
        if match and match["rest"] == "top_level.txt":
            for line in file.source.read_text(encoding="utf-8", errors="replace").splitlines():
                tops[line.strip()] = canonicalize_name(match["folder"].partition("-")[0])
    for name, one in metadata.items():
        tops.update(dict.fromkeys(one.raw.get("import_names", []), name))
    for file in unpacked:
        # The metadata of what a distribution vendors is that distribution's data.
        vendored = ".dist-info/" in file.path and not _INFO.fullmatch(file.path)
        yield file.path, (None if vendored else file.distribution) or _by_name(file, tops, metadata)


def _by_name(file: File, tops: Mapping[str, str], known: Iterable[str]) -> str | None:
    parts = _SITE.sub("", file.path, count=1).split("/")
    if match := _INFO.fullmatch(file.path):
        return canonicalize_name(match["folder"].partition("-")[0])
    parts[0] = _SUFFIX.sub("", parts[0])
    if parts[0] in tops:
        return tops[parts[0]]
    for depth in range(min(_DEEPEST_NAMESPACE, len(parts)), 0, -1):
        name = canonicalize_name("-".join([*parts[: depth - 1], _SUFFIX.sub("", parts[depth - 1])]))
        if name in known:
            return name
    return None


def _item(file: File, zipped: int, owner: str | None) -> Item:
    with file.source.open("rb") as stream:
        is_elf = stream.read(len(_ELF)) == _ELF
    return Item(
        path=file.path,
        size=file.size,
        zipped=zipped,
        sha256=_sha256(file.source),
        executable=file.executable,
        owner=owner,
        is_elf=is_elf,
    )


def _sha256(path: Path) -> str:
    sha256 = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()
