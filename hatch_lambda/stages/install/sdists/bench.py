"""What every builder of sdists works with."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.files import LOGS, make_inside
from hatch_lambda.core.python import find
from hatch_lambda.core.staging import Staging
from hatch_lambda.errors import CommandError, InstallError

if TYPE_CHECKING:
    from hatch_lambda.config.settings import SdistSettings
    from hatch_lambda.config.target import Target
    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.model import LockedSource
    from hatch_lambda.core.python import Interpreter
    from hatch_lambda.core.uv import Uv
    from hatch_lambda.stages.install.sdists.engine import Containerfile


class Bench(Struct, frozen=True, kw_only=True, dict=True):
    """What building needs besides a source."""

    target: Target
    settings: SdistSettings
    containerfile: Containerfile | None = None
    """That of the image to build in."""
    install_args: tuple[str, ...] = ()
    """Further options for uv."""
    uv: Uv
    cache: Cache
    workspace: Path
    """A folder that is removed after the build; a builder gets one of its own for every distribution."""
    cwd: Path
    """The user's project, in which uv runs so that its configuration there applies."""

    @property
    def key(self) -> tuple[object, ...]:
        """What of the settings can change a wheel, as a part of the key under which that is kept."""
        content = self.containerfile.digest if self.containerfile is not None else None
        return self.settings.shaping, content, self.install_args

    @cached_property
    def interpreter(self) -> Interpreter | None:
        """That of the target's version on this machine; None where there is none. Nothing is downloaded."""
        return find(self.python_version, self.uv, self.cache, cwd=self.workspace, download=False)

    @property
    def python(self) -> str | None:
        """Its path."""
        return None if self.interpreter is None else str(self.interpreter.path)

    @property
    def python_version(self) -> str:
        """The major and minor version of the target's interpreter."""
        return "{}.{}".format(*self.target.runtime.python_version)


class SourceTree(Struct, frozen=True, kw_only=True):
    """An unpacked source distribution, or a local folder that is like one."""

    source: LockedSource
    folder: Path
    """It holds ``pyproject.toml`` or ``setup.py``."""

    @property
    def immutable(self) -> bool:
        """Whether the folder is ours: unpacked for this build. Else it is the user's, and nothing may be left in it."""
        return self.source.directory is None


class Built(Struct, frozen=True, kw_only=True):
    """A wheel that fits the target, and what it is known by."""

    source: LockedSource
    wheel: Path
    identity: str
    """A digest: with the same one the same is installed."""


def failed(error: CommandError, source: LockedSource, bench: Bench) -> InstallError:
    """Return the error for a build that failed: its last lines, and where all the others are."""
    log = _write_log(f"{source.name}-{bench.target}.log", error.output.encode("utf-8"), bench.cache.root)
    return InstallError(
        f"{source.shown} (from {source.origin}) could not be built:\n{error.tail()}",
        hint=f"{needs_python(bench)}the whole log is {log}",
    )


def _write_log(name: str, content: bytes, cache: Path | None) -> Path:
    """Write a log to the *cache*, else to a temporary folder: what failed is told in any case."""
    if cache is not None:
        with suppress(OSError):
            log = make_inside(cache, LOGS) / name
            with Staging() as new:
                new.text(log, content)
                new.commit()
            return log
    log = Path(tempfile.mkdtemp(prefix="hatch-lambda-"), name)
    log.write_bytes(content)
    return log


def needs_python(bench: Bench) -> str:
    """Return the words that it was not built with the Python that it should be; empty where it was."""
    if bench.python is not None:
        return ""
    version = bench.python_version
    return f"this machine has no Python {version}, with which it should be built (`uv python install {version}`); "
