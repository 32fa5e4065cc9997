"""One process of the runtime, with the Runtime API that it talks to."""

from __future__ import annotations

import re
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

from hatch_lambda.invoking import sandbox
from hatch_lambda.invoking.environment import ARN, variables
from hatch_lambda.invoking.runtime_api import Request, RuntimeApi, Said
from hatch_lambda.process import Child

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_lambda.invoking.environment import Function
    from hatch_lambda.invoking.place import Place

_POLL = 0.02
"""Seconds between two looks at the process."""
_RETURNING = 0.5
"""Seconds for the runtime to come back for the next event: what it writes until then belongs to this one."""
_MIB = 1 << 20
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Running:
    """The process of a function, from its start to its end."""

    def __init__(self, function: Function, place: Place, tell: Callable[[bytes], None]) -> None:
        self.began = time.perf_counter()
        self._awaits_mark = place.is_sandbox
        self._tell = tell
        self._function = function
        self._is_emulated = bool(place.emulator)
        self.peak: int | None = None
        """Bytes that it has had in memory at most, as far as the system tells."""
        self._api = RuntimeApi()
        self._api.__enter__()
        try:
            command = place.python("-m", "awslambdaric", function.handler)
            environment = variables(function, place, self._api.address)
            self._child = Child(command, cwd=place.cwd, environment=environment, tell=self._listen)
        except BaseException:
            self._api.__exit__()
            raise

    def stop(self) -> None:
        """End it."""
        self._child.kill()
        self._api.__exit__()

    def started(self, seconds: float) -> Said:
        """Return that it is ready, within so many *seconds*, or why not."""
        return self._next(seconds, f"Init timed out after {seconds:.2f} seconds", starting=True)

    def answer(self, event: bytes, identifier: str) -> Said:
        """Return what it makes of *event*."""
        seconds = self._function.timeout
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
        deadline = time.time() + seconds
        self._api.requests.put(Request(identifier=identifier, payload=event, arn=ARN, deadline=deadline, trace=trace))
        return self._next(seconds, f"Task timed out after {seconds:.2f} seconds", starting=False)

    def settle(self) -> None:
        """Return when all that it had to say of an event is told."""
        self._hear(_RETURNING)
        self._child.settle()

    def _listen(self, chunk: bytes) -> None:
        """Pass on what it writes, but for the mark of a sandbox, whose making is no part of the start."""
        if self._awaits_mark and chunk.startswith(sandbox.MARK):
            self.began, self._awaits_mark = time.perf_counter(), False
            chunk = chunk[len(sandbox.MARK) :]
        self._tell(chunk)

    def _next(self, seconds: float, too_late: str, *, starting: bool) -> Said:
        """Return what it says next, or that it died or has to be killed."""
        deadline = time.perf_counter() + seconds
        while True:
            code = self._child.wait(0)
            said = self._hear(0 if code is not None else _POLL)
            if self._is_full():
                size = self._function.memory
                return Said(kind="failed", error_type="Runtime.OutOfMemory", reason=f"more than {size} MB were used")
            if said is not None and (starting or said.kind != "ready"):
                return said
            if code is not None and said is None:
                status = f"signal: {-code}" if code < 0 else f"exit status {code}"
                reason = f"Runtime exited with error: {status}"
                return Said(kind="failed", error_type="Runtime.ExitError", reason=reason)
            if time.perf_counter() > deadline:
                return Said(kind="failed", error_type="Sandbox.Timedout", reason=too_late)

    def _hear(self, seconds: float) -> Said | None:
        try:
            return self._api.said.get(timeout=seconds) if seconds else self._api.said.get_nowait()
        except Empty:
            return None
        finally:
            self._look()

    def _look(self) -> None:
        """Note how much memory it takes, where Linux tells."""
        try:
            status = Path(f"/proc/{self._child.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return
        if found := _PEAK.search(status):
            self.peak = max(self.peak or 0, int(found[1]) * 1024)

    def _is_full(self) -> bool:
        # An emulator's memory is not the function's.
        return not self._is_emulated and (self.peak or 0) > self._function.memory * _MIB
