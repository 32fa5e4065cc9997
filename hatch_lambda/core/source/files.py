"""Which files are code that Python can import, under which names, and their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.core.model import File


_SCRIPTS = "bin/"


def is_source(file: File) -> bool:
    """Tell whether *file* is Python source: a module, or a command in ``bin/``."""
    if file.path.endswith(".py"):
        return True
    return file.path.startswith(_SCRIPTS) and "." not in file.path


def is_binary_module(file: File) -> bool:
    """Tell whether *file* is an extension module or bytecode without source.

    A library with a name that is no identifier (``libfoo-1a2b.so.1``) can be linked, but not imported.
    """
    folder, _, name = file.path.rpartition("/")
    if not name.endswith((".so", ".pyc")) or folder.endswith("__pycache__"):
        return False
    return name.partition(".")[0].isidentifier()


def is_module(file: File) -> bool:
    """Tell whether an import statement can load *file*."""
    return file.path.endswith(".py") or is_binary_module(file)


def module_name(path: str) -> str:
    """Return the dotted name by which ``import`` finds the module at *path*, from the top of the package."""
    folder, _, name = path.rpartition("/")
    package = folder.replace("/", ".")
    stem = name.partition(".")[0]
    if stem == "__init__":
        return package
    return f"{package}.{stem}" if package else stem


def package_name(path: str) -> str:
    """Return the dotted name of the package against which the module at *path* resolves relative imports."""
    return path.rpartition("/")[0].replace("/", ".")


class Texts:
    """The bytes of files, each read once and kept for the next question."""

    def __init__(self) -> None:
        self._read: dict[str, bytes] = {}

    def of(self, file: File) -> bytes:
        """Return the bytes of the Python source *file*."""
        text = self._read.get(file.path)
        if text is None:
            text = self._read[file.path] = file.source.read_bytes()
        return text


ELF_MAGIC = b"\x7fELF"


def begins_with(file: File, beginnings: tuple[bytes, ...]) -> bool:
    """Tell whether the bytes of *file* begin with one of *beginnings*."""
    with file.source.open("rb") as stream:
        return stream.read(max(map(len, beginnings))).startswith(beginnings)


def contains(file: File, words: Iterable[bytes]) -> bool:
    """Tell whether one of *words* is anywhere in the bytes of *file*."""
    data = file.source.read_bytes()
    return any(word in data for word in words)


def is_managed(file: File) -> bool:
    """Tell whether a Windows binary holds code for .NET, which runs on Linux as well.

    By Microsoft's "PE Format": the optional header's fifteenth data directory, of the CLR, is not empty.
    """
    with file.source.open("rb") as stream:
        head = stream.read(4096)
    header = int.from_bytes(head[60:64], "little")
    optional = header + 24
    directories = optional + (112 if head[optional : optional + 2] == b"\x0b\x02" else 96)
    return any(head[directories + 14 * 8 : directories + 15 * 8])
