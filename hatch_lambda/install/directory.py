"""A folder that an installer filled for the user, which is slimmed where it stands."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.errors import ArchiveError, ConfigurationError
from hatch_lambda.install.paths import walk

if TYPE_CHECKING:
    from hatch_lambda.model import File, Tree

_SITE_BELOW = re.compile(r"lib/python3\.\d+/site-packages")
_NOT_FOR_US = {"pyvenv.cfg": "a virtual environment", ".git": "a repository"}
"""Folders that a slip of the hand may name, with much to lose."""


def site_folders(folder: Path) -> list[Path]:
    """Return the folders below *folder* that Lambda puts on ``sys.path``; *folder* itself if it is no layer's.

    A layer has ``python`` or ``python/lib/pythonX.Y/site-packages`` (AWS, "Packaging your layer content").
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder", hint="name what `--target` named")
    for mark, what in _NOT_FOR_US.items():
        if (folder / mark).exists():
            raise ConfigurationError(f"{folder}: this is {what}", hint="name what `--target` named")
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
    if sites == [folder] and not any(folder.glob("*.dist-info")):
        raise ConfigurationError(
            f"{folder}: no installer has put anything here: there is no *.dist-info", hint="name what `--target` named"
        )
    return sites


def is_own(path: str) -> bool:
    """Tell whether the folder at *path* in a site folder belongs to it, and is not another site folder."""
    return _SITE_BELOW.fullmatch(path) is None


def site_runtime(site: Path) -> str | None:
    """Return the only runtime whose interpreter looks into *site*, where its path says so."""
    below = "/".join(site.parts[-3:])
    return None if is_own(below) else site.parent.name


def write_back(folder: Path, tree: Tree) -> None:
    """Make *folder* hold the files of *tree* and no others, changing none in place.

    A changed file takes the place of the old one as a new inode, before anything is removed. Raises
    ArchiveError when that is not possible; what was done until then stays, and doing it again completes it.
    """
    kept = {file.path: file for file in tree}
    try:
        present = dict(walk(folder, is_own))
        for path, file in kept.items():
            original = present.pop(path, None)
            if file.source != original or (original.is_symlink() and _leads_to(original, folder) not in kept):
                _replace(folder / path, file)
        for original in present.values():
            original.unlink()
        _remove_empty_folders(folder)
    except OSError as error:
        raise ArchiveError(
            f"{error.filename or folder}: {error.strerror}",
            hint="check the folder's permissions, then repeat the command",
        ) from error


def _leads_to(link: Path, folder: Path) -> str:
    return link.resolve().relative_to(folder.resolve()).as_posix()


def _replace(original: Path, file: File) -> None:
    original.parent.mkdir(parents=True, exist_ok=True)
    temporary = original.with_name(f".hatch-lambda.{secrets.token_hex(4)}.tmp")
    try:
        shutil.copyfile(file.source, temporary)
        if original.exists():
            shutil.copymode(original, temporary)
        elif file.executable:
            temporary.chmod(0o755)
        temporary.replace(original)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_empty_folders(folder: Path) -> None:
    for directory, _, _ in os.walk(folder, topdown=False):
        if directory != os.fspath(folder) and not os.listdir(directory):  # noqa: PTH208 - os.walk gives strings
            Path(directory).rmdir()
