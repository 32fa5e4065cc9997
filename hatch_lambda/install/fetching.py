"""Come by the source of a distribution through uv, which knows indexes, credentials, proxies and git."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.errors import CommandError, InstallError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.model import LockedSource
    from hatch_lambda.process import Uv

_MARKS = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO"})
_NO_SOURCES = ("archive-", "builds-", "wheels-")
"""What a cache of uv holds besides sources."""
_INERT = "import sys; sys.flags.isolated or sys.exit('fetched')\n"
"""A line of a ``.pth`` file that ends every program but those which, as uv's own question, ask for isolation."""


def fetch(source: LockedSource, uv: Uv, workspace: Path, *, cwd: Path) -> Path:
    """Download, check and unpack *source*, and return the folder of its project.

    uv has no command that only fetches. So it is told to install the distribution into an environment whose
    interpreter runs no build backend: it comes as far as that, and a cache of its own then holds this source alone.
    """
    assert source.pinned is not None, "a folder need not be fetched"
    lock = workspace / "pylock.toml"
    lock.write_text(source.pinned, encoding="utf-8")
    cache, inert = workspace / "fetched", workspace / "inert"
    uv.run("venv", "--quiet", "--python", sys.executable, "--no-project", inert, cwd=workspace)
    for site in (*inert.glob("lib/python*/site-packages"), *inert.glob("Lib/site-packages")):
        (site / "inert.pth").write_text(_INERT, encoding="ascii")
    try:
        uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--cache-dir", cache),
            *("--no-binary", source.name, "--python", inert, "--target", workspace / "nothing"),
            *("--requirements", lock),
            cwd=cwd,
            UV_NO_CACHE="0",
            UV_NO_BUILD="0",
        )
    except CommandError as error:
        problem: CommandError | None = error
    else:
        problem = None
    suffix = f"/{source.subdirectory}" if source.subdirectory else ""
    for folder in _project_folders(cache):
        if folder.as_posix().endswith(suffix):
            return folder
    tail = f":\n{problem.tail()}" if problem is not None else ", for no project is in what uv fetched"
    raise InstallError(
        f"{source.shown} (from {source.place}) could not be fetched{tail}",
        hint="check the network, the credentials, and that the lock's hashes are right",
    )


def _project_folders(cache: Path) -> Iterator[Path]:
    """Yield the folders in which a project begins, outermost first."""
    found: list[Path] = []
    for directory, folders, names in os.walk(cache):
        if Path(directory) == cache:
            folders[:] = [name for name in folders if not name.startswith(_NO_SOURCES)]
        if not _MARKS.isdisjoint(names):
            found.append(Path(directory))
    yield from sorted(found, key=lambda folder: (len(folder.parts), folder))
