"""What others chose, and what may be done with it: the names of files, and text that is shown.

Every name goes through :func:`name_problem`, wherever it comes from: a wheel, a RECORD, a zip, a cache.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


DEEPEST = 64
"""Folders that a name may go down."""
LONGEST = 4000
"""Bytes of a path: Linux takes 4096 (PATH_MAX), and Lambda puts its own folder before it."""
LONGEST_PART = 255
"""Bytes of a name between two ``/`` (NAME_MAX)."""
_SHOWN = 80

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*/?")
_LONGEST_PLAIN = 2 * DEEPEST - 1
"""Bytes in which no name goes too deep."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DISTRIBUTION = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def is_plain(name: str) -> bool:
    """Tell at once that a name is as most are: in its normal form, and nobody could have anything against it."""
    return len(name) <= _LONGEST_PLAIN and _PLAIN.fullmatch(name) is not None


def name_problem(name: str) -> str | None:
    """Say why *name* cannot be that of a file in a package, or of a folder (with ``/`` at its end); None if it can.

    What is accepted stays below the folder that it is joined to, and all systems read it alike.
    """
    if is_plain(name):
        return None
    normal = posixpath.normpath(name)
    if normal.startswith("/") or normal == "." or normal[1:2] == ":" or (".." in name and ".." in name.split("/")):
        return "would leave the package"
    if "\\" in name or _CONTROL.search(name):
        return "is one that no two systems read alike"
    if name.count("/") > DEEPEST:
        return f"is more than {DEEPEST} folders deep"
    return _length_problem(name)


def _length_problem(name: str) -> str | None:
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(encoded) <= LONGEST and all(len(part) <= LONGEST_PART for part in encoded.split(b"/")):
        return None
    return f"is longer than the {LONGEST_PART} bytes, or its path than the {LONGEST}, that Linux takes"


def clash(files: Iterable[str], folders: Iterable[str] = ()) -> tuple[str, str] | None:
    """Return the name of what cannot be unpacked beside the others, and why; None where everything can be.

    A name may occur once, and a file cannot have files below it. Names are relative, in their normal form.
    """
    known: set[str] = set()
    above = set(folders)
    for name in files:
        if name in known:
            return name, "is there twice"
        known.add(name)
        folder = name.rpartition("/")[0]
        while folder and folder not in above:
            above.add(folder)
            folder = folder.rpartition("/")[0]
    both = known & above
    return (min(both), "is a file and a folder at once") if both else None


def is_digest(text: str) -> bool:
    """Tell whether *text* is a SHA-256 as hexadecimal, which may be part of a path."""
    return _DIGEST.fullmatch(text) is not None


def is_distribution(text: str) -> bool:
    """Tell whether *text* is the normalized name of a distribution (PEP 503), which may be part of a path."""
    return _DISTRIBUTION.fullmatch(text) is not None


def shown(name: str) -> str:
    """Return a name as a message can have it, whatever is in it."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
