"""For what the wheels in a folder were made, as their ``WHEEL`` files say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.tags import parse_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.tags import Tag

    from hatch_lambda.model import File


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
