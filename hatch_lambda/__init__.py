"""Turn a Python project into an AWS Lambda package.

The functions of the Python API, such as :func:`build` and :func:`slim`, are loaded when they are first used, so that
``import hatch_lambda`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.core.version import __version__

if TYPE_CHECKING:
    from hatch_lambda.api import (
        build,
        build_all,
        clean,
        coldstart,
        explain,
        invoke,
        rules,
        slim,
        verify_package,
        write_report,
    )

__all__ = [
    "__version__",
    "build",
    "build_all",
    "clean",
    "coldstart",
    "explain",
    "invoke",
    "rules",
    "slim",
    "verify_package",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Load the function *name* of the Python API (PEP 562)."""
    if name in __all__:
        from hatch_lambda import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
