"""RECORD, the list of a distribution's files (PEP 376, "Recording installed projects")."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from hatch_lambda.errors import InstallError
from hatch_lambda.model import Tree

if TYPE_CHECKING:
    from collections import defaultdict
    from pathlib import Path

    from hatch_lambda.model import File


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
