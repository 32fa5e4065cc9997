"""What builds keep for later ones.

An entry is a file that holds its payload and, behind it, a trailer with the digest of its kind, its key and its
payload: what is truncated, damaged or moved is noticed, dropped and rebuilt. Entries come into being by rename
alone, so many builds may share a folder, on a network file system too, without any lock. A cache that cannot be
read or written makes builds slower, never fail. What of it may be removed is said in `workspace`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from msgspec import Struct, field

from hatch_lambda.core.files import (
    ABANDONED,
    NotRegularError,
    is_folder,
    is_marked,
    make_inside,
    open_regular,
    remove_abandoned,
    remove_beside,
)
from hatch_lambda.core.log import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


_log = logger(__name__)

FORMAT = "v1"
"""Name of the folder that holds the entries; another one when their form changes."""

SHARED = frozenset({"known", "parts", "sections"})
"""The kinds that machines share. What else there is holds paths of this machine or is made sooner than sent."""

DEFAULT_MAX_SIZE = 5_000_000_000
"""Bytes above which the least recently used entries go."""

LARGEST = 1 << 30
"""Bytes of an entry that is read into memory: far more than a function may have. What is larger is not ours."""

_SMALL = 1 << 20
"""Bytes of a file that is read as it is, for that costs less than to look at its end before."""

_TRAILER = struct.Struct("<8sQ32s")
_MAGIC = b"hatchlmb"
_AFTER_PRUNING = 0.8
_FILE = re.compile(r"[0-9a-f]{62}|\.[0-9a-f]{62}\.[0-9a-f]{8}\.tmp")
"""The name of an entry, and of one that is not finished; what has another name is not ours."""


class Remote(Protocol):
    """A second store behind the local one, shared by machines."""

    problem: str | None
    """What kept it from working."""

    def get(self, name: str) -> bytes | None:
        """Return the file *name*; None where it is not there or the store cannot be reached."""

    def put(self, name: str, content: bytes) -> None:
        """Store the file *name*, if that is allowed."""


class _State(Struct):
    """What a cache and its copies, which have one folder, know together."""

    written: bool = False


class Cache(Struct):
    """A store of payloads under a kind and a key; the key is a digest of all that the payload depends on."""

    root: Path | None
    """None: nothing is kept."""
    refresh: bool = False
    """Whether entries are written but not read."""
    max_size: int = DEFAULT_MAX_SIZE
    remote: Remote | None = None
    problems: dict[str, str] = field(default_factory=dict)
    """What kept it from working, each kind of problem told once."""
    _state: _State = field(default_factory=_State)

    def get(self, kind: str, key: str) -> memoryview | None:
        """Return the payload, checked against its digest; None where there is none that is whole."""
        content = self._read(kind, key)
        if content is not None:
            payload = _payload(content, kind, key)
            if payload is not None:
                _log.debug("hit: %s %s", kind, key)
                return payload
            _log.debug("damaged: %s %s", kind, key)
            self.drop(kind, key)
        fetched = self._fetch(kind, key)
        _log.debug("%s: %s %s", "miss" if fetched is None else "fetched", kind, key)
        return fetched

    def file(self, kind: str, key: str) -> Path | None:
        """Return the file of an entry, whose payload is at its beginning, without checking its content."""
        if self.root is None or self.refresh:
            return None
        path = self._path(kind, key)
        if _is_regular(path) or (self._fetch(kind, key) is not None and _is_regular(path)):
            _touch(path)
            return path
        return None

    def put(self, kind: str, key: str, payload: Buffer) -> None:
        """Keep *payload*, in the place of what was there."""
        content = memoryview(payload)
        trailer = _trailer(content.nbytes, hashlib.sha256(content).digest(), kind, key)
        if self.root is not None:
            self._write(self._path(kind, key), content, trailer)
        if self.remote is not None and kind in SHARED:
            self.remote.put(_name(kind, key), b"".join((content, trailer)))

    def adopt(self, kind: str, key: str, file: Path, sha256: str) -> Path:
        """Keep the payload that is in *file* and has the digest *sha256*, and return the file that begins with it.

        The file is moved, not copied, where that is possible; where it cannot be kept it stays where it is.
        """
        trailer = _trailer(file.stat().st_size, bytes.fromhex(sha256), kind, key)
        if self.remote is not None and kind in SHARED:
            self.remote.put(_name(kind, key), file.read_bytes() + trailer)
        if self.root is None:
            return file
        path = self._path(kind, key)
        try:
            with file.open("ab") as stream:
                stream.write(trailer)
            self._make_folder(path.parent)
            file.replace(path)
            self._state.written = True
        except OSError as error:
            if error.errno == errno.EXDEV:  # the build works on another disk
                self._write(path, file.read_bytes())
            else:
                self._note("the cache cannot be written", error, path.parent)
            return file
        return path

    def drop(self, kind: str, key: str) -> None:
        """Forget an entry."""
        if self.root is not None:
            path = self._path(kind, key)
            with suppress(OSError):
                self._require_own_folders(path.parent)
                path.unlink(missing_ok=True)

    def entries(self) -> Iterator[Entry]:
        """Yield every file of the store that is ours, in no order."""
        if self.root is None:
            return
        store = self.root / FORMAT
        marked = is_marked(store)
        for kind in _folders(store):
            for shard in _folders(kind):
                for found in _scanned(shard):
                    if _FILE.fullmatch(found.name) and (marked or _is_entry(Path(found.path))):
                        with suppress(OSError):
                            status = found.stat(follow_symlinks=False)
                            path = Path(found.path)
                            yield Entry(path=path, kind=kind.name, size=status.st_size, used=status.st_mtime)

    def prune(self, max_size: int | None = None) -> int:
        """Remove what is abandoned, and the least recently used until the rest fits; return the bytes freed."""
        limit = self.max_size if max_size is None else max_size
        freed = self._remove_abandoned()
        entries = sorted((entry for entry in self.entries() if not entry.unfinished), key=lambda entry: entry.used)
        size = sum(entry.size for entry in entries)
        if size <= limit:
            return freed
        for entry in entries:
            if size <= limit * _AFTER_PRUNING:
                break
            removed = entry.remove()
            size -= removed
            freed += removed
        _log.debug("pruned: %d bytes freed, %d left of at most %d", freed, size, limit)
        return freed

    def settle(self) -> list[str]:
        """End a build: keep the size limit if it added something, and return what did not work."""
        if self._state.written:
            self._state.written = False
            self.prune()
        remote = self.remote.problem if self.remote is not None else None
        return [*self.problems.values(), *([f"the shared cache was not used: {remote}"] if remote else [])]

    def clear(self) -> int:
        """Remove every entry, finished or not, and what is kept beside them; return the bytes of the entries."""
        freed = self._remove_abandoned() + sum(entry.remove() for entry in self.entries())
        if self.root is not None:
            remove_beside(self.root)
        return freed

    def _path(self, kind: str, key: str) -> Path:
        assert self.root is not None
        return self.root / FORMAT / kind / key[:2] / key[2:]

    def _read(self, kind: str, key: str) -> bytes | None:
        if self.root is None or self.refresh:
            return None
        path = self._path(kind, key)
        try:
            with open_regular(path) as stream:
                content = _whole(stream)
        except FileNotFoundError:
            return None
        except NotRegularError:
            content = None
        except OSError as error:
            self._note("the cache cannot be read", error, path)
            return None
        if content is None:
            self.drop(kind, key)
        else:
            _touch(path)
        return content

    def _fetch(self, kind: str, key: str) -> memoryview | None:
        if self.remote is None or self.refresh or kind not in SHARED:
            return None
        content = self.remote.get(_name(kind, key))
        payload = None if content is None else _payload(content, kind, key)
        if content is None or payload is None:
            return None
        if self.root is not None:
            self._write(self._path(kind, key), content)
        return payload

    def _write(self, path: Path, *parts: Buffer) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            self._make_folder(path.parent)
            with temporary.open("xb") as stream:
                for part in parts:
                    stream.write(part)
            temporary.replace(path)
            self._state.written = True
        except OSError as error:
            self._note("the cache cannot be written", error, path.parent)
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Make the *folder* of an entry; raise OSError where it would be reached through a link."""
        assert self.root is not None
        if not is_folder(folder):
            make_inside(self.root, FORMAT)
            folder.mkdir(parents=True, exist_ok=True)
        self._require_own_folders(folder)

    def _require_own_folders(self, folder: Path) -> None:
        assert self.root is not None
        for own in (self.root / FORMAT, folder.parent, folder):
            if own.is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, "a link is in the place of a folder", os.fspath(own))

    def _remove_abandoned(self) -> int:
        """Remove what killed builds left, once nobody can be using it: unfinished entries and workspaces."""
        if self.root is None:
            return 0
        remove_abandoned(self.root)
        oldest = time.time() - ABANDONED
        return sum(entry.remove() for entry in self.entries() if entry.unfinished and entry.used < oldest)

    def _note(self, problem: str, error: OSError, path: Path) -> None:
        _log.debug("%s: %s: %s", problem, error.strerror or error, path)
        self.problems.setdefault(problem, f"{problem}: {error.strerror or error}: {path}")


class Entry(Struct, frozen=True, kw_only=True):
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

    def remove(self) -> int:
        """Remove it, if that is possible, and return the bytes freed."""
        with suppress(OSError):
            self.path.unlink()
            return self.size
        return 0


def digest(*parts: object) -> str:
    """Return a key: the SHA-256 of *parts*, each by its ``repr`` and told apart from its neighbours."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _touch(path: Path) -> None:
    """Note that *path* was used now, where it is ours to say so."""
    with suppress(OSError):
        os.utime(path)


def _folders(folder: Path) -> Iterator[Path]:
    """Yield the folders in *folder*, and no links to any; nothing where it is one itself."""
    if is_folder(folder):
        yield from (path for path in map(Path, _scanned(folder)) if is_folder(path))


def _scanned(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _is_regular(path: Path) -> bool:
    """Tell whether a file is in the place of an entry, and nothing that leads or waits elsewhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _whole(stream: IO[bytes]) -> bytes | None:
    """Return the content of an entry; None for what is too large or does not end as one, of which little is read."""
    size = os.fstat(stream.fileno()).st_size
    if size > _SMALL:
        if size > LARGEST or not _has_trailer(stream):
            return None
        stream.seek(0)
    return stream.read(size)


def _has_trailer(stream: IO[bytes]) -> bool:
    """Tell whether a file ends as an entry of its size does; leave *stream* at its end."""
    payload = stream.seek(0, os.SEEK_END) - _TRAILER.size
    if payload < 0:
        return False
    stream.seek(payload)
    magic, size, _ = _TRAILER.unpack(stream.read(_TRAILER.size).ljust(_TRAILER.size))
    return (magic, size) == (_MAGIC, payload)


def _is_entry(path: Path) -> bool:
    """Tell whether the file at *path* ends as an entry does."""
    try:
        with open_regular(path) as stream:
            return _has_trailer(stream)
    except OSError:
        return False


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
