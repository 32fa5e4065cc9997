"""Errors that a user can cause, each kind with an exit code of its own.

A message says where and what; the hint says what to do about it. Doors print both and never show a
traceback for an error of this family.
"""

from __future__ import annotations

import errno
import re
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_lambda.errors.printable import printable
from hatch_lambda.errors.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Iterator


_LONGEST = 1000
"""Characters of a line: what somebody wrote may be in it, as long as a file may be."""


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} … ({len(line)} characters)"


class HatchLambdaError(Exception):
    """Report a fact and its remedy; the base of every error that a user can cause."""

    exit_code = 1
    """What the command exits with. 2 is left to click, for unusable command lines."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = "\n".join(map(_shortened, printable(masked(message)).split("\n")))
        self.hint = None if hint is None else printable(masked(hint))
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigurationError(HatchLambdaError):
    """Report what is wrong in ``pyproject.toml`` or in an option given to a door."""

    exit_code = 3


class LockError(HatchLambdaError):
    """Report a lock file that is missing, unreadable, stale or without a file for the target."""

    exit_code = 4


class InstallError(HatchLambdaError):
    """Report a distribution, or the project, that cannot be brought into the package."""

    exit_code = 5


class ArchiveError(HatchLambdaError):
    """Report a package that cannot be written."""

    exit_code = 6


class VerificationError(HatchLambdaError):
    """Report a package that was made and would not work on Lambda."""

    exit_code = 7


class MissingToolError(HatchLambdaError):
    """Report a program that is needed and not to be found."""

    exit_code = 8


class CommandError(HatchLambdaError):
    """Report a program that failed, with the last lines that it printed."""

    def __init__(self, command: str, returncode: int, output: str) -> None:
        super().__init__(f"`{command}` failed with exit code {returncode}")
        self.command = command
        self.returncode = returncode
        self.output = output

    def tail(self, lines: int = 12) -> str:
        """Return the last lines of the output, indented, for a message about the failure.

        A program that a signal ended, as the system does where memory or a limit is exceeded, could not say why.
        """
        kept = [line for line in self.output.splitlines() if line.strip()][-lines:]
        if self.returncode < 0:
            kept.append(f"it was ended by the signal {_signal(-self.returncode)}")
        elif not kept:
            kept.append(f"it said nothing, and ended with exit code {self.returncode}")
        return "\n".join(f"    {line}" for line in kept)


class InternalError(HatchLambdaError):
    """Report a fault of hatch-lambda itself, and ask for what its maintainers need to find it."""

    def __init__(self, message: str, *, version: str) -> None:
        super().__init__(
            f"internal error: {message}",
            hint=f"this is a fault of hatch-lambda {version}: please report it, with what the same command shows with"
            " --debug (`hatch -vvv build`)",
        )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of real time, or of another system
        return str(number)


class DiskFullError(HatchLambdaError):
    """Report that a program found no room on a disk: true for a moment, and no fact about what it was to do."""


_SPACE = "make room on that disk, or let HATCH_LAMBDA_CACHE_DIR, UV_CACHE_DIR and TMPDIR name folders on another"
_OURS = "if nothing else changed files meanwhile, this is a fault of hatch-lambda: please report it, with the command"
_REMEDIES = {
    errno.ENOSPC: f"check the free space: {_SPACE}",
    getattr(errno, "EDQUOT", errno.ENOSPC): f"check the free space that your quota leaves: {_SPACE}",
    errno.EFBIG: "check the free space and the largest file that is allowed (`ulimit -f`)",
    errno.EROFS: "this disk can only be read; name a folder on another",
    errno.EMFILE: "let this program open more files at once (`ulimit -n`)",
    errno.ENFILE: "this machine has too many files open; end other programs, or allow more",
    errno.ENAMETOOLONG: "use a folder with a shorter path, or shorter names",
    errno.EIO: "the disk, or the network that it is reached by, fails; look into the system's log",
    errno.ETXTBSY: "a program runs from this file, or it is being written; try again when that is over",
    errno.ELOOP: "a symbolic link leads back to itself; fix or remove it",
    errno.ENOMEM: "end other programs, or build where there is more memory",
    errno.EAGAIN: "end other programs, or allow more processes (`ulimit -u`)",
    **dict.fromkeys((errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EBADF, errno.EINVAL), _OURS),
}
_FULL = re.compile(
    r"^.*(?:No space left on device|[Dd]isk quota exceeded|not enough space on the disk).*$", re.MULTILINE
)


def remedy(error: OSError) -> str:
    """Return what can be done about what this machine refused."""
    return _REMEDIES.get(error.errno or 0, "check the permissions there, and the free space")


def line_about_space(output: str) -> str | None:
    """Return the line in which a program says that a disk is full, if it does."""
    found = _FULL.search(output)
    return found and found[0].strip()


@contextmanager
def machine_errors() -> Iterator[None]:
    """Turn what this machine refuses (no space left, no permission) into an error with a remedy."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise HatchLambdaError(f"{where}{error.strerror or error}", hint=remedy(error)) from error
