"""What is really inside a zip: its files, whose they are, and what the distributions say about themselves."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from msgspec import Struct, field
from packaging.metadata import RawMetadata, parse_email

from hatch_lambda.core.dist_info import DistInfoPath
from hatch_lambda.stages.archive.read import entries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hatch_lambda.core.model import File, Tree


_CHUNK = 1 << 20
_ELF = b"\x7fELF"
_SITE = re.compile(r"(?:python/(?:lib/python3\.\d+/site-packages/)?)?")
"""Where functions and layers have modules, and so the metadata of distributions that none vendors."""


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

    *owners* says whose each file is, where a build knows it better than the files.
    *removed* is metadata that slimming took, by path: it speaks for distributions that are still there.
    """
    listed = entries(path)
    zipped = {entry.path: entry.compressed_size for entry in listed}
    metadata = _metadata({file.path: file.source for file in unpacked}, removed)
    items = tuple(
        _item(file, zipped[file.path], file.distribution if owners is None else owners.get(file.path))
        for file in unpacked
    )
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
    info = _info(path)
    return info is not None and (info.rest in {"METADATA", "PKG-INFO"} or info.rest.startswith("sboms/"))


def _info(path: str) -> DistInfoPath | None:
    info = DistInfoPath.parse(path)
    return info if info is not None and _SITE.fullmatch(info.site) else None


def _metadata(files: Mapping[str, Path], removed: Mapping[str, bytes]) -> dict[str, Metadata]:
    """Read what the distributions say of themselves; a file in the package before one that was removed."""
    found: dict[str, Metadata] = {}
    contents = {**removed, **{path: source.read_bytes() for path, source in files.items() if is_metadata(path)}}
    for path in sorted({*files, *removed}):
        if (info := _info(path)) is None:
            continue
        one = found.setdefault(info.distribution, Metadata(name=info.distribution))
        one.version = one.version or info.version
        if path not in contents:
            continue
        if info.rest in {"METADATA", "PKG-INFO"}:
            one.raw = parse_email(contents[path])[0]
            one.version = one.raw.get("version") or one.version
        else:
            one.sboms[path] = contents[path]
    return found


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
