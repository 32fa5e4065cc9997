"""The archive stage: a Tree becomes a zip whose bytes depend on nothing but the tree and the policy."""

from __future__ import annotations

from hatch_lambda.archive.format import Entry, Timestamp
from hatch_lambda.archive.naming import package_name, packages_in, unfinished_of
from hatch_lambda.archive.pack import Compression, Packer
from hatch_lambda.archive.writer import (
    DamagedSectionError,
    Section,
    StoredSection,
    Written,
    is_zip,
    write,
    write_section,
)

__all__ = [
    "Compression",
    "DamagedSectionError",
    "Entry",
    "Packer",
    "Section",
    "StoredSection",
    "Timestamp",
    "Written",
    "is_zip",
    "package_name",
    "packages_in",
    "unfinished_of",
    "write",
    "write_section",
]
