"""Whether the project's own modules are Python of the target's version."""

from __future__ import annotations

import platform
import sys
import warnings
from typing import TYPE_CHECKING

from msgspec.structs import replace

from hatch_lambda.core.cache import digest
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.errors import HatchLambdaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.config.target import Runtime
    from hatch_lambda.core.model import File
    from hatch_lambda.inspect.audit.subject import Subject


def check_syntax(subject: Subject) -> Iterator[Finding]:
    """Find modules of the project that cannot be compiled, by the runtime's interpreter or this one if it is such.

    Only the handler's module is sure to be imported; others may be templates.
    """
    stem = (subject.handler or "").rpartition(".")[0].replace(".", "/")
    found = subject.syntax if subject.syntax is not None else _compiled_here(subject)
    for finding in found:
        is_handler = finding.path in {f"{stem}.py", f"{stem}/__init__.py"}
        yield replace(finding, severity=Severity.ERROR) if is_handler else finding


def _compiled_here(subject: Subject) -> Iterator[Finding]:
    if not _is_ours(subject.runtime):
        return
    for file in subject.tree:
        if not file.path.endswith(".py") or file.distribution is not None or not _is_own(file, subject):
            continue
        text = file.source.read_bytes()
        key = digest(sys.version, text)
        if subject.cache.get("syntax", key) is not None:
            continue
        if (problem := _problem(text, file.path)) is None:
            subject.cache.put("syntax", key, b"")
            continue
        yield Finding(
            code="HL113",
            severity=Severity.WARNING,
            path=file.path,
            message=f"is not Python {platform.python_version()}: {problem}",
        )


def _is_ours(runtime: Runtime | None) -> bool:
    return runtime is not None and runtime.python_version == sys.version_info[:2]


def _is_own(file: File, subject: Subject) -> bool:
    """Tell whether *file* is the project's: in a package that was not made here, what no distribution has."""
    return file.project or not any(other.project for other in subject.tree.files[:1])


def _problem(text: bytes, path: str) -> str | None:
    """Return what is wrong with *text*, however deep the caller is. Raises HatchLambdaError if memory is short."""
    from hatch_lambda.stages.bytecode.worker import code_of, on_a_stack_of_its_own

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            on_a_stack_of_its_own(lambda: code_of(text, path, optimize=0))
    except SyntaxError as error:
        return f"SyntaxError: {error.msg}" + (f" (line {error.lineno})" if error.lineno else "")
    except (ValueError, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    except MemoryError as error:
        raise HatchLambdaError(
            f"{path}: there is too little memory here to compile it", hint="close other programs, or add some"
        ) from error
    return None
