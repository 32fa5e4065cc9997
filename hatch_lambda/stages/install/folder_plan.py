"""The changes to a user's folder, written down in it: what ``writing_back`` makes, and who comes after it reads."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hatch_lambda.core.codec import convert, parse_json, read_regular
from hatch_lambda.core.model import (
    Change,  # noqa: TC001 - msgspec resolves them when it decodes
    Finding,  # noqa: TC001 - msgspec resolves them when it decodes
)
from hatch_lambda.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator


PLAN = ".hatch-lambda.plan"
UNFINISHED = re.compile(r"\.hatch-lambda\.[0-9a-f]{8}\.tmp")
"""The name of a folder of new bytes; of a single file, as versions without a plan left it."""

_FORMAT = 1
_LARGEST = 1 << 28
"""Bytes of a plan: no folder that Lambda takes needs a tenth."""


class Note(Struct, frozen=True, kw_only=True):
    """What a plan keeps for whoever finishes it."""

    request: str = ""
    """A digest of what was asked for."""
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()


class Step(Struct, frozen=True, kw_only=True):
    """One file: what it was when the plan was made, and what it becomes, as ``state`` says it."""

    path: str
    before: str | None
    after: str | None


class Plan(Struct, frozen=True, kw_only=True):
    """All that changes in a folder; paths are relative to it."""

    written_by: str
    """The version of hatch-lambda."""
    new: str
    """The folder of the new bytes, each under the number of its step."""
    sites: tuple[str, ...]
    """The folders that it is about."""
    steps: tuple[Step, ...]
    left: tuple[str, ...]
    """All files that there are in the end."""
    note: Note
    format: int = _FORMAT

    def text(self) -> str:
        """Return it as a document in ASCII: the standard library's JSON keeps names that are no UTF-8."""
        return json.dumps(msgspec.to_builtins(self))


def read_plan(folder: Path) -> Plan:
    """Read the plan in *folder*, as one reads what a stranger may have written. Raises ArchiveError."""
    path, writer = folder / PLAN, "the version of hatch-lambda that wrote it"
    try:
        status = path.lstat()
        content = parse_json(read_regular(path, _LARGEST)) if stat.S_ISREG(status.st_mode) else None
        if isinstance(content, dict) and content.get("format") != _FORMAT:
            writer = f"hatch-lambda {content.get('written_by')!s:.20}"
        else:
            plan = convert(content, Plan)
            if UNFINISHED.fullmatch(plan.new) and not (folder / plan.new).is_symlink():
                return plan
    except (ValueError, msgspec.MsgspecError):
        pass
    raise ArchiveError(
        f"{path}: a run that was interrupted left this plan, and it cannot be read",
        hint=f"repeat the command with {writer}, or install anew into an empty folder",
    )


def state(path: Path) -> str | None:
    """Return what tells whether *path* is still what it was, links as such; None: it is not there."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(status.st_mode):
        return f"link {path.readlink()}"
    if not stat.S_ISREG(status.st_mode):
        return "no file"
    try:
        with path.open("rb") as stream:
            return file_state(hashlib.file_digest(stream, "sha256").hexdigest())
    except PermissionError:
        return f"unreadable {status.st_size} {status.st_mtime_ns}"


def file_state(sha256: str) -> str:
    """Return the state of a file with this digest."""
    return f"file {sha256}"


def is_direct(folder: Path, path: str) -> bool:
    """Tell whether *path* lies below *folder*, and no link on the way leads elsewhere."""
    pure = PurePath(path)
    if pure.anchor or ".." in pure.parts:
        return False
    return not any(way.is_symlink() for way in _way(folder, pure))


def _way(folder: Path, path: PurePath) -> Iterator[Path]:
    return (folder / parent for parent in path.parents if parent.parts)
