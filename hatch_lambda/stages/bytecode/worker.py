"""Compile modules to bytecode: a program for the target's interpreter, from 3.9 on, that imports nothing of ours.

``python -S -B worker.py BATCH``: BATCH is a JSON file, a list of ``[source, filename, optimize, destination]``. Beside
it a file with the suffix ``.done`` gets a line for each module as soon as it is done: null if it was compiled, else
the reason why it never will be, as a text. So it also tells at which module this program ended before its time.

Only what is wrong with a module is such a reason. What this machine lacks ends the program: memory with the exit code
71, and what keeps a file from being read or written with 74 and a line on standard error (sysexits.h).

The same module gives the same bytes, whatever this process has done before. By themselves ``marshal`` notes whether
anybody else refers to an object and whether a string is interned, and the compiler builds some sets twice: that
depends on other modules.
"""

from __future__ import annotations

import _thread
import gc
import json
import marshal
import os
import sys
import warnings
from importlib.util import MAGIC_NUMBER, source_hash
from operator import is_
from types import CodeType

TYPE_CHECKING = False  # `typing` takes as long to import as a few modules to compile
if TYPE_CHECKING:
    from collections.abc import Callable

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""The flags of PEP 552: the source's digest follows, and nobody compares it. A date would be stale in a package."""

_IS_UNSTABLE = sys.version_info < (3, 11)
"""Whether marshal marks an interned string as shared only if it happens to be (bpo-34093), and does not sort sets
(bpo-37596)."""


NO_MEMORY, NO_FILE = 71, 74

_DEPTH = 1000
"""Calls in calls after which Python gives up: its own default, whatever a patched one has."""

_STACK = 1 << 26
"""Bytes of stack to compile on. How deeply modules may be nested must not depend on what a shell allows."""

_PER_BYTE, _AT_LEAST = 1000, 1 << 26
"""Bytes of memory that compile a byte of source: in the worst of many modules 760; and those for a small one."""


class TooComplexError(ValueError):
    """Tell that a module is nested more deeply than Python's parser can follow."""


class _UnreproducibleError(ValueError):
    """Tell that the same module may give other bytes next time."""


def pyc(source: bytes, filename: str, optimize: int) -> bytes:
    """Return the content of the ``.pyc`` for the *source* of a module, which will be at *filename* on Lambda.

    Raises what :func:`code_of` and ``marshal`` raise.
    """
    code = code_of(source, filename, optimize)
    held: list[object] = []
    if _IS_UNSTABLE:
        code = _with_ordered_sets(code)
        held = _everything_in(code)
    content = b"".join((MAGIC_NUMBER, _UNCHECKED_HASH, source_hash(source), marshal.dumps(code)))
    held.clear()
    return content


def code_of(source: bytes, filename: str, optimize: int) -> CodeType:
    """Compile *source*. Raises what ``compile`` raises, but MemoryError only if there is too little memory.

    A parser whose own stack is full raises that, too: with a text from 3.12 on, before that without. It does so again
    where there is memory in plenty.
    """
    code = _code_of(source, filename, optimize) or _code_of(source, filename, optimize)
    if code is None:
        raise TooComplexError("it is nested too deeply for the parser")
    return code


def _code_of(source: bytes, filename: str, optimize: int) -> CodeType | None:
    """Compile *source*; None where memory was short for a moment, or the parser's stack."""
    try:
        return compile(source, filename, "exec", dont_inherit=True, optimize=optimize)
    except MemoryError as error:
        if not str(error).startswith("Parser stack overflowed"):
            bytearray(_PER_BYTE * len(source) + _AT_LEAST)  # raises MemoryError
        return None


def on_a_stack_of_its_own(work: Callable[[], object]) -> None:
    """Do *work* where the depth of the stack is the same, whoever calls. Raises what it raises."""
    raised: list[BaseException] = []
    working = _thread.allocate_lock()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, by who waits
            raised.append(error)
        finally:
            working.release()

    working.acquire()
    before = _thread.stack_size(_STACK)
    try:
        _thread.start_new_thread(run, ())
    finally:
        _thread.stack_size(before)
    working.acquire()
    if raised:
        raise raised[0]


def _with_ordered_sets(code: CodeType) -> CodeType:
    """Return *code* with every set made anew out of its sorted members: then its order depends on nothing else."""
    constants = tuple(map(_ordered, code.co_consts))
    if all(map(is_, constants, code.co_consts)):
        return code
    return code.replace(co_consts=constants)


def _ordered(constant: object) -> object:
    if isinstance(constant, CodeType):
        return _with_ordered_sets(constant)
    if isinstance(constant, frozenset):
        if any(map(_is_ordered_by_address, constant)):
            raise _UnreproducibleError("this version of Python gives a set with None in it any order")
        return frozenset(sorted(constant, key=repr))
    return constant


def _is_ordered_by_address(item: object) -> bool:
    """Tell whether the hash of *item* depends on where something is in memory."""
    if isinstance(item, tuple):
        return any(map(_is_ordered_by_address, item))
    return item is None or item is ...


def _everything_in(code: CodeType) -> list[object]:
    """Return all that is marshalled with *code*. As long as the list lives, all of it is shared."""
    held: list[object] = [code]
    for item in held:
        if isinstance(item, CodeType):
            held += (item.co_code, item.co_consts, item.co_names, item.co_varnames, item.co_freevars)
            held += (item.co_cellvars, item.co_filename, item.co_name)
            held.append(item.co_linetable if hasattr(item, "co_linetable") else item.co_lnotab)
        elif isinstance(item, (tuple, frozenset)):
            held += item
    return held


def compile_batch(batch: list[tuple[str, str, int, str]], done: str) -> None:
    """Compile each module, and add to the file *done* null or why it cannot be compiled."""
    for module in batch:
        _write(done, "ab", f"{json.dumps(_reason(*module))}\n".encode("ascii"))


def _reason(source: str, filename: str, optimize: int, destination: str) -> str | None:
    with open(source, "rb") as stream:  # noqa: PTH123 - pathlib would take longer to import than many modules to compile
        text = stream.read()
    try:
        content = pyc(text, filename, optimize)
    except SyntaxError as error:
        return f"SyntaxError: {error.msg}" + (f" (line {error.lineno})" if error.lineno else "")
    except (ValueError, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    _write(destination, "wb", content)
    return None


def _write(path: str, mode: str, content: bytes) -> None:
    """Write *content*; a full disk, of which Python tells no name, is told with that of the file."""
    try:
        with open(path, mode) as stream:  # noqa: PTH123
            stream.write(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def main() -> None:
    """Compile the batch that the command line names."""
    gc.disable()
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(_DEPTH)
    for number in range(256):
        # Single characters exist once: whether they are interned must not depend on who comes first.
        sys.intern(chr(number))
    batch = sys.argv[1]
    with open(batch, encoding="ascii") as stream:  # noqa: PTH123
        modules = json.load(stream)
    try:
        on_a_stack_of_its_own(lambda: compile_batch(modules, f"{batch}.done"))
    except MemoryError:
        sys.exit(NO_MEMORY)
    except OSError as error:
        os.write(2, f"{error.filename}: {error.strerror}\n".encode("utf-8", "backslashreplace"))
        sys.exit(NO_FILE)


if __name__ == "__main__":
    main()
