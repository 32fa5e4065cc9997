"""Make standard output and standard error safe to write to: either may be closed, full, or a pipe without a reader."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


_LAST_STANDARD = 2


class ReaderLeftError(Exception):
    """Say that nobody reads standard output any more; not an OSError, which might be that of any file."""


class OutputError(Exception):
    """Say why standard output cannot be written."""


class _Output(io.FileIO):
    """Standard output, of which a failure is told from those of other files."""

    def write(self, data: Buffer, /) -> int:
        """Write, or raise ReaderLeftError or OutputError."""
        try:
            return super().write(data)
        except OSError as error:
            # Windows calls a pipe without a reader an invalid argument.
            gone = isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)
            raise (ReaderLeftError() if gone else OutputError(error.strerror or str(error))) from error


class _Errors(io.FileIO):
    """Standard error: that something cannot be told is no reason to fail."""

    def write(self, data: Buffer, /) -> int:
        """Write, if that is possible."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare() -> None:
    """Make standard streams of what there is.

    Who closed one of them wants nothing to be read from it or written to it. Without one in its place, the next file
    that is opened would be it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 - it has no name
    os.close(descriptor)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(sys.stdout, _Output, 1)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _wrapped(sys.stderr, _Errors, 2)


def _wrapped(stream: io.TextIOBase | object, kind: type[io.FileIO], descriptor: int) -> io.TextIOWrapper:
    """Return a stream like *stream*, if there is one; a name that it cannot show is no reason to fail."""
    if not isinstance(stream, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(kind(descriptor, "w", closefd=False)), "utf-8", "backslashreplace")
    if stream.isatty():  # it is never full, and Windows' is more than a file
        stream.reconfigure(errors="backslashreplace")
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(kind(descriptor, "w", closefd=False)),
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def discard() -> None:
    """Send the rest of standard output to the null device, so that the interpreter can flush it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
