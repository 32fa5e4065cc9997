"""The folders that a function finds: ``/var/task``, ``/opt``, ``/var/runtime``, ``/var/lang``, or their stand-ins."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.archive import unpack
from hatch_lambda.invoking import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_lambda.model import Tree

_READ_ONLY, _WRITABLE = 0o555, 0o755
_IN_SANDBOX = {"task": "/var/task", "opt": "/opt", "runtime": "/var/runtime", "lang": "/var/lang"}


class Place(Struct, frozen=True, kw_only=True):
    """Where things are, as the function sees them, and how an interpreter is started there."""

    folder: Path
    """All of it, as this machine sees it."""
    interpreter: Path
    tree: Tree
    """The package's files."""
    emulator: tuple[str, ...] = ()
    """What runs an interpreter for another machine."""
    is_sandbox: bool = False

    @property
    def task(self) -> str:
        """The folder of the package."""
        return self._seen("task")

    @property
    def opt(self) -> str:
        """The folder of the layers."""
        return self._seen("opt")

    @property
    def runtime(self) -> str:
        """The folder of the runtime interface client."""
        return self._seen("runtime")

    @property
    def lang(self) -> str:
        """The folder of the interpreter."""
        return self._seen("lang")

    def python(self, *arguments: str) -> list[str]:
        """Return the command that starts the interpreter with *arguments*; it never writes bytecode."""
        command = [*self.emulator, f"{self.lang}/bin/python", "-B", *arguments]
        return sandbox.command(self.folder, self.interpreter, command) if self.is_sandbox else command

    @property
    def cwd(self) -> Path:
        """The folder in which that command has to be started."""
        return self.folder / "task"

    def _seen(self, name: str) -> str:
        return _IN_SANDBOX[name] if self.is_sandbox else str(self.folder / name)


@contextmanager
def laid_out(package: Path, layers: Sequence[Path], folder: Path, interpreter: Path) -> Iterator[Tree]:
    """Unpack *package* and *layers* below *folder*, beside *interpreter*, and yield the package's files.

    Their folders are read-only until the end.
    """
    tree = unpack(package, folder / "task")
    (folder / "task").mkdir(exist_ok=True)
    _lay(layers, folder)
    (folder / "runtime").mkdir()
    _make_lang(folder / "lang", interpreter)
    try:
        _set_modes(folder, _READ_ONLY)
        yield tree
    finally:
        _set_modes(folder, _WRITABLE)


def _lay(layers: Sequence[Path], folder: Path) -> None:
    """Put the layers over one another: a later one's files take the place of an earlier one's, as Lambda does it."""
    opt = folder / "opt"
    opt.mkdir()
    for number, layer in enumerate(layers):
        for file in unpack(layer, folder / f"layer-{number}"):
            destination = opt / file.path
            destination.parent.mkdir(parents=True, exist_ok=True)
            file.source.replace(destination)


def _make_lang(lang: Path, interpreter: Path) -> None:
    """Make an empty virtual environment: the interpreter with its standard library, and no other site-packages."""
    (lang / "bin").mkdir(parents=True)
    for name in ("python", "python3"):
        (lang / "bin" / name).symlink_to(interpreter)
    settings = f"home = {interpreter.parent}\ninclude-system-site-packages = false\n"
    (lang / "pyvenv.cfg").write_text(settings, encoding="utf-8")


def _set_modes(folder: Path, mode: int) -> None:
    """Let the package's and the layers' folders be written to by nobody, or by us again to remove them."""
    for name in ("task", "opt"):
        for directory, _, _ in os.walk(folder / name):
            Path(directory).chmod(mode)
