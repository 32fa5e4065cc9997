"""Import a handler in a process of its own, and turn errors into findings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from hatch_lambda.core.codec import from_json
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.process import Child
from hatch_lambda.inspect.run.function import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from hatch_lambda.core.model import Change
    from hatch_lambda.inspect.run.function import Function, Invocation
    from hatch_lambda.inspect.run.lambda_root import Place


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
    """The outcome of importing a handler."""

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
    """The end of its output."""


class _Output(Struct):
    """Collects what the process writes."""

    text: bytes = b""

    def take(self, chunk: bytes) -> None:
        self.text = (self.text + chunk)[-_SHOWN:]


def import_handler(function: Function, place: Place, work: Path) -> Imported:
    """Import the module of the handler of *function* in a fresh interpreter, and return the outcome."""
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


_OF_THE_RUNTIME = frozenset(("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"))
"""Import packages that Lambda's Python runtimes have beside the standard library, in versions that move."""

_LIBRARY = re.compile(r"([^\s/:]+\.so(?:\.[\w.]+)?): cannot open shared object file")
_STATIC = 'if a layer has it, `layers` names its zip; if it is elsewhere on Lambda: verify = "static"'


def judge_import(imported: Imported, handler: str, task: str, changes: Iterable[Change]) -> Iterator[Finding]:
    """Find what keeps the handler from being imported; *changes* tell what was removed.

    What a module raises because it misses its environment says nothing about the package.
    """
    told = imported.message.replace(f"{task}/", "")
    where = _where(imported, task)
    if imported.kind in {"no module", "import", "linker"}:
        yield _missing(imported, handler, told, where, changes)
    elif imported.kind == "syntax":
        yield _error("HL132", f"{handler} cannot be imported: {where}{imported.type}: {told}", "correct the file")
    elif imported.kind == "no function":
        module, _, function = handler.rpartition(".")
        yield _error("HL133", f"there is no {function!r} in the module {module}", "correct tool.lambda-slim.handler")
    elif imported.kind == "died":
        last = f": {imported.output.splitlines()[-1]}" if imported.output else ""
        yield _error(
            "HL134", f"the interpreter ended by {told} while it imported {handler}{last}", "try `hatch-lambda invoke`"
        )
    elif imported.kind in {"other", "too long"}:
        what = f"{where}{imported.type}: {told}" if imported.kind == "other" else f"it took more than {told}"
        yield Finding(
            code="HL135",
            severity=Severity.WARNING,
            message=f"{handler} could not be imported here: {what}",
            hint='if it misses something of its environment, set it: verify-env = { NAME = "value" }',
        )


def judge_invocations(invocations: Iterable[tuple[str, Invocation]]) -> Iterator[Finding]:
    """Find the events that the function could not answer."""
    for name, invocation in invocations:
        if (error := invocation.error) is not None:
            yield _error(
                "HL137",
                f"{name}: {error.type}: {error.message}",
                "`hatch-lambda invoke ZIP --event FILE` shows its log; verify-env sets its environment",
            )


def not_tried(reason: str, severity: Severity = Severity.NOTE) -> Finding:
    """Return the finding that the package was not run, and why."""
    return Finding(
        code="HL136",
        severity=severity,
        message=f"the package was not run here: {reason}",
        hint='verify = "static" in [tool.lambda-slim] says that it need not be',
    )


def _missing(imported: Imported, handler: str, told: str, where: str, changes: Iterable[Change]) -> Finding:
    name = imported.name or ""
    if imported.kind == "no module" and name.partition(".")[0] in _OF_THE_RUNTIME:
        return Finding(
            code="HL138",
            severity=Severity.WARNING,
            message=f"{handler} could not be imported here: {told}, which the runtime brings in a version that moves",
            hint="put it into the lock to be sure of its version",
        )
    library = _LIBRARY.search(told)
    removed = _removed(changes, library[1]) if library else _removed_module(changes, name)
    hint = _STATIC
    if removed is not None:
        hint = f'it was removed by the rule {removed.rule}; patterns = ["!{removed.path}"] keeps it'
    elif imported.kind == "no module":
        hint = f"put its distribution into the project's dependencies; {_STATIC}"
    elif library:
        hint = f"Lambda has only a few of the system's libraries, this machine others; {_STATIC}"
    code = "HL131" if imported.kind == "linker" else "HL130"
    return _error(code, f"{handler} cannot be imported: {where}{told}", hint)


def _removed(changes: Iterable[Change], name: str) -> Change | None:
    return next((change for change in changes if change.after is None and change.path.rpartition("/")[2] == name), None)


def _removed_module(changes: Iterable[Change], name: str) -> Change | None:
    """Return the removal of the module *name*, whichever of its files it was."""
    if not name:
        return None
    stem = re.escape(name.replace(".", "/"))
    file = re.compile(rf"{stem}(/__init__)?\.(py|pyc|[\w.-]*so)")
    return next((change for change in changes if change.after is None and file.fullmatch(change.path)), None)


def _where(imported: Imported, task: str) -> str:
    if imported.file is None or not imported.file.startswith(f"{task}/"):
        return ""
    line = f":{imported.line}" if imported.line else ""
    return f"{imported.file.removeprefix(f'{task}/')}{line}: "


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint)
