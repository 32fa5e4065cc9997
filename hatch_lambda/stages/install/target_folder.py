"""A folder that an installer filled for the user, which is slimmed where it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


_SITE_BELOW = re.compile(r"lib/python3\.\d+/site-packages")
_NOT_FOR_US = {"pyvenv.cfg": "a virtual environment", ".git": "a repository"}
"""Folders that a slip of the hand may name, with much to lose."""

_OURS = re.compile(r"(?:.*/)?\.hatch-lambda\.(?:plan|[0-9a-f]{8}\.tmp)", re.DOTALL)
"""What a run has in a folder while it changes it: see ``writing_back``."""


def require_target(folder: Path) -> None:
    """Raise ConfigurationError where *folder* cannot be what an installer's ``--target`` named."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder", hint="name what `--target` named")
    for mark, what in _NOT_FOR_US.items():
        if (folder / mark).exists():
            raise ConfigurationError(f"{folder}: this is {what}", hint="name what `--target` named")


def site_folders(folder: Path, *, known: bool = False) -> list[Path]:
    """Return the folders below *folder* that Lambda puts on ``sys.path``; *folder* itself if it is no layer's.

    A layer has ``python`` or ``python/lib/pythonX.Y/site-packages`` (AWS, "Packaging your layer content"). Raises
    ConfigurationError where no installer has put anything, unless the folder is *known* to be its, and for a link
    that leads elsewhere: who named the folder did not name that.
    """
    require_target(folder)
    layer = folder / "python"
    if not layer.is_dir() or any(folder.glob("*.dist-info")):
        layer = folder
    inner = [
        site
        for site in sorted(layer.glob("lib/python3.*/site-packages"))
        if not is_own(site.relative_to(layer).as_posix()) and site.is_dir()
    ]
    outer = [layer] if not inner or any(layer.glob("*.dist-info")) else []
    sites = [*outer, *inner]
    for site in sites:
        if site.resolve() != folder.resolve() / site.relative_to(folder):
            raise ConfigurationError(
                f"{site}: a symbolic link leads there", hint=f"name the folder that it leads to: {site.resolve()}"
            )
    if not known and sites == [folder] and not any(folder.glob("*.dist-info")):
        raise ConfigurationError(
            f"{folder}: no installer has put anything here: there is no *.dist-info", hint="name what `--target` named"
        )
    return sites


def is_own(path: str) -> bool:
    """Tell whether the folder at *path* in a site folder belongs to it, and is not another site folder, nor ours."""
    return _SITE_BELOW.fullmatch(path) is None and is_theirs(path)


def is_theirs(path: str) -> bool:
    """Tell whether what is at *path* is not what a run of ours puts there while it changes the folder."""
    return _OURS.fullmatch(path) is None
