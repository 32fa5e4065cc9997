"""Whose the files of a package are that lost the lists of its distributions, as far as names tell."""

from __future__ import annotations

import re

from msgspec.structs import replace

from hatch_lambda.model import Tree

_DIST_INFO = re.compile(r"((?:.*/)?)([^/]+?)-[^/]*\.dist-info/(top_level\.txt|METADATA)")
_SEPARATORS = re.compile(r"[-_.]+")


def attribute(tree: Tree) -> Tree:
    """Return *tree* with a distribution for what is in the folders that each ``top_level.txt`` names, or its name."""
    owners: dict[str, str] = {}
    for file in tree:
        if file.distribution and (match := _DIST_INFO.fullmatch(file.path)):
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
