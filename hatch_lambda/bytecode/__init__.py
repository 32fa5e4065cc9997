"""The bytecode stage: a cold start finds its modules compiled, by an interpreter of the target's version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.bytecode.plan import BytecodePolicy, Compilation, plan
from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.bytecode.stage import NOT_PYTHON, REASON, RULE, WITHOUT, Compiler, compile_tree

__all__ = [
    "NOT_PYTHON",
    "REASON",
    "RULE",
    "WITHOUT",
    "BytecodePolicy",
    "Compilation",
    "Compiler",
    "compile_tree",
    "plan",
]
__getattr__ = exports(
    __name__, dict.fromkeys(("NOT_PYTHON", "REASON", "RULE", "WITHOUT", "Compiler", "compile_tree"), "stage")
)
