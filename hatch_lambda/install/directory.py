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
    from hatch_lambda.model import Tree

_SITE_PACKAGES = re.compile(r"python3\.\d+")


def site_folders(folder: Path) -> list[Path]:
    """Return the folders below *folder* that Lambda puts on ``sys.path``; *folder* itself if it is no layer's.

    A layer has ``python`` or ``python/lib/pythonX.Y/site-packages`` (AWS, "Packaging your layer content").
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder", hint="name what `--target` named")
    layer = folder / "python"
    if not layer.is_dir() or any(folder.glob("*.dist-info")):
        return [folder]
    versions = layer / "lib"
    inner = [
        entry / "site-packages"
        for entry in (sorted(versions.iterdir()) if versions.is_dir() else ())
        if _SITE_PACKAGES.fullmatch(entry.name) and (entry / "site-packages").is_dir()
    ]
    outer = [layer] if not inner or any(layer.glob("*.dist-info")) else []
    return [*outer, *inner]


def write_back(folder: Path, tree: Tree) -> None:
    """Make *folder* hold the files of *tree* and no others, changing none in place.

    A changed file takes the place of the old one as a new inode. Raises ArchiveError when that is not
    possible; what was done until then stays, and doing it again completes it.
    """
    kept = {file.path: file for file in tree}
    try:
        for path, original in list(walk(folder)):
            file = kept.pop(path, None)
            if file is None:
                original.unlink()
            elif file.source != original:
                _replace(original, file.source)
        for path, file in kept.items():
            _replace(folder / path, file.source)
        _remove_empty_folders(folder)
    except OSError as error:
        raise ArchiveError(
            f"{error.filename}: {error.strerror}",
            hint="check the folder's permissions, then repeat the command",
        ) from error


def _replace(original: Path, content: Path) -> None:
    temporary = original.with_name(f".{original.name}.{secrets.token_hex(4)}.tmp")
    try:
        shutil.copyfile(content, temporary)
        if original.exists():
            shutil.copymode(original, temporary)
        temporary.replace(original)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_empty_folders(folder: Path) -> None:
    for directory, _, _ in os.walk(folder, topdown=False):
        if directory != os.fspath(folder) and not os.listdir(directory):  # noqa: PTH208 - os.walk gives strings
            Path(directory).rmdir()
