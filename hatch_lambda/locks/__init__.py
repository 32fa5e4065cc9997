"""Read any supported lock file and choose from it what a target needs.

The normal form of every lock is :class:`packaging.pylock.Pylock` (PEP 751). A format is one module and one
entry in :data:`hatch_lambda.locks.discovery.FORMATS`.
"""

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
