"""Turn a Python project into an AWS Lambda package.

The functions of the Python API, such as :func:`build` and :func:`slim`, are loaded when they are first used, so that
``import hatch_lambda`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.api import build, build_all, clean, explain, rules, slim, verify_package, write_report
    from hatch_lambda.trials import coldstart, invoke

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
__version__ = "0.1.0"
__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("build", "build_all", "clean", "explain", "rules"), "api"),
        **dict.fromkeys(("slim", "verify_package", "write_report"), "api"),
        **dict.fromkeys(("coldstart", "invoke"), "trials"),
    },
)
