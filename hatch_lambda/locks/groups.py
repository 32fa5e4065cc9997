"""The groups of dependencies that the settings choose, by one set of names for every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_lambda.errors import ConfigurationError
from hatch_lambda.locks.messages import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatch_lambda.locks.lock import LockPolicy

ALL = "*"


def chosen_names(policy: LockPolicy, available: Iterable[str]) -> tuple[str, ...]:
    """Return the chosen groups out of those that are *available*, as these are spelt.

    Raises ConfigurationError for one that is not there.
    """
    names = {canonicalize_name(name): name for name in available}
    for key, wanted in (
        ("groups", policy.groups),
        ("without-groups", policy.without_groups),
        ("only-groups", policy.only_groups),
    ):
        for name in wanted:
            if name != ALL and canonicalize_name(name) not in names:
                raise ConfigurationError(
                    f"tool.lambda-slim.{key}: the project has no dependency group {name!r}"
                    f"{did_you_mean(name, names.values())}"
                )
    wanted = policy.only_groups or policy.groups
    taken = list(names) if ALL in wanted else [canonicalize_name(name) for name in wanted]
    left_out = {canonicalize_name(name) for name in policy.without_groups}
    return tuple(dict.fromkeys(names[name] for name in taken if name not in left_out))
