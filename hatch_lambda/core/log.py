"""One logger for each module: what was decided and which commands ran, at debug level and without secrets.

``logging`` costs no start-up: ``concurrent.futures``, which every build needs, imports it, too.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.errors.printable import printable
from hatch_lambda.errors.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_ALL = "hatch_lambda"
_COMMANDS = f"{_ALL}.core.process"
"""The logger of the one module that runs commands."""


def logger(name: str) -> logging.Logger:
    """Return the logger of the module *name*; its records hold no secret, whoever handles them."""
    made = logging.getLogger(name)
    made.addFilter(_without_secrets)
    return made


@contextmanager
def listening(tell: Callable[[str], None], *, everything: bool) -> Iterator[None]:
    """Call *tell* with a line for each command that ends, or with *everything* that is logged, tracebacks too.

    >>> with listening(print, everything=True):  # doctest: +SKIP
    ...     build("service")
      0.412 core.process: `uv --version` in /tmp/build-1: exit code 0 after 0.01 s
    """
    heard = logging.getLogger(_ALL if everything else _COMMANDS)
    level, handler = heard.level, _Handler(tell)
    heard.addHandler(handler)
    heard.setLevel(logging.DEBUG)
    try:
        yield
    except HatchLambdaError:
        logger(__name__).debug("this error is the end of it", exc_info=True)
        raise
    finally:
        heard.removeHandler(handler)
        heard.setLevel(level)


class _Handler(logging.Handler):
    """Hand each record on as text, with the seconds since the start."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Hand *record* on."""
        name = record.name.removeprefix(f"{_ALL}.")
        self._tell(f"{record.relativeCreated / 1000:7.3f} {name}: {record.getMessage()}")


def _without_secrets(record: logging.LogRecord) -> bool:
    """Put the whole text of *record*, its traceback too, in the place of its parts, once secrets are masked."""
    text = record.getMessage()
    if record.exc_info is not None and record.exc_info[1] is not None:
        text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    record.msg, record.args, record.exc_info = printable(masked(text)), (), None
    return True
