"""Run other programs: the only place of the project that starts a process."""

from __future__ import annotations

import errno
import logging
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hatch_lambda.core.log import logger
from hatch_lambda.core.signals import Shield, are_heard, at_exit, check, when_ending
from hatch_lambda.errors import CommandError, DiskFullError, MissingToolError, line_about_space, remedy
from hatch_lambda.errors.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_log = logger(__name__)

_OF_THE_MOMENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ETXTBSY, errno.EIO})
"""Why a program that is there cannot be started now."""

_CHUNK = 1 << 16
_MOMENT = 0.001
_GRACE = 2.0
"""Seconds that a program gets between the wish that it end and its end."""
_DRAINING = 1.0
"""Seconds to wait for the rest of a program's output, which its own children may keep open."""


def run(arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], tidies_up: bool = False) -> str:
    """Run a program to its end and return what it wrote to its standard output.

    Raises CommandError when it exits with anything but 0, with everything that it printed but what may be a secret;
    DiskFullError where it says that this is why; MissingToolError when it cannot be started. Once this process is
    about to end, only what *tidies_up* is started, and the end of any other program is no result.
    """
    with _start(arguments, cwd, environment, stderr=subprocess.PIPE, tidies_up=tidies_up) as process:
        try:
            if not tidies_up:
                check()
            output, errors = process.communicate()
        except BaseException:
            _end(process)
            raise
        finally:
            _note_end(process)
    if not tidies_up:
        check()
    if process.returncode != 0:
        shown = masked(" ".join([Path(arguments[0]).stem, *arguments[1:3]]))
        told = masked(_text(output) + _text(errors))
        if full := line_about_space(told):
            raise DiskFullError(f"`{shown}` failed: {full}", hint=remedy(OSError(errno.ENOSPC, "")))
        raise CommandError(shown, process.returncode, told)
    return _text(output)


def _text(output: bytes) -> str:
    """Return what a program wrote, with the line ends of this one."""
    return output.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


class TooSlowError(Exception):
    """Say that a program had not answered in time, which says nothing about what it would have answered."""


def ask(
    arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], seconds: float, most: int = 1 << 20
) -> str | None:
    """Return what a program answers that may be anything: None unless it ends well and with at most *most* bytes.

    Whatever it does, it and what it has started are gone afterwards. Raises TooSlowError.
    """
    deadline = time.monotonic() + seconds
    answer: list[bytes] = []
    try:
        process = _start(arguments, cwd, environment, stderr=subprocess.DEVNULL, alone=True)
    except MissingToolError:
        return None
    assert process.stdout is not None
    try:
        # A thread, for not every system can wait for a pipe and a clock at once.
        reader = threading.Thread(target=_read_most, args=(process.stdout, most, answer), daemon=True)
        reader.start()
        reader.join(seconds)
        if not answer:
            raise TooSlowError
        code = process.wait(max(0, deadline - time.monotonic())) if len(answer[0]) <= most else None
    except subprocess.TimeoutExpired:
        raise TooSlowError from None
    finally:
        _kill(process)
        process.wait()
        _note_end(process)
        check()
    return answer[0].decode("utf-8", "replace") if code == 0 else None


def _read_most(stream: IO[bytes], most: int, answer: list[bytes]) -> None:
    with stream:
        answer.append(stream.read(most + 1))


class _Program(subprocess.Popen[bytes]):
    """A program that was started here."""

    has_session = False
    """Whether it can be ended with all that it has started."""
    tidies_up = False
    """Whether it runs to its end even when this process is about to end."""
    cwd = Path()
    began = 0.0
    """For the log: where it runs, and when it was started."""


_running: dict[int, _Program] = {}


def _start(  # noqa: PLR0913 - what differs between those who start
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    *,
    stderr: int,
    tidies_up: bool = False,
    alone: bool = False,
) -> _Program:
    """Start a program, and note that it is to be ended when this process is.

    Where signals are ours to hear it gets a session of its own, so that it can be ended with all that it starts;
    else it stays among those whom a terminal's Ctrl-C reaches.
    """
    with Shield():
        if not tidies_up:
            check()
        try:
            process = _Program(
                list(arguments),
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=alone or are_heard(),
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in _OF_THE_MOMENT:
                raise
            fact = error.strerror if isinstance(error, OSError) else str(error)
            _log.debug("`%s` in %s cannot be run: %s", arguments[0], cwd, fact)
            raise MissingToolError(f"cannot run `{arguments[0]}` in {cwd}: {fact}") from error
        process.has_session = os.name != "nt" and (alone or are_heard())
        process.tidies_up = tidies_up
        process.cwd, process.began = cwd, time.monotonic()
        _running[process.pid] = process
    return process


def _note_end(process: _Program) -> None:
    """Forget a program that has ended, and log what it was and how long it took."""
    if _running.pop(process.pid, None) is None or not _log.isEnabledFor(logging.DEBUG):
        return
    import shlex

    assert isinstance(process.args, list)
    shown, code = shlex.join(process.args), process.returncode
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    _log.debug("`%s` in %s: %s after %.2f s", shown, process.cwd, how, time.monotonic() - process.began)


def _end(process: _Program) -> None:
    """End a program with what it has started: it may put its own things in order, but not for long."""
    _send(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    _kill(process)
    process.wait()


def _kill(process: _Program) -> None:
    _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def _send(process: _Program, number: int) -> None:
    with suppress(OSError):
        if process.has_session:
            os.killpg(process.pid, number)  # of those it has started, too, when it has ended itself
        else:
            process.send_signal(number)


def _end_all() -> None:
    """Let all that runs end, those soon that do not of themselves; whoever waits for one sees its end."""
    for process in tuple(_running.values()):
        if not process.tidies_up:
            _send(process, signal.SIGTERM)
    killer = threading.Timer(_GRACE, _kill_all)
    killer.daemon = True
    killer.start()


def _kill_all() -> None:
    for process in tuple(_running.values()):
        if not process.tidies_up:
            _kill(process)


def _kill_rest() -> None:
    for process in tuple(_running.values()):
        _kill(process)


when_ending(_end_all)
at_exit(_kill_rest, first=True)


class Child:
    """A program that runs beside us, and whose output is told as it comes."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], tell: Callable[[bytes], None]
    ) -> None:
        self._process = _start(arguments, cwd, environment, stderr=subprocess.STDOUT, alone=True)
        self.pid = self._process.pid
        self._telling = threading.Lock()
        self._reader = threading.Thread(target=self._read, args=(tell,), daemon=True)
        self._reader.start()

    def wait(self, seconds: float) -> int | None:
        """Return its exit code, negative for a signal; None if it still runs after *seconds*."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            check()
            return None
        except BaseException:
            self.kill()
            raise
        _kill(self._process)  # what it has started is of no use without it
        _note_end(self._process)
        check()
        self._reader.join(_DRAINING)
        return code

    def settle(self) -> None:
        """Return once all is told that it has written so far."""
        assert self._process.stdout is not None
        while self._reader.is_alive():
            with self._telling:
                if not select.select([self._process.stdout], [], [], 0)[0]:
                    return
            time.sleep(_MOMENT)

    def kill(self) -> None:
        """End it, and what it has started."""
        _kill(self._process)
        self._process.wait()
        _note_end(self._process)
        self._reader.join(_DRAINING)

    def _read(self, tell: Callable[[bytes], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            while select.select([stream], [], [])[0]:
                with self._telling:
                    chunk = os.read(stream.fileno(), _CHUNK)
                    tell(chunk)
                if not chunk:
                    break


def which(program: str, environment: Mapping[str, str]) -> str | None:
    """Return the absolute path of *program*: it will be run in other folders than this."""
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    return found and os.path.abspath(found)  # noqa: PTH100 - a symbolic link's own name may matter


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder of somebody else's: none where it is not there or cannot be read."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except (OSError, ValueError):
        return []
