"""Import a handler where nothing but its package, its layers and the standard library can be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from hatch_lambda.decoding import from_json
from hatch_lambda.invoking.environment import variables
from hatch_lambda.process import Child

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_lambda.invoking.environment import Function
    from hatch_lambda.invoking.place import Place

_PROGRAM = """
import builtins, importlib, json, sys
answer, handler, *folders = sys.argv[1:]
sys.path[:0] = folders
sys.argv[1:] = []
module, _, function = handler.rpartition(".")
told = {"kind": "imported"}

def tell(kind, error):
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return {
        "kind": kind,
        "type": type(error).__name__,
        "message": str(error),
        "name": getattr(error, "name", None),
        "file": getattr(error, "filename", None) if kind == "syntax" else last and last.tb_frame.f_code.co_filename,
        "line": getattr(error, "lineno", None) if kind == "syntax" else last and last.tb_lineno,
    }

try:
    found = importlib.import_module(module.replace("/", "."))
    if not hasattr(found, function):
        told = {"kind": "no function"}
except ModuleNotFoundError as error:
    told = tell("no module", error)
except ImportError as error:
    # Many say in words of their own what they could not import.
    cause = error
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__ or cause.__context__
    error.name = cause.name if cause is not None else error.name
    told = tell("linker" if (error.path or "").endswith(".so") or ".so" in str(error) else "import", error)
except SyntaxError as error:
    told = tell("syntax", error)
except OSError as error:
    told = tell("linker" if "cannot open shared object file" in str(error) else "other", error)
except BaseException as error:
    told = tell("other", error)
with open(answer, "w", encoding="ascii") as stream:
    json.dump(told, stream)
# Threads that it has left running are no part of the question.
sys.stdout.flush(); sys.stderr.flush()
importlib.import_module("os")._exit(0)
"""
_SECONDS = 120.0
_SHOWN = 2000


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the import of a handler."""

    kind: Literal["imported", "no function", "no module", "import", "linker", "syntax", "other", "died", "too long"]
    type: str = ""
    """Name of the exception's class."""
    message: str = ""
    name: str | None = None
    """The module that an ImportError is about."""
    file: str | None = None
    line: int | None = None
    """Where the exception was raised."""
    output: str = ""
    """The end of what was written meanwhile."""


class _Output(Struct):
    """Collects what the process writes."""

    text: bytes = b""

    def take(self, chunk: bytes) -> None:
        self.text = (self.text + chunk)[-_SHOWN:]


def import_handler(function: Function, place: Place, work: Path) -> Imported:
    """Import the module of the handler of *function* in a fresh interpreter, and tell what came of it."""
    answer, output = work / "imported.json", _Output()
    folders = (place.task, f"{place.opt}/python/lib/{function.runtime}/site-packages", f"{place.opt}/python")
    command = place.python("-I", "-S", "-c", _PROGRAM, str(answer), function.handler, *folders)
    child = Child(command, cwd=place.cwd, environment=variables(function, place), tell=output.take)
    code = child.wait(_SECONDS)
    if code is None:
        child.kill()
        return Imported(kind="too long", message=f"{_SECONDS:.0f} s")
    text = output.text.decode("utf-8", "replace").strip()
    try:
        told = from_json(answer.read_bytes(), Imported)
    except (OSError, msgspec.MsgspecError):
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Imported(kind="died", message=how, output=text)
    return msgspec.structs.replace(told, output=text)
