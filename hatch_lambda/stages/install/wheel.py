"""The project as its own wheel: built, checked, unpacked."""

from __future__ import annotations

import configparser
import lzma
import os
import shutil
import warnings
import zlib
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile

from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import RecordEntry

from hatch_lambda.core.files import package_path
from hatch_lambda.core.model import File, Tree
from hatch_lambda.core.uv import INNER_BUILD
from hatch_lambda.errors import CommandError, InstallError
from hatch_lambda.stages.install.scripts import entry_point_script, with_portable_shebang

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from installer.scripts import ScriptSection
    from installer.utils import Scheme

    from hatch_lambda.core.uv import Uv


_DAMAGE = (
    *(InstallerError, BadZipFile, zlib.error, lzma.LZMAError, configparser.Error),
    *(ValueError, OSError, LookupError, EOFError, RuntimeError, AssertionError),
)
"""What reading a wheel that is none may raise, in installer, zipfile and below."""


def build_wheel(root: Path, uv: Uv, workspace: Path) -> Path:
    """Build the wheel of the project in *root* with its own build backend, isolated, and return its path.

    Raises InstallError with the backend's last lines when the build fails.
    """
    folder = workspace / "wheel"
    try:
        uv.run("build", "--wheel", "--out-dir", folder, root, cwd=root, **{INNER_BUILD: "1"})
    except CommandError as error:
        raise InstallError(
            f"{root}: the project's wheel could not be built:\n{error.tail()}",
            hint="`uv build --wheel` in that folder shows everything",
        ) from error
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, workspace: Path, *, scripts: bool) -> Tree:
    """Unpack *wheel* below *workspace* and return its files, as an installer would place them.

    Every file is checked against the wheel's RECORD. The commands come with *scripts* only.
    """
    from installer import install
    from installer.sources import WheelFile
    from packaging.utils import parse_wheel_filename

    try:
        name, *_ = parse_wheel_filename(wheel.name)
        destination = _Destination(folder=workspace / "project", distribution=name, scripts=scripts)
        with WheelFile.open(wheel) as source, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # installer skips __pycache__, as we do
            source.validate_record()
            install(source, destination, {})
    except _DAMAGE as error:
        raise InstallError(f"{wheel.name}: not a usable wheel: {_facts(error)}", hint="build it anew") from error
    return Tree.of(destination.files.values())


def _facts(error: Exception) -> str:
    issues = getattr(error, "issues", None)
    return "\n".join(map(str, issues)) if issues else str(error) or type(error).__name__


class _Destination(WheelDestination):
    """Write the files of one wheel, and remember them."""

    def __init__(self, *, folder: Path, distribution: str, scripts: bool) -> None:
        self.folder = folder
        self.distribution = distribution
        self.scripts = scripts
        self.files: dict[str, File] = {}

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - installer's interface
    ) -> RecordEntry:
        """Write a file where ``--target`` puts it: headers nowhere, commands in ``bin/``."""
        name = package_path(os.fspath(path), self.distribution)
        if scheme == "scripts":
            self._write_script(name, with_portable_shebang(stream.read()))
        elif scheme != "headers":
            target = self._target(name)
            with target.open("wb") as output:
                shutil.copyfileobj(stream, output, 1 << 20)
            self._remember(name, target, executable=is_executable)
        return RecordEntry(name, None, None)

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        """Write the command of an entry point."""
        self._write_script(name, entry_point_script(name, module, attr, section))
        return RecordEntry(f"bin/{name}", None, None)

    def finalize_installation(
        self,
        scheme: Scheme,  # noqa: ARG002 - installer's interface
        record_file_path: str,
        records: Iterable[tuple[Scheme, RecordEntry]],  # noqa: ARG002 - installer's interface
    ) -> None:
        """Leave room for RECORD: what stays in the package is known only after slimming."""
        target = self._target(record_file_path)
        target.touch()
        self._remember(record_file_path, target)

    def _write_script(self, name: str, text: bytes) -> None:
        if self.scripts:
            path = package_path(f"bin/{name}", self.distribution)
            target = self._target(path)
            target.write_bytes(text)
            self._remember(path, target, executable=True)

    def _target(self, path: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _remember(self, path: str, target: Path, *, executable: bool = False) -> None:
        self.files[path] = File(
            path=path,
            source=target,
            size=target.stat().st_size,
            executable=executable,
            distribution=self.distribution,
            project=True,
        )
