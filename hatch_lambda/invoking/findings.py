"""What the import of a handler, or an event that it could not answer, says about its package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.invoking.function import Invocation
    from hatch_lambda.invoking.importing import Imported
    from hatch_lambda.model import Change

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
    """Return that the package was not run, and why."""
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
