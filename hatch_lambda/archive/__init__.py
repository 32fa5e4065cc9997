"""The archive stage: a Tree becomes a zip whose bytes depend on nothing but the tree and the policy, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.archive.checking import DamagedSectionError
from hatch_lambda.archive.format import Entry, Timestamp
from hatch_lambda.archive.naming import package_name, packages_in, packages_of
from hatch_lambda.archive.output import is_own_wheel, is_own_zip, is_zip
from hatch_lambda.archive.pack import Compression, Packed, Packer
from hatch_lambda.archive.streams import SectionStreams
from hatch_lambda.archive.writer import (
    Section,
    StoredSection,
    Written,
    content_digest,
    is_whole,
    read_packed,
    write,
    write_packed,
    write_section,
)
from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.archive.extract import unpack
    from hatch_lambda.archive.owners import with_owners
    from hatch_lambda.archive.read import ReadEntry, entries

__all__ = [
    "Compression",
    "DamagedSectionError",
    "Entry",
    "Packed",
    "Packer",
    "ReadEntry",
    "Section",
    "SectionStreams",
    "StoredSection",
    "Timestamp",
    "Written",
    "content_digest",
    "entries",
    "is_own_wheel",
    "is_own_zip",
    "is_whole",
    "is_zip",
    "package_name",
    "packages_in",
    "packages_of",
    "read_packed",
    "unpack",
    "with_owners",
    "write",
    "write_packed",
    "write_section",
]
__getattr__ = exports(__name__, {"ReadEntry": "read", "entries": "read", "unpack": "extract", "with_owners": "owners"})
