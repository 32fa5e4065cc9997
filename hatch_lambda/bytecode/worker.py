"""Compile modules to bytecode: a program for the target's interpreter, from 3.9 on, that imports nothing of ours.

``python -S -B worker.py BATCH``: BATCH is a JSON file, a list of ``[source, filename, optimize, destination]``. Beside
it a file with the suffix ``.done`` is left, a list with null for each module that was compiled, and for the others the
reason why not.

The same module gives the same bytes, whatever this process has done before. By themselves ``marshal`` notes whether
anybody else refers to an object and whether a string is interned, and the compiler builds some sets twice: that
depends on other modules.
"""

from __future__ import annotations

import gc
import json
import marshal
import sys
import warnings
from importlib.util import MAGIC_NUMBER, source_hash
from operator import is_
from types import CodeType

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""The flags of PEP 552: the source's digest follows, and nobody compares it. A date would be stale in a package."""

_IS_UNSTABLE = sys.version_info < (3, 11)
"""Whether marshal marks an interned string as shared only if it happens to be (bpo-34093), and does not sort sets
(bpo-37596)."""


class _UnreproducibleError(ValueError):
    """Tell that the same module may give other bytes next time."""


def pyc(source: bytes, filename: str, optimize: int) -> bytes:
    """Return the content of the ``.pyc`` for the *source* of a module, which will be at *filename* on Lambda.

    Raises what ``compile`` and ``marshal`` raise.
    """
    code = compile(source, filename, "exec", dont_inherit=True, optimize=optimize)
    held: list[object] = []
    if _IS_UNSTABLE:
        code = _with_ordered_sets(code)
        held = _everything_in(code)
    content = b"".join((MAGIC_NUMBER, _UNCHECKED_HASH, source_hash(source), marshal.dumps(code)))
    held.clear()
    return content


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


def compile_batch(batch: list[tuple[str, str, int, str]]) -> list[str | None]:
    """Compile each module, and return for each None or why it cannot be compiled."""
    return [_reason(*module) for module in batch]


def _reason(source: str, filename: str, optimize: int, destination: str) -> str | None:
    try:
        with open(source, "rb") as stream:  # noqa: PTH123 - pathlib would take longer to import than many modules to compile
            content = pyc(stream.read(), filename, optimize)
    except SyntaxError as error:
        return f"SyntaxError: {error.msg}" + (f" (line {error.lineno})" if error.lineno else "")
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    with open(destination, "wb") as stream:  # noqa: PTH123
        stream.write(content)
    return None


def main() -> None:
    """Compile the batch that the command line names."""
    gc.disable()
    warnings.simplefilter("ignore")
    for number in range(256):
        # Single characters exist once: whether they are interned must not depend on who comes first.
        sys.intern(chr(number))
    batch = sys.argv[1]
    with open(batch, encoding="ascii") as stream:  # noqa: PTH123
        reasons = compile_batch(json.load(stream))
    with open(f"{batch}.done", "w", encoding="ascii") as stream:  # noqa: PTH123
        json.dump(reasons, stream)


if __name__ == "__main__":
    main()
