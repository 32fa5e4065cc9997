"""``pylock.toml`` (PEP 751), whichever tool wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.core.text import command_in_header
from hatch_lambda.stages.locks.lock import Declared, Lock
from hatch_lambda.stages.locks.pylock import parse, rebase

if TYPE_CHECKING:
    from hatch_lambda.config.project import Project
    from hatch_lambda.stages.locks.lock import LockRequest


_MAKERS = {"uv": "`uv export --format pylock.toml`", "pip": "`pip lock`", "pdm": "`pdm export -f pylock`"}
MAKER = f"{_MAKERS['uv']}, {_MAKERS['pip']} or {_MAKERS['pdm']}"
ROW = ("`uv export`, `uv pip compile`, `pip lock`, `pdm export`", "as the file has them", "directly (PEP 751)")


def declared(project: Project) -> Declared:  # noqa: ARG001 - LockFormat
    """Return nothing: the format is no tool's own."""
    return Declared()


def unlocked(project: Project) -> str | None:  # noqa: ARG001 - LockFormat
    """Name nothing, for the same reason."""
    return None


def read(request: LockRequest) -> Lock:
    """Read a ``pylock.toml``.

    A lock that was made with development dependencies in it and no markers on them (``uv export`` without
    ``--no-default-groups``) cannot be told from one without: uv writes no ``packages.dependencies``.
    """
    text = request.document.text()
    pylock = parse(text, request.shown)
    command = command_in_header(text)
    return Lock(
        path=request.path,
        pylock=rebase(pylock, request.path.parent, request.path.parent),
        findings=(),
        stands_alone=all(package.directory is None for package in pylock.packages),
        asks_an_index=False,
        maker=f"`{command}`" if command else _MAKERS.get(pylock.created_by, _MAKERS["uv"]),
    )
