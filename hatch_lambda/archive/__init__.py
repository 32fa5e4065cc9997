"""The archive stage: a Tree becomes a zip whose bytes depend on nothing but the tree and the policy."""

from __future__ import annotations

from hatch_lambda.archive.naming import package_name, packages_in, unfinished_of
from hatch_lambda.archive.writer import ArchivePolicy, Written, write

__all__ = ["ArchivePolicy", "Written", "package_name", "packages_in", "unfinished_of", "write"]
