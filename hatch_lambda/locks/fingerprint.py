"""What the choice of wheels depends on, as a key: with the same key, reading the lock again tells nothing new."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from packaging import __version__ as packaging_version

from hatch_lambda import __version__ as hatch_lambda_version
from hatch_lambda.cache import digest
from hatch_lambda.decoding import SETTINGS_LIMIT, WHEEL_LIMIT, DocumentError, read_regular
from hatch_lambda.locks.discovery import discover

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.locks.lock import LockPolicy
    from hatch_lambda.process import Uv
    from hatch_lambda.project import Project
    from hatch_lambda.target import Target

_RESOLVED_ELSEWHERE = frozenset({"dependencies", "optional-dependencies", "requires-python"})
"""Fields of ``[project]`` that are part of a lock, and of which a build backend may ask any file."""


def fingerprint(project: Project, target: Target, policy: LockPolicy, uv: Uv) -> str | None:
    """Return a key of everything that the selection for *target* follows from, uv's answers among it.

    None where that cannot be told: where there is no lock, in workspaces, and for dynamic dependencies. What follows
    from other files, too, must not be kept under it: the lock, when it is read, tells whether it stands alone. The
    key holds on this machine only, for it names this uv and this folder.
    """
    found = discover(project, policy)
    if not _RESOLVED_ELSEWHERE.isdisjoint(project.metadata.get("dynamic", ())):
        return None
    if found is None or found.path.parent != project.root or found.passed_over:
        return None
    status = os.stat(uv.executable)  # noqa: PTH116 - a name that may have been found on PATH
    return digest(
        str(project.root),
        found.path.name,
        found.path.read_bytes(),
        dict(project.pyproject),
        target,
        replace(policy, unattended=None),
        (uv.executable, status.st_size, status.st_mtime_ns),
        sorted(item for item in uv.environment.items() if item[0].startswith("UV_")),
        list(_configuration(project, uv.environment)),
        [(name, _content(project.root / name)) for name in policy.vendor],
        packaging_version,
        hatch_lambda_version,
    )


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path, WHEEL_LIMIT)
    except (OSError, DocumentError):
        return None


def _configuration(project: Project, environment: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that may configure uv in the project: its own, those above it, the user's, the system's."""
    paths = [folder / name for folder in project.root.parents for name in ("uv.toml", "pyproject.toml")]
    paths.append(project.root / "uv.toml")
    home = environment.get("HOME") or environment.get("USERPROFILE", "")
    folders = [
        environment.get("XDG_CONFIG_HOME") or f"{home}/.config",
        *environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"),
        "/etc",
        *(environment[name] for name in ("APPDATA", "PROGRAMDATA") if name in environment),
    ]
    paths += [Path(folder, "uv", "uv.toml") for folder in folders]
    if named := environment.get("UV_CONFIG_FILE"):
        paths.append(project.root / named)
    for path in paths:
        with suppress(OSError, DocumentError):
            yield str(path), read_regular(path, SETTINGS_LIMIT)
