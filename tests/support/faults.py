"""File operations that fail at a chosen point: what a kill, an interruption or a full disk does, at every point.

Python tells an audit hook (PEP 578) of each operation before it does it, whichever function asked for it; only what is
written to an open file is not told, so files are opened through us.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import sys
from contextlib import contextmanager
from pathlib import Path

_PATHS = {
    "os.chmod": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}
"""The operations that change files, each with the number of paths that it begins with; the last one changes."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NEED_ROOM = {"open", "write", "os.link", "os.mkdir", "os.rename", "os.symlink"}
_open = io.open
_active: list[Faults] = []
_hooked: list[bool] = []


class Killed(BaseException):
    """Stands for the end of the process: nothing in the tool may catch it."""


class Faults:
    """Count the operations below some folders, and let the one of a number fail."""

    def __init__(self, *folders: Path, at: int | None, fault) -> None:
        self.folders = [os.path.realpath(folder) for folder in folders]
        self.at = at
        self.fault = fault
        self.done: list[tuple[str, str]] = []

    def meet(self, operation: str, path) -> None:
        if isinstance(path, int) or not self.concerns(os.path.abspath(os.fsdecode(path))):  # noqa: PTH100 - as named
            return
        self.done.append((operation, os.fsdecode(path)))
        if self.at is not None and len(self.done) >= self.at:
            self.fault(self, operation, os.fsdecode(path))

    def concerns(self, path: str) -> bool:
        return any(path == folder or path.startswith(folder + os.sep) for folder in self.folders)

    @property
    def is_first(self) -> bool:
        return len(self.done) == self.at


def kill(faults: Faults, operation: str, path: str) -> None:
    """Let nothing happen any more, no tidying up either."""
    raise Killed(f"{len(faults.done)}: {operation} {path}")


def interrupt(faults: Faults, operation: str, path: str) -> None:
    """Stop once, as a signal does: what tidies up is done."""
    if faults.is_first:
        raise Killed(f"{faults.at}: {operation} {path}")


def fill_disk(faults: Faults, operation: str, path: str) -> None:
    """Let nothing happen any more that needs room. As in reality, a write does not say to which file."""
    if operation == "write":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if operation in _NEED_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def die(faults: Faults, operation: str, path: str) -> None:
    """End the process, really."""
    os._exit(77)


@contextmanager
def faults(*folders: Path, at: int | None = None, fault=kill):
    """Let the operation *at*, counted from 1, below *folders* meet its *fault*; without *at* only count."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hook)
    met = Faults(*folders, at=at, fault=fault)
    _active.append(met)
    io.open = builtins.open = _opened
    try:
        yield met
    finally:
        io.open = builtins.open = _open
        _active.remove(met)


def _hook(event: str, arguments: tuple) -> None:
    if not _active:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(path, str | bytes | os.PathLike) and flags & _WRITING:
            _active[-1].meet(event, path)
    elif event in _PATHS:
        _active[-1].meet(event, arguments[_PATHS[event] - 1])


def _opened(file, mode="r", *arguments, **options):
    stream = _open(file, mode, *arguments, **options)
    if not _active or set(mode).isdisjoint("wxa+") or isinstance(file, int):
        return stream
    return _Writing(stream, _active[-1], file)


class _Writing:
    """A file whose writes are counted."""

    def __init__(self, stream, met: Faults, path) -> None:
        self._stream, self._met, self._path = stream, met, path

    def write(self, content):
        self._met.meet("write", self._path)
        return self._stream.write(content)

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __enter__(self):
        self._stream.__enter__()
        return self

    def __exit__(self, *error):
        return self._stream.__exit__(*error)

    def __iter__(self):
        return iter(self._stream)


def main() -> None:
    """Run the command after the arguments FOLDER and NUMBER, and die at that operation below the folder."""
    from hatch_lambda.cli import main as command

    _, folder, number, *rest = sys.argv
    sys.argv = ["hatch-lambda", *rest]
    with faults(Path(folder), at=int(number), fault=die):
        command()


if __name__ == "__main__":
    main()
