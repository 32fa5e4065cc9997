"""What stays of the metadata that each distribution brings along.

Programs read METADATA (``importlib.metadata.version``) and entry points; audits read licences and SBOMs.
What installers and build backends note for one another goes: RECORD, WHEEL and the like. Any other file
stays, because its distribution put it there on purpose and can read it with ``Distribution.read_text``
(pbr keeps ``pbr.json`` there, for example).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from hatch_lambda.core.dist_info import DistInfoPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.core.model import File


_LEFTOVERS = frozenset({"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"})

_FOR_INSTALLERS = frozenset(
    {
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "WHEEL",
        "SOURCES.txt",
        "dependency_links.txt",
        "installed-files.txt",
        "not-zip-safe",
        "zip-safe",
    }
)
"""Notes of build backends for installers (PEP 376, PEP 427, setuptools).

``requires.txt`` and ``namespace_packages.txt`` are not among them: importlib.metadata and pkg_resources
read them.
"""

FILE_LISTS = frozenset({"RECORD", "SOURCES.txt", "installed-files.txt"})
"""What ``importlib.metadata.files`` reads, and ``packages_distributions`` where there is no top_level.txt."""

_FILE_LIST_READERS = (b"packages_distributions", b"metadata.files(", b"dist.files", b"distribution.files")
_FILE_LIST_PROVIDERS = frozenset({"importlib-metadata", "setuptools", "pip"})


class Metadata(StrEnum):
    """What a file in a metadata folder is good for."""

    LEFTOVER = "left behind by an installer, and different on each machine"
    FOR_INSTALLERS = "only installers read it"
    FOR_PROGRAMS = "programs or audits may read it"


def locate(path: str) -> tuple[str, str] | None:
    """Return the distribution's name, as written, and the path within its metadata folder.

    Only a folder at the top is one: those below are data of the package that vendors them.
    """
    info = DistInfoPath.parse(path)
    return (info.name, info.rest) if info is not None and not info.site else None


def reads_file_lists(distribution: str | None, text: bytes) -> bool:
    """Tell whether Python code asks which files distributions installed.

    The code that provides the answer to others does not count.
    """
    if distribution in _FILE_LIST_PROVIDERS or b"importlib" not in text:
        return False
    return any(reader in text for reader in _FILE_LIST_READERS)


def removed_metadata(before: Iterable[File], kept: Iterable[File]) -> dict[str, bytes]:
    """Return, by path, what was removed of that which tells scanners what is in a package.

    That is METADATA and the SBOMs (PEP 770). The report's bill of materials speaks for them.
    """
    left = {file.path for file in kept}
    return {
        file.path: file.source.read_bytes()
        for file in before
        if file.path not in left
        and (place := locate(file.path)) is not None
        and (place[1] == "METADATA" or place[1].startswith("sboms/"))
    }


def is_leftover(file: File) -> bool:
    """Tell whether an installer left *file* behind; such files carry bytes of the host."""
    if file.path == ".lock":
        return True
    place = locate(file.path)
    return place is not None and place[1] in _LEFTOVERS


def classify(rest: str) -> Metadata:
    """Say who reads the file at *rest* within a metadata folder."""
    if rest in _LEFTOVERS:
        return Metadata.LEFTOVER
    if rest in _FOR_INSTALLERS:
        return Metadata.FOR_INSTALLERS
    return Metadata.FOR_PROGRAMS
