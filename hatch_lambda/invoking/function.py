"""A function that is invoked: started when an event comes, kept for the next, ended when it takes too much."""

from __future__ import annotations

import json
import math
import time
import uuid
from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from hatch_lambda.decoding import parse_json
from hatch_lambda.invoking.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from hatch_lambda.invoking.environment import Function
    from hatch_lambda.invoking.place import Place
    from hatch_lambda.invoking.runtime_api import Said

_INIT_TIMEOUT = 10.0
"""Seconds that Lambda gives a function for its start; it then tries again within the function's own timeout (AWS,
"Lambda execution environment lifecycle")."""
_EMULATED = 10
"""How many times slower an emulator may be."""
_MIB = 1 << 20


class FunctionError(Struct, frozen=True, kw_only=True):
    """Why an invocation failed, as AWS reports it."""

    type: str
    message: str
    stack: tuple[str, ...] = ()


class Invocation(Struct, frozen=True, kw_only=True):
    """What became of one event."""

    request_id: str
    payload: bytes
    """The function's response, or AWS's description of the error: JSON in both cases."""
    error: FunctionError | None
    seconds: float
    init_seconds: float | None
    """None where the function had been started for an earlier event."""
    peak: int | None
    """Bytes that its process had in memory at most; None where the system does not tell."""

    def report(self, memory: int) -> str:
        """Return the line with which Lambda ends the log of an invocation of a function with *memory* megabytes."""
        init = self.init_seconds
        return "\t".join(
            (
                f"REPORT RequestId: {self.request_id}",
                f"Duration: {self.seconds * 1000:.2f} ms",
                f"Billed Duration: {math.ceil((self.seconds + (init or 0)) * 1000)} ms",
                f"Memory Size: {memory} MB",
                *([f"Max Memory Used: {math.ceil(self.peak / _MIB)} MB"] if self.peak is not None else []),
                *([f"Init Duration: {init * 1000:.2f} ms"] if init is not None else []),
            )
        )


class Environment:
    """An execution environment, in which a function's process answers one event after the other."""

    def __init__(self, function: Function, place: Place, tell: Callable[[str], None]) -> None:
        self._function = function
        self._place = place
        self._tell = tell
        self._running: Running | None = None
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None

    def invoke(self, event: bytes) -> Invocation:
        """Let the function answer *event*, which is JSON; a process that did not survive the last one is replaced."""
        identifier = str(uuid.uuid4())
        self._tell(f"START RequestId: {identifier} Version: $LATEST\n")
        began, init_seconds, said = time.perf_counter(), None, None
        if self._running is None:
            self._running = Running(self._function, self._place, self._hear)
            slower = _EMULATED if self._place.emulator else 1
            said = self._running.started(max(_INIT_TIMEOUT * slower, self._function.timeout))
            init_seconds, began = said.at - self._running.began, said.at
        if said is None or said.kind == "ready":
            said = self._running.answer(event, identifier)
        running = self._running
        if said.kind in {"response", "error"}:
            running.settle()
        else:
            running.stop()
            self._running = None
        payload = said.payload
        if said.kind == "failed":
            message = f"RequestId: {identifier} Error: {said.reason}"
            payload = json.dumps({"errorType": said.error_type, "errorMessage": message}).encode()
            self._tell(f"{message}\n")
        done = Invocation(
            request_id=identifier,
            payload=payload,
            error=None if said.kind == "response" else error_of(said),
            seconds=said.at - began,
            init_seconds=init_seconds,
            peak=running.peak,
        )
        self._tell(f"END RequestId: {identifier}\n{done.report(self._function.memory)}\n")
        return done

    def _hear(self, chunk: bytes) -> None:
        # awslambdaric writes a stack as one line, for a log that makes an event of each.
        self._tell(self._decoder.decode(chunk).replace("\r", "\n").replace("\xa0", " "))


def error_of(said: Said) -> FunctionError:
    """Return the error that a runtime reported, or that was found out about it."""
    if said.kind == "failed":
        return FunctionError(type=said.error_type, message=said.reason)
    try:
        document: Any = parse_json(said.payload)
    except ValueError:
        document = None
    known = document if isinstance(document, dict) else {}
    stack = known.get("stackTrace")
    return FunctionError(
        type=str(known.get("errorType") or said.error_type or "Unhandled"),
        message=str(known.get("errorMessage") or ""),
        stack=tuple(map(str, stack)) if isinstance(stack, list) else (),
    )
