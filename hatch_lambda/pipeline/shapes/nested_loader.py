"""Unpack the function's inner archive to /tmp, once for each container, and let imports find it.

This module runs in the function, not in the build: it is put into packages as ``hatch_lambda_nested``. So it takes
the standard library only, and little of that; every millisecond here is one of the cold start.

The archive is unpacked under a name of this process and then renamed, so whoever sees the folder sees all of it, and
of two that start together the second renames in vain and takes what is there. What a killed process left (Lambda ends
an initialization after ten seconds and begins anew in the same container) is taken over: a file that has its size is
whole.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
import threading
import zlib
from struct import Struct

TEMPORARY = "/tmp"  # noqa: S108 - the only folder that a function can write to
_END = Struct("<4s4H2LH")
_CENTRAL = Struct("<4s6H3L5H2L")
_LOCAL_SIZE = 30
_DEFLATED = 8
_AT_ONCE = 1 << 18
_CHUNK = 1 << 16
"""Bytes of a file, and of what it is packed to: small enough that memory is used again, not asked for anew."""
_MIB = 1 << 20
_MOST_THREADS = 6
"""Virtual CPUs of the largest function."""

Member = tuple[int, int, int, str, int, bool]
"""Bytes, bytes in the archive, method, path, offset of the header, executable?"""


def unpack(archive: str, parent: str = TEMPORARY) -> str:
    """Unpack *archive* to a folder in *parent* that is named after its content, unless it is there; return that."""
    descriptor = os.open(archive, os.O_RDONLY)
    try:
        content = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    finally:
        os.close(descriptor)
    *_, length, offset, _ = _END.unpack_from(content, len(content) - _END.size)
    directory = bytes(content[offset : offset + length])
    folder = f"{parent}/hatch-lambda-{zlib.crc32(directory):08x}{zlib.adler32(directory):08x}"
    if not _is_own(folder):
        members = sorted(_members(directory))  # the largest are begun first
        try:
            _unpack_once(content, members, folder)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size = sum(member[0] for member in members)
            raise RuntimeError(
                f"{parent} is full: the function's dependencies need {size // _MIB + 1} MB of ephemeral storage"
            ) from error
    return folder


def _members(directory: bytes) -> list[Member]:
    members = []
    position = 0
    while position < len(directory):
        _, _, _, _, method, _, _, _, packed, size, name, extra, comment, _, _, attributes, header = (
            _CENTRAL.unpack_from(directory, position)
        )
        position += _CENTRAL.size
        path = directory[position : position + name].decode()
        position += name + extra + comment
        if not path.endswith("/"):
            members.append((size, packed, method, path, header + _LOCAL_SIZE + name, bool(attributes >> 16 & 0o100)))
    return members


def _unpack_once(content: memoryview, members: list[Member], folder: str) -> None:
    new = _claim(folder)
    for directory in sorted({os.path.dirname(f"{new}/{member[3]}") for member in members}):
        os.makedirs(directory, exist_ok=True)
    _write_members(content, list(members), new)
    try:
        os.rename(new, folder)
    except OSError:
        if not _is_own(folder):
            raise
        _remove(new)


def _write_members(content: memoryview, members: list[Member], folder: str) -> None:
    """Write all *members*, on as many threads as there are processors: zlib and the writing leave the lock to them."""
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while members and not problems:
                _write(content, members.pop(), folder)
        except IndexError:  # another thread took the last
            pass
        except BaseException as problem:  # noqa: BLE001 - raised below, in the thread that waits
            problems.append(problem)

    threads = [threading.Thread(target=work) for _ in range(min(_MOST_THREADS, os.cpu_count() or 1) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def _claim(folder: str) -> str:
    """Return the folder to unpack to: what a dead process began, or a new one."""
    parent, base = os.path.split(folder)
    own = f"{folder}.{os.getpid()}"
    for name in os.listdir(parent):
        stem, _, process = name.rpartition(".")
        if stem == base and process.isdigit() and not _is_alive(int(process)) and _is_own(f"{parent}/{name}"):
            try:
                os.rename(f"{parent}/{name}", own)
            except OSError:  # somebody else was quicker, or this process has one by now
                continue
            break
    os.makedirs(own, exist_ok=True)
    return own


def _is_own(folder: str) -> bool:
    """Tell whether *folder* is one of this user, and no link: elsewhere than on Lambda /tmp is everybody's."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == getattr(os, "geteuid", int)()


def _is_alive(process: int) -> bool:
    """Tell whether another process that has this number is there; our own number is that of one before us."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _write(content: memoryview, member: Member, folder: str) -> None:
    size, packed, method, path, offset, executable = member
    target = f"{folder}/{path}"
    try:
        if os.stat(target).st_size == size:
            return
    except OSError:
        pass
    data = content[offset : offset + packed]
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755 if executable else 0o644)
    try:
        if method != _DEFLATED:
            _write_all(output, data)
        elif size <= _AT_ONCE:
            _write_all(output, zlib.decompress(data, -zlib.MAX_WBITS, size))
        else:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            for start in range(0, packed, _CHUNK):
                _write_all(output, inflate.decompress(data[start : start + _CHUNK]))
            if not inflate.eof:
                raise OSError(errno.EIO, "the inner archive is damaged", path)
    finally:
        os.close(output)


def _write_all(output: int, data: bytes | memoryview) -> None:
    while data:
        written = os.write(output, data)
        if written == len(data):
            return
        data = data[written:]


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _install() -> None:
    """Unpack what is beside this module, if there is anything, and put it right behind it on ``sys.path``."""
    here = os.path.dirname(os.path.abspath(__file__))
    archive = f"{here}/{__name__}.zip"
    if os.path.exists(archive):
        folder = unpack(archive)
        if folder not in sys.path:
            sys.path.insert(sys.path.index(here) + 1 if here in sys.path else len(sys.path) and 1, folder)


_install()
