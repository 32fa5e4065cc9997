"""How a signal ends this process: at any moment, with the exit code of its kind, and nothing of ours left running.

The command asks for it; in the process of another program signals are that program's. The first signal raises
Interrupted in the main thread, so that everything on the way is undone as after an error, and whoever has something
to end hears of it at once. Later signals change nothing: the undoing is not undone.
"""

from __future__ import annotations

import atexit
import signal
import threading
from typing import TYPE_CHECKING, ClassVar, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


INTERRUPTED = 130
"""The exit code after Ctrl-C."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143, "SIGBREAK": 130}
"""What a shell reports for programs that these ended; the end of a terminal is a wish to end like any other."""


class Interrupted(SystemExit):
    """Leave the main thread; no ``except Exception`` on the way holds it."""


class Ending(BaseException):
    """Leave another thread: the process is about to end, and what comes of its work now is no result."""


class _State:
    """What has come, and what holds it up."""

    heard = False
    is_over = False
    code: int | None = None
    shields = 0
    when_ending: ClassVar[list[Callable[[], None]]] = []
    at_exit: ClassVar[list[Callable[[], None]]] = []


def hear() -> None:
    """Let signals end this process from now on, but for those that whoever started it lets it ignore."""
    _State.heard = True
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handler(_CODES[name]))
    atexit.register(_finish)


def stop_hearing() -> None:
    """Let signals change nothing any more: what there was to do is done."""
    _State.is_over = True


def are_heard() -> bool:
    """Tell whether signals are ours to hear."""
    return _State.heard


def code() -> int | None:
    """Return the exit code of the signal that came; None where none did."""
    return _State.code


def when_ending(call: Callable[[], None]) -> None:
    """Let *call* be called as soon as a signal comes."""
    _State.when_ending.append(call)


def at_exit(call: Callable[[], None], *, first: bool = False) -> None:
    """Let *call* be called after a signal, when no other thread is left; *first*: before all others."""
    _State.at_exit.insert(0 if first else len(_State.at_exit), call)


def check() -> None:
    """Raise Interrupted, or Ending in other threads than the main one, once a signal has come."""
    if _State.code is not None:
        _leave(_State.code)


class Shield:
    """Hold a signal up while something is begun and noted, or two steps belong together. It must be short."""

    def __enter__(self) -> None:
        if _is_main():
            _State.shields += 1

    def __exit__(self, *_: object) -> None:
        if _is_main():
            _State.shields -= 1
            if not _State.shields:
                check()


def _handler(number: int) -> Callable[..., None]:
    def handle(*_: object) -> None:
        if _State.is_over or _State.code is not None:
            return
        _State.code = number
        for end in _State.when_ending:
            end()
        if not _State.shields:
            raise Interrupted(number)

    return handle


def _leave(number: int) -> NoReturn:
    if _is_main():
        raise Interrupted(number)
    raise Ending


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _finish() -> None:
    """End what is left: a signal may have come between the beginning of something and the care for its end."""
    if _State.code is not None:
        for end in _State.at_exit:
            end()
