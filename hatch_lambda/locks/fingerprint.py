"""What the choice of wheels depends on, as a key: with the same key, reading the lock again tells nothing new."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from packaging import __version__ as packaging_version

from hatch_lambda import __version__ as hatch_lambda_version
from hatch_lambda.cache import digest
from hatch_lambda.locks.discovery import discover

if TYPE_CHECKING:
    from hatch_lambda.locks.lock import LockPolicy
    from hatch_lambda.process import Uv
    from hatch_lambda.project import Project
    from hatch_lambda.target import Target

_OTHER_FILES = {
    "uv.lock": re.compile(rb'\bsource = \{ (?:directory|editable|path|virtual) = "(?!\.")'),
    ".txt": re.compile(rb"^\s*-", re.MULTILINE),
}
"""What in a lock file says that further files on this machine decide, too, by the end of its name."""


def fingerprint(project: Project, target: Target, policy: LockPolicy, uv: Uv) -> str | None:
    """Return a key of everything that the selection for *target* follows from, uv's answers among it.

    None where that cannot be told from two files: where there is no lock, in workspaces, for paths, for nested
    requirements and for dynamic dependencies. The key holds on this machine only, for it names this uv.
    """
    found = discover(project, policy)
    if "dependencies" in project.metadata.get("dynamic", ()):
        return None
    if found is None or found.path.parent != project.root or found.passed_over:
        return None
    content = found.path.read_bytes()
    for ending, pattern in _OTHER_FILES.items():
        if found.path.name.endswith(ending) and pattern.search(content):
            return None
    status = os.stat(uv.executable)  # noqa: PTH116 - a name that may have been found on PATH
    return digest(
        found.path.name,
        content,
        dict(project.pyproject),
        target,
        policy,
        (uv.executable, status.st_size, status.st_mtime_ns),
        sorted(item for item in uv.environment.items() if item[0].startswith("UV_")),
        packaging_version,
        hatch_lambda_version,
    )
