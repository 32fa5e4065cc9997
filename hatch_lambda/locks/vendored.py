"""Wheels that the user keeps beside the project, in place of what is locked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from packaging.pylock import PackageWheel
from packaging.utils import parse_wheel_filename

from hatch_lambda.config import inside
from hatch_lambda.decoding import WHEEL_LIMIT, Document
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.model import LockedWheel

if TYPE_CHECKING:
    from hatch_lambda.locks.lock import LockPolicy
    from hatch_lambda.project import Project
    from hatch_lambda.target import Target


def vendored_wheels(project: Project, target: Target, policy: LockPolicy) -> list[LockedWheel]:
    """Return the wheels that ``vendor`` names, with the hashes that they have now.

    Raises ConfigurationError for one that is not there, that is no wheel, or that is not for *target*.
    """
    wheels: dict[str, LockedWheel] = {}
    for name in policy.vendor:
        where = f"tool.lambda-slim.vendor: {name!r}"
        path = inside(project.root, name, "tool.lambda-slim.vendor")
        if not path.is_file():
            raise ConfigurationError(f"{where}: it is not a file", hint="a wheel is called NAME-VERSION-TAG.whl")
        try:
            distribution, version, _, tags = parse_wheel_filename((project.root / name).name)
        except ValueError as error:  # of the name, or of thousands of digits in it
            raise ConfigurationError(f"{where}: {error}", hint="a wheel is called NAME-VERSION-TAG.whl") from error
        if tags.isdisjoint(target.tags):
            raise ConfigurationError(f"{where}: it is not for {target}", hint="vendor a wheel for the target")
        if distribution in wheels:
            raise ConfigurationError(f"{where}: {distribution} is vendored twice", hint="leave one of them out")
        hint = "a wheel is a file of less than 1 GiB"
        wheel_file = Document(path=path, shown=where, family=ConfigurationError, hint=hint, limit=WHEEL_LIMIT)
        sha256 = hashlib.sha256(wheel_file.content()).hexdigest()
        wheel = PackageWheel(path=(project.root / name).as_posix(), hashes={"sha256": sha256})
        wheels[distribution] = LockedWheel(name=distribution, version=version, wheel=wheel)
    return list(wheels.values())
