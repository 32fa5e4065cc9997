"""TODO: stages.locks.formats.pylock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.core.text import command_in_header
from hatch_lambda.stages.locks.lock import Lock
from hatch_lambda.stages.locks.pylock import parse, rebase

if TYPE_CHECKING:
    from hatch_lambda.stages.locks.lock import Request


_MAKERS = {"uv": "uv export --format pylock.toml", "pip": "pip lock", "pdm": "pdm export -f pylock"}


def read(request: Request) -> Lock:
    """Read a ``pylock.toml``.

    A lock that was made with development dependencies in it and no markers on them (``uv export`` without
    ``--no-default-groups``) cannot be told from one without: uv writes no ``packages.dependencies``.
    """
    text = request.document("`" + "`, `".join(_MAKERS.values()) + "`").text()
    pylock = parse(text, request.shown)
    return Lock(
        path=request.path,
        pylock=rebase(pylock, request.path.parent, request.path.parent),
        findings=(),
        stands_alone=all(package.directory is None for package in pylock.packages),
        mend=f"`{command_in_header(text) or _MAKERS.get(pylock.created_by) or _MAKERS['uv']}`",
    )
