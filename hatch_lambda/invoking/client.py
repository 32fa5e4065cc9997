"""AWS's own runtime interface client, for the interpreter that is to run it."""

from __future__ import annotations

import io
import sys
import zipfile
from functools import cache as memoized
from importlib.resources import files
from typing import TYPE_CHECKING

from hatch_lambda import archive
from hatch_lambda.cache import digest
from hatch_lambda.errors import ArchiveError, CommandError, InstallError
from hatch_lambda.workspace import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.invoking.machine import Host
    from hatch_lambda.process import Uv
    from hatch_lambda.target import Target

_KIND = "runtime-clients"
_PLATFORM = "unknown-linux-gnu"


def put_client(target: Target, host: Host, folder: Path) -> None:
    """Put ``awslambdaric`` for *target* into *folder*: kept since an earlier time, or fetched by uv.

    It is pinned by hashes, and never built.
    """
    key = digest(_pins(), str(target))
    kept = host.cache.get(_KIND, key)
    if kept is None or not _unpacked(kept, folder):
        _install(target, host.uv, folder)
        host.cache.put(_KIND, key, _zipped(folder))


def _unpacked(kept: memoryview, folder: Path) -> bool:
    """Unpack what was *kept* into *folder*, if it is a zip that can be; else nothing is left of it."""
    package = folder.with_name("awslambdaric.zip")
    try:
        package.write_bytes(kept)
        archive.unpack(package, folder)
    except ArchiveError:
        remove_tree(folder)
        return False
    return True


def _install(target: Target, uv: Uv, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    requirements = folder.with_name("awslambdaric.txt")
    requirements.write_bytes(_pins())
    try:
        uv.run(
            *("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--python", sys.executable, "--python-version", target.runtime.version),
            *("--python-platform", f"{target.architecture.machine}-{_PLATFORM}"),
            *("--no-config", "--link-mode", "copy", "--target", folder, "-r", requirements),
            cwd=folder,
        )
    except CommandError as error:
        raise InstallError(
            f"awslambdaric for {target}, in which handlers are run, could not be installed:\n{error.tail()}",
            hint="it has wheels on PyPI, and is kept once it was fetched: is there a connection?",
        ) from error


def _zipped(folder: Path) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                made.write(path, path.relative_to(folder).as_posix())
    return stream.getvalue()


@memoized
def _pins() -> bytes:
    return files("hatch_lambda.data").joinpath("awslambdaric.txt").read_bytes()
