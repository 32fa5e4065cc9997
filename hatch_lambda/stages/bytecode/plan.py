"""Deciding which modules are compiled, where their bytecode goes, and which sources it can stand in for."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from hatch_lambda.core.codec import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hatch_lambda.core.model import File, Tree


_SUFFIX = ".py"
_NAMED = re.compile(rb"""\.py["']""")
"""What code says that opens a source by its name, or looks for sources by their suffix."""

_STEM = re.compile(rb"""[^\s"'/\\]*\Z""")
_LONGEST = 80
"""Bytes in which the last part of a name is looked for."""


class CompileOptions(Struct, frozen=True, kw_only=True):
    """Say how a package's modules are compiled: all that the bytes and their names depend on beside the sources."""

    layout: Literal["include", "only"]
    """Beside the sources in ``__pycache__``, or in their place."""
    optimize: int
    """What ``compile`` makes of it: 1 leaves assertions out, 2 docstrings too."""
    interpreter: str
    """The full version of the interpreter that compiles."""
    root: str = "/var/task"
    """Where the package is on Lambda: what tracebacks and ``__code__.co_filename`` say."""

    @property
    def cache_tag(self) -> str:
        """What stands in the names of cached modules (PEP 3147)."""
        major, minor, _ = self.interpreter.split(".")
        return f"cpython-{major}{minor}"


class Compilation(Struct, frozen=True, kw_only=True):
    """One module to compile."""

    source: File
    path: str
    """Where the bytecode goes."""
    replaces_source: bool
    reason: str
    """Why the source stays, or does not."""


def plan(tree: Tree, options: CompileOptions) -> Iterator[Compilation]:
    """Yield what is to be compiled of *tree*, in its order.

    That is every module but those that nobody can import: with an extension module of the same name beside it,
    which comes first, or in a folder of a dependency whose name is no identifier.

    Python without ``-O``, as Lambda starts it, looks for names without ``.opt-N``: they are what an optimized
    module is called, too.
    """
    modules = [file for file in tree if file.path.endswith(_SUFFIX)]
    extensions = {file.path.rpartition("/")[0] + "/" + _stem(file) for file in tree if file.path.endswith(".so")}
    kept = _read_at_run_time(modules) if options.layout == "only" else {}
    for file in modules:
        folder, _, _ = file.path.rpartition("/")
        if f"{folder}/{_stem(file)}" in extensions or not (file.project or _is_importable(folder)):
            continue
        prefix = f"{folder}/" if folder else ""
        name = file.parts[-1].removesuffix(_SUFFIX)
        replaces = options.layout == "only" and file.path not in kept
        yield Compilation(
            source=file,
            path=f"{prefix}{name}.pyc" if replaces else f"{prefix}__pycache__/{name}.{options.cache_tag}.pyc",
            replaces_source=replaces,
            reason="its bytecode takes its place" if replaces else kept.get(file.path, "its bytecode is beside it"),
        )


def _stem(file: File) -> str:
    return file.parts[-1].partition(".")[0]


def _is_importable(folder: str) -> bool:
    return all(map(str.isidentifier, folder.split("/"))) if folder else True


def _read_at_run_time(modules: Iterable[File]) -> Mapping[str, str]:
    """Return the sources that something reads, as far as that can be told, each with the reason why it stays."""
    sources = list(modules)
    packages = {file.path.removesuffix("__init__.py") for file in sources if file.parts[-1] == "__init__.py"}
    kept: dict[str, str] = {}
    folders: dict[str, str] = {}
    names: dict[tuple[str | None, str], str] = {}
    for file in sources:
        folder = file.path.removesuffix(file.parts[-1])
        if folder and folder not in packages:
            kept[file.path] = "in a folder without __init__.py it may be data"
        content = file.source.read_bytes()
        if reason := _given_to_a_reader(file, content):
            kept[file.path] = reason
        for match in _NAMED.finditer(content):
            name = _name_before(content, match.start())
            if name.isidentifier():
                names[file.distribution, f"{name}{_SUFFIX}"] = file.path
            else:
                folders.setdefault(folder, file.path)
    for file in sources:
        if who := names.get((file.distribution, file.parts[-1])):
            kept.setdefault(file.path, f"{who} names it")
        for depth in range(len(file.parts)):
            folder = "".join(f"{part}/" for part in file.parts[:depth])
            if who := folders.get(folder):
                kept.setdefault(file.path, f"{who} may look for sources")
    return kept


def _name_before(content: bytes, end: int) -> str:
    """Return the part of a file's name, or of a pattern, that ends at *end*."""
    match = _STEM.search(content[max(0, end - _LONGEST) : end])
    return match[0].decode("utf-8", "replace") if match else ""


def _given_to_a_reader(file: File, content: bytes) -> str | None:
    names, pattern = _readers()
    if (match := pattern.search(content)) or file.distribution in names:
        return names[match[1].decode() if match else str(file.distribution)]
    return None


class _SourceReader(Struct, frozen=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    reason: str


class _SourceReaders(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``source-readers.toml``."""

    reader: tuple[_SourceReader, ...]


@cache
def _readers() -> tuple[dict[str, str], re.Pattern[bytes]]:
    """Return who reads sources, and what finds the code that imports them."""
    readers = load("stages/bytecode/source-readers.toml", _SourceReaders).reader
    names = {name: reader.reason for reader in readers for name in reader.names}
    alternatives = "|".join(map(re.escape, names)).encode()
    return names, re.compile(rb"^[ \t]*(?:from|import)[ \t]+(" + alternatives + rb")\b", re.MULTILINE)
