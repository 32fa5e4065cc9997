"""The handler: its file must be where Lambda looks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.model import Tree

_EXTENSIONS = (".py", "/__init__.py", ".pyc", "/__init__.pyc")


def check_handler(tree: Tree, handler: str | None) -> Iterator[Finding]:
    """Find a handler ``module.function`` whose module is not in *tree*.

    Lambda takes both dots and slashes in the module's name.
    """
    if handler is None:
        return
    module, dot, function = handler.rpartition(".")
    if not dot or not module or not function.isidentifier():
        yield Finding(
            code="HL004",
            severity=Severity.ERROR,
            message=f"tool.lambda-slim.handler: {handler!r} is not of the form module.function",
            hint='for example handler = "package.module.function"',
        )
        return
    stem = module.replace(".", "/")
    paths = {file.path for file in tree}
    extension_module = any(path.startswith(f"{stem}.") and path.endswith(".so") for path in paths)
    if extension_module or any(stem + extension in paths for extension in _EXTENSIONS):
        return
    own = [file.path.removesuffix(".py") for file in tree if file.project and file.path.endswith(".py")]
    import difflib

    close = difflib.get_close_matches(stem, own, n=1) or [
        path for path in own if path.endswith(f"/{stem}") or path.rpartition("/")[2] == stem.rpartition("/")[2]
    ]
    meant = f"did you mean {close[0].replace('/', '.')}.{function}? " if close else ""
    yield Finding(
        code="HL005",
        severity=Severity.ERROR,
        message=f"tool.lambda-slim.handler: {handler!r} needs {stem}.py, which is not in the package",
        hint=f"{meant}`hatch-lambda explain {stem}.py` tells why a file is not there",
    )
