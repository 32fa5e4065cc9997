"""Find uv, and call it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.log import logger
from hatch_lambda.core.process import names_in, run, which
from hatch_lambda.errors import CommandError, HatchLambdaError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Mapping


_log = logger(__name__)

_NO_CACHE = re.compile(r"Failed to initialize cache at `([^`\n]+)`")
"""What uv says where it cannot make the folder of its cache."""

INNER_BUILD = "HATCH_LAMBDA_INNER"
"""Set to ``1`` in the environment of builds that the pipeline itself starts: our own hook then does nothing."""

_OF_THIS_HOST = frozenset(
    {
        *("UV_COMPILE_BYTECODE", "UV_LINK_MODE"),
        *("UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC"),
        *("UV_PROJECT", "UV_WORKING_DIR"),
        *("UV_CONSTRAINT", "UV_OVERRIDE", "UV_NO_BINARY"),
        *("UV_NO_DEFAULT_GROUPS", "UV_NO_DEV"),
    }
)
"""Variables that would let uv take another project, other files of the lock, or leave something else behind."""


class Uv(Struct, frozen=True, kw_only=True):
    """The uv program, with the environment that it runs in."""

    executable: str
    environment: Mapping[str, str]

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Uv:
        """Find uv as the user would expect: ``UV``, ``HATCH_UV``, the ``uv`` distribution, then PATH."""
        executable = _find_uv(environment)
        _log.debug("uv is %s", executable)
        return cls(executable=executable, environment=_for_uv(environment))

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> str:
        """Run a uv command in *cwd*, with *variables* added to the environment; see :func:`run`.

        Raises HatchLambdaError, too, where uv has no place for its cache: every command fails then, whatever it is for.
        """
        try:
            return run([self.executable, *map(str, arguments)], cwd=cwd, environment={**self.environment, **variables})
        except CommandError as error:
            if (found := _NO_CACHE.search(error.output)) is None:
                raise
            raise HatchLambdaError(
                f"uv cannot make the folder of its cache, {found[1]}",
                hint="let UV_CACHE_DIR, or HOME, name a folder that can be written",
            ) from error


def _find_uv(environment: Mapping[str, str]) -> str:
    for variable in ("UV", "HATCH_UV"):
        if named := environment.get(variable):
            if found := which(named, environment):
                return found
            raise MissingToolError(
                f"{variable}={named}: there is no such program",
                hint=f"unset {variable}, or let it name the uv executable",
            )
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        pass
    if found := which("uv", environment):
        return found
    raise MissingToolError(
        "uv was not found: neither as a distribution of this Python nor on PATH",
        hint="install it with `pip install uv`, or name it with the environment variable UV",
    )


def _for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """Take out what would make uv's work differ by host, and let it see every Python that pyenv has.

    pyenv's shims answer only for the versions that are switched on, and uv gives up at a shim that fails. The shim
    that may have started this program has switched on just one, which stays the first.
    """
    cleaned = {name: value for name, value in environment.items() if name not in _OF_THIS_HOST}
    installed = names_in(Path(root, "versions")) if (root := environment.get("PYENV_ROOT")) else []
    if installed:
        from packaging.version import InvalidVersion, Version

        def key(name: str) -> Version:
            try:
                return Version(name)
            except InvalidVersion:
                return Version("0")

        first = [name for name in environment.get("PYENV_VERSION", "").split(":") if name]
        names = sorted(installed, key=key, reverse=True)
        cleaned["PYENV_VERSION"] = ":".join(dict.fromkeys([*first, *names]))
    return cleaned
