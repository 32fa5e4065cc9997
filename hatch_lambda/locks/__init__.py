"""Read any supported lock file and choose from it what a target needs.

The normal form of every lock is :class:`packaging.pylock.Pylock` (PEP 751). A format is one module and one
entry in :data:`hatch_lambda.locks.reading.FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.lazy import exports

if TYPE_CHECKING:
    from hatch_lambda.locks.choice import Choice, choose
    from hatch_lambda.locks.lock import RESOLVED_NAME, Lock, LockPolicy
    from hatch_lambda.locks.pylock import dump, pinned, rebase
    from hatch_lambda.locks.reading import read
    from hatch_lambda.locks.selection import select

__all__ = [
    "RESOLVED_NAME",
    "Choice",
    "Lock",
    "LockPolicy",
    "choose",
    "dump",
    "pinned",
    "read",
    "rebase",
    "select",
]
__getattr__ = exports(
    __name__,
    {
        **dict.fromkeys(("Choice", "choose"), "choice"),
        **dict.fromkeys(("RESOLVED_NAME", "Lock", "LockPolicy"), "lock"),
        **dict.fromkeys(("dump", "pinned", "rebase"), "pylock"),
        "read": "reading",
        "select": "selection",
    },
)
