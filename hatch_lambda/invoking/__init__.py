"""Run a package as Lambda does: in AWS's own runtime interface client, under an interpreter of its runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.invoking.environment import Function
    from hatch_lambda.invoking.function import FunctionError, Invocation
    from hatch_lambda.invoking.machine import Host
    from hatch_lambda.invoking.trial import Invoked, Trial, invoke, tell

__all__ = ["Function", "FunctionError", "Host", "Invocation", "Invoked", "Trial", "invoke", "tell"]
__getattr__ = exports(
    __name__,
    {
        "Function": "environment",
        **dict.fromkeys(("FunctionError", "Invocation"), "function"),
        "Host": "machine",
        **dict.fromkeys(("Invoked", "Trial", "invoke", "tell"), "trial"),
    },
)
