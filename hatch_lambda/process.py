"""Run other programs: the only place of the project that starts a process."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.errors import CommandError, MissingToolError
from hatch_lambda.redact import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INNER_BUILD = "HATCH_LAMBDA_INNER"
"""Set to ``1`` in the environment of builds that the pipeline itself starts: our own hook then does nothing."""

_CHUNK = 1 << 16
_MOMENT = 0.001
_DRAINING = 1.0
"""Seconds to wait for the rest of a program's output, which its own children may keep open."""

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


def run(arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> str:
    """Run a program to its end and return what it wrote to its standard output.

    Raises CommandError, with everything that it printed but what may be a secret, when it exits with anything but
    0, and MissingToolError when it cannot be started.
    """
    try:
        done = subprocess.run(
            list(arguments),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise MissingToolError(f"cannot run `{arguments[0]}` in {cwd}: {error.strerror}") from error
    if done.returncode != 0:
        shown = " ".join([Path(arguments[0]).stem, *arguments[1:3]])
        raise CommandError(shown, done.returncode, masked(done.stdout + done.stderr))
    return done.stdout


class Child:
    """A program that runs beside us, and whose output is told as it comes."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], tell: Callable[[bytes], None]
    ) -> None:
        try:
            self._process = subprocess.Popen(
                list(arguments),
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingToolError(f"cannot run `{arguments[0]}` in {cwd}: {error.strerror}") from error
        self.pid = self._process.pid
        self._telling = threading.Lock()
        self._reader = threading.Thread(target=self._read, args=(tell,), daemon=True)
        self._reader.start()

    def wait(self, seconds: float) -> int | None:
        """Return its exit code, negative for a signal; None if it still runs after *seconds*."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(_DRAINING)
        return code

    def settle(self) -> None:
        """Return once all is told that it has written so far."""
        assert self._process.stdout is not None
        while self._reader.is_alive():
            with self._telling:
                if not select.select([self._process.stdout], [], [], 0)[0]:
                    return
            time.sleep(_MOMENT)

    def kill(self) -> None:
        """End it, and what it has started."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self._reader.join(_DRAINING)

    def _read(self, tell: Callable[[bytes], None]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            while select.select([stream], [], [])[0]:
                with self._telling:
                    chunk = os.read(stream.fileno(), _CHUNK)
                    tell(chunk)
                if not chunk:
                    break


class Uv(Struct, frozen=True, kw_only=True):
    """The uv program, with the environment that it runs in."""

    executable: str
    environment: Mapping[str, str]

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Uv:
        """Find uv as the user would expect: ``UV``, ``HATCH_UV``, the ``uv`` distribution, then PATH."""
        return cls(executable=_find_uv(environment), environment=_for_uv(environment))

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> str:
        """Run a uv command in *cwd*, with *variables* added to the environment; see :func:`run`."""
        return run(
            [self.executable, *map(str, arguments)],
            cwd=cwd,
            environment={**self.environment, **variables},
        )


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


def which(program: str, environment: Mapping[str, str]) -> str | None:
    """Return the absolute path of *program*: it will be run in other folders than this."""
    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    return found and os.path.abspath(found)  # noqa: PTH100 - a symbolic link's own name may matter


def _for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """Take out what would make uv's work differ by host, and let it see every Python that pyenv has.

    pyenv's shims answer only for the versions that are switched on, and uv gives up at a shim that fails. The shim
    that may have started this program has switched on just one, which stays the first.
    """
    cleaned = {name: value for name, value in environment.items() if name not in _OF_THIS_HOST}
    versions = Path(environment.get("PYENV_ROOT", "")) / "versions"
    if environment.get("PYENV_ROOT") and versions.is_dir():
        from packaging.version import InvalidVersion, Version

        def key(name: str) -> Version:
            try:
                return Version(name)
            except InvalidVersion:
                return Version("0")

        first = [name for name in environment.get("PYENV_VERSION", "").split(":") if name]
        names = sorted((entry.name for entry in versions.iterdir()), key=key, reverse=True)
        cleaned["PYENV_VERSION"] = ":".join(dict.fromkeys([*first, *names]))
    return cleaned
