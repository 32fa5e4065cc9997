"""What builds keep: their workspaces while they run, and afterwards what later builds can use.

An entry is a file that holds its payload and, behind it, a trailer with the digest of its kind, its key and its
payload: what is truncated, damaged or moved is noticed, dropped and made anew. Entries come into being by rename
alone, so many builds may share a folder, on a network file system too, without any lock. A cache that cannot be
read or written makes builds slower, never fail.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

FORMAT = "v1"
"""Name of the folder that holds the entries; another one when their form changes."""

DEFAULT_MAX_SIZE = 5_000_000_000
"""Bytes above which the least recently used entries go."""

_TRAILER = struct.Struct("<8sQ32s")
_MAGIC = b"hatchlmb"
_ABANDONED = 24 * 3600
_AFTER_PRUNING = 0.8
_WAITING = 16


class Remote(Protocol):
    """A second store behind the local one, shared by machines."""

    problem: str | None
    """What kept it from working."""

    def get(self, name: str) -> bytes | None:
        """Return the file *name*; None where it is not there or the store cannot be reached."""

    def put(self, name: str, content: bytes) -> None:
        """Store the file *name*, if that is allowed."""


@dataclass(slots=True)
class Cache:
    """A store of payloads under a kind and a key; the key is a digest of all that the payload depends on."""

    root: Path | None
    """None: nothing is kept."""
    refresh: bool = False
    """Whether entries are written but not read."""
    max_size: int = DEFAULT_MAX_SIZE
    remote: Remote | None = None
    problems: list[str] = field(default_factory=list)
    """What kept it from working, each told once."""
    _written: bool = False

    def get(self, kind: str, key: str) -> memoryview | None:
        """Return the payload, checked against its digest; None where there is none that is whole."""
        content = self._read(kind, key)
        if content is not None:
            payload = _payload(content, kind, key)
            if payload is not None:
                return payload
            self.drop(kind, key)
        return self._fetch(kind, key)

    def file(self, kind: str, key: str) -> Path | None:
        """Return the file of an entry, whose payload is at its beginning, without checking its content."""
        if self.root is None or self.refresh:
            return None
        path = self._path(kind, key)
        with suppress(OSError):
            os.utime(path)
            return path
        return path if self._fetch(kind, key) is not None and path.is_file() else None

    def put(self, kind: str, key: str, payload: Buffer) -> None:
        """Keep *payload*; whoever comes second with the same key changes nothing."""
        content = memoryview(payload)
        trailer = _trailer(content.nbytes, hashlib.sha256(content).digest(), kind, key)
        if self.root is not None:
            self._write(self._path(kind, key), content, trailer)
        if self.remote is not None:
            self.remote.put(_name(kind, key), b"".join((content, trailer)))

    def adopt(self, kind: str, key: str, file: Path, sha256: str) -> Path:
        """Keep the payload that is in *file* and has the digest *sha256*, and return the file that begins with it.

        The file is moved, not copied, where that is possible; where it cannot be kept it stays where it is.
        """
        trailer = _trailer(file.stat().st_size, bytes.fromhex(sha256), kind, key)
        if self.remote is not None:
            self.remote.put(_name(kind, key), file.read_bytes() + trailer)
        if self.root is None:
            return file
        path = self._path(kind, key)
        try:
            with file.open("ab") as stream:
                stream.write(trailer)
            path.parent.mkdir(parents=True, exist_ok=True)
            file.replace(path)
            self._written = True
        except OSError as error:
            self._note(f"the cache cannot be written: {error.strerror}: {path.parent}")
            return file
        return path

    def drop(self, kind: str, key: str) -> None:
        """Forget an entry."""
        if self.root is not None:
            with suppress(OSError):
                self._path(kind, key).unlink(missing_ok=True)

    def entries(self) -> Iterator[Entry]:
        """Yield every file of the store, in no order."""
        if self.root is None:
            return
        for folder, _, names in os.walk(self.root / FORMAT):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    status = path.stat()
                    yield Entry(path=path, kind=Path(folder).parent.name, size=status.st_size, used=status.st_mtime)

    def prune(self, max_size: int | None = None) -> int:
        """Remove what is abandoned, and the least recently used until the rest fits; return the bytes freed."""
        limit = self.max_size if max_size is None else max_size
        freed = self._remove_abandoned(time.time())
        entries = sorted((entry for entry in self.entries() if not entry.unfinished), key=lambda entry: entry.used)
        size = sum(entry.size for entry in entries)
        if size <= limit:
            return freed
        for entry in entries:
            if size <= limit * _AFTER_PRUNING:
                break
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
                size -= entry.size
                freed += entry.size
        return freed

    def settle(self) -> list[str]:
        """End a build: keep the size limit if it added something, and return what did not work."""
        if self._written:
            self._written = False
            self.prune()
        remote = self.remote.problem if self.remote is not None else None
        return [*self.problems, *([f"the shared cache was not used: {remote}"] if remote else [])]

    def clear(self) -> int:
        """Remove every entry and return the bytes freed."""
        freed = sum(entry.size for entry in self.entries())
        if self.root is not None:
            shutil.rmtree(self.root / FORMAT, ignore_errors=True)
        return freed

    def _path(self, kind: str, key: str) -> Path:
        assert self.root is not None
        return self.root / FORMAT / kind / key[:2] / key[2:]

    def _read(self, kind: str, key: str) -> bytes | None:
        if self.root is None or self.refresh:
            return None
        path = self._path(kind, key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"the cache cannot be read: {error.strerror}: {path}")
            return None
        with suppress(OSError):
            os.utime(path)
        return content

    def _fetch(self, kind: str, key: str) -> memoryview | None:
        if self.remote is None or self.refresh:
            return None
        content = self.remote.get(_name(kind, key))
        payload = None if content is None else _payload(content, kind, key)
        if content is None or payload is None:
            return None
        if self.root is not None:
            self._write(self._path(kind, key), payload, memoryview(content)[len(payload) :])
        return payload

    def _write(self, path: Path, *parts: Buffer) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as stream:
                for part in parts:
                    stream.write(part)
            temporary.replace(path)
            self._written = True
        except OSError as error:
            self._note(f"the cache cannot be written: {error.strerror}: {path.parent}")
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _remove_abandoned(self, now: float) -> int:
        """Remove what killed builds left: unfinished entries and workspaces, once nobody can be using them."""
        freed = 0
        if self.root is None:
            return freed
        for entry in list(self.entries()):
            if entry.unfinished and now - entry.used > _ABANDONED:
                with suppress(OSError):
                    entry.path.unlink(missing_ok=True)
                    freed += entry.size
        work = self.root / "work"
        for folder in work.iterdir() if work.is_dir() else ():
            with suppress(OSError):
                if now - folder.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
        return freed

    def _note(self, problem: str) -> None:
        if problem.partition(":")[0] not in {known.partition(":")[0] for known in self.problems}:
            self.problems.append(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the store."""

    path: Path
    kind: str
    size: int
    used: float
    """When it was last used, in seconds since 1970."""

    @property
    def unfinished(self) -> bool:
        """Whether it is still being written, or its writer was killed."""
        return self.path.name.endswith(".tmp")


def digest(*parts: object) -> str:
    """Return a key: the SHA-256 of *parts*, each by its ``repr`` and told apart from its neighbours."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _name(kind: str, key: str) -> str:
    return f"{FORMAT}/{kind}/{key[:2]}/{key[2:]}"


def _trailer(size: int, sha256: bytes, kind: str, key: str) -> bytes:
    """Return what vouches for a payload of *size* bytes with the digest *sha256* under this key, and no other."""
    return _TRAILER.pack(_MAGIC, size, hashlib.sha256(f"{kind}/{key}\n".encode() + sha256).digest())


def _payload(content: bytes, kind: str, key: str) -> memoryview | None:
    """Return the payload of an entry's *content* if the trailer vouches for it."""
    view = memoryview(content)
    payload, trailer = view[: -_TRAILER.size], view[-_TRAILER.size :]
    whole = trailer == _trailer(payload.nbytes, hashlib.sha256(payload).digest(), kind, key)
    return payload if whole else None


@contextmanager
def workspace(cache_dir: Path | None) -> Iterator[Path]:
    """Give a build a folder of its own that is removed afterwards, whatever happens.

    It lies below *cache_dir*, which is usually on uv's file system, so that uv can link instead of copying;
    where that cannot be written it is a temporary folder of the system.
    """
    folder = _new_folder(cache_dir)
    try:
        yield folder
    finally:
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove *folder* and all that is in it, as far as that is possible.

    Removing a directory is mostly waiting, a millisecond for each, so many are removed at a time, deepest first.
    """
    by_depth: dict[int, list[str]] = {}
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names:
            with suppress(OSError):
                os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118 - thousands of them
        by_depth.setdefault(directory.count(os.sep), []).append(directory)
    with ThreadPoolExecutor(max_workers=_WAITING) as pool:
        for depth in sorted(by_depth, reverse=True):
            list(pool.map(_remove_directory, by_depth[depth]))
    shutil.rmtree(folder, ignore_errors=True)


def _remove_directory(directory: str) -> None:
    with suppress(OSError):
        os.rmdir(directory)  # noqa: PTH106 - os.walk gives strings


def _new_folder(cache_dir: Path | None) -> Path:
    if cache_dir is not None:
        with suppress(OSError):
            parent = cache_dir / "work"
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=parent, prefix="build-")).resolve()
    return Path(tempfile.mkdtemp(prefix="hatch-lambda-")).resolve()
