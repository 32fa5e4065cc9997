"""The command ``hatch-lambda``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

from hatch_lambda.core import signals
from hatch_lambda.core.signals import INTERRUPTED, Interrupted, hear, stop_hearing

_ALLOCATIONS = 50_000
"""Objects after which the garbage collector looks at the youngest."""


def main() -> None:
    """Run the command line; every error that a user can cause ends in one message and its exit code."""
    hear()  # before anything is imported that takes time
    _collect_rarely()
    try:
        code = _run()
    except Interrupted as interrupted:
        code = interrupted.code
    stop_hearing()
    if signals.code() is not None:  # even if something on the way has held it
        code = signals.code()
        _say("interrupted; an older package was left as it is")
    sys.exit(code)


def _run() -> int | str | None:
    """Run the command line and return its exit code."""
    from hatch_lambda.cli.streams import OutputError, ReaderLeftError, discard, prepare

    prepare()
    try:
        code = _told()
        sys.stdout.flush()
    except Interrupted:
        discard()
        raise
    except ReaderLeftError:
        discard()
        return 1
    except OutputError as error:
        discard()
        _say(f"error: standard output: {error}\n hint: let it go where it can be written")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, no user can cause it
        _report(error)
        return 1
    return code


def _told() -> int | str | None:
    """Run the command line, print its error if there is one, and return its exit code."""
    import click

    from hatch_lambda.cli.commands import hatch_lambda
    from hatch_lambda.errors import HatchLambdaError

    try:
        _require_folder()
        hatch_lambda(standalone_mode=False)
    except click.exceptions.Abort:
        _say("interrupted; an older package was left as it is")
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HatchLambdaError as error:
        from hatch_lambda.cli.show import show_error

        show_error(error)
        return error.exit_code
    except Interrupted:
        raise
    except SystemExit as left:
        return left.code
    return 0


def _report(error: Exception) -> None:
    """Show an error that nobody foresaw: it may not happen again, so its traceback is shown without being asked for."""
    import traceback

    from hatch_lambda.cli.show import show_error
    from hatch_lambda.core.version import __version__
    from hatch_lambda.errors import InternalError
    from hatch_lambda.errors.secrets import masked

    _say(masked("".join(traceback.format_exception(error))).rstrip())
    show_error(InternalError(f"{type(error).__name__}: {error}", version=__version__))


def _require_folder() -> None:
    """Raise HatchLambdaError where the folder in which this was started is gone: no relative path means anything."""
    from hatch_lambda.errors import HatchLambdaError

    try:
        os.getcwd()  # noqa: PTH109 - to know whether there is one
    except OSError as error:
        raise HatchLambdaError(
            f"the current folder cannot be used: {error.strerror}", hint="it was removed, perhaps; go to another one"
        ) from error


def _say(text: str) -> None:
    with suppress(OSError, AttributeError):  # nobody may be there to hear it
        sys.stderr.write(f"{text}\n")


def _collect_rarely() -> None:
    """Look for cyclic garbage rarely, and not at the end: there is little, and a short run spends a sixth on it."""
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)
