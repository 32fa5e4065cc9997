"""Whose each file of a package is."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.model import File, Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
