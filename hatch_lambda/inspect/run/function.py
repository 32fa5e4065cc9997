"""A function that runs under the runtime interface client: its environment, its process, its answers."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from codecs import getincrementaldecoder
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from hatch_lambda.core.codec import parse_json
from hatch_lambda.core.process import Child
from hatch_lambda.inspect.run.lambda_root import MARK
from hatch_lambda.inspect.run.runtime_api import Request, RuntimeApi, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from hatch_lambda.inspect.run.lambda_root import Place


FUNCTION = "function"
REGION = "us-east-1"
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}"
_STREAM = "1970/01/01/[$LATEST]00000000000000000000000000000000"


class Function(Struct, frozen=True, kw_only=True):
    """The configuration of a function."""

    handler: str
    runtime: str
    memory: int = 128
    """Megabytes (2^20 bytes), of which Lambda gives 128 where none are named."""
    timeout: float = 3.0
    """Seconds, of which Lambda gives 3 where none are named."""
    variables: Mapping[str, str] = field(default_factory=dict)


def variables(function: Function, place: Place, api: str = "127.0.0.1:9001") -> dict[str, str]:
    """Return the environment of *function* at *place*, with the Runtime API at *api*."""
    opt, task, runtime = place.opt, place.task, place.runtime
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{FUNCTION}",
        "AWS_LAMBDA_LOG_STREAM_NAME": _STREAM,
        "AWS_REGION": REGION,
        "LAMBDA_RUNTIME_DIR": runtime,
        "LAMBDA_TASK_ROOT": task,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": ":".join(
            (f"{place.lang}/lib", "/lib64", "/usr/lib64", runtime, f"{runtime}/lib", task, f"{task}/lib", f"{opt}/lib")
        ),
        "PATH": f"{place.lang}/bin:/usr/local/bin:/usr/bin:/bin:{opt}/bin",
        # The folder of the function comes first because the interpreter starts in it.
        "PYTHONPATH": ":".join((f"{opt}/python/lib/{function.runtime}/site-packages", f"{opt}/python", runtime)),
        "SHLVL": "0",
        "TZ": ":UTC",
        "_HANDLER": function.handler,
        **function.variables,
        # Whatever else is asked for, these let the function find us.
        "AWS_LAMBDA_RUNTIME_API": api,
    }


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
    """The outcome of one event."""

    request_id: str
    payload: bytes
    """The function's response, or AWS's description of the error: JSON in both cases."""
    error: FunctionError | None
    seconds: float
    init_seconds: float | None
    """None where the function had been started for an earlier event."""
    peak: int | None
    """Bytes that its process had in memory at most; None where the system does not tell."""
    log: str = ""
    """What the function and Lambda wrote meanwhile."""

    @property
    def response(self) -> Any:
        """The payload as a value, or as text where it is not JSON; None where it describes an error."""
        if self.error is not None:
            return None
        text = self.payload.decode("utf-8", "replace")
        try:
            return parse_json(text, constant=lambda _: None)  # NaN, which JSON does not have
        except ValueError:  # a handler may stream what is no JSON
            return text

    @property
    def duration_ms(self) -> float:
        """Milliseconds from the event to the response."""
        return round(self.seconds * 1000, 2)

    @property
    def init_duration_ms(self) -> float | None:
        """Milliseconds of the start; None where the function had been started for an earlier event."""
        return None if self.init_seconds is None else round(self.init_seconds * 1000, 2)

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
        self._hears = tell
        self._log: list[str] = []
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
        told, self._log = self._log, []
        return replace(done, log="".join(told))

    def _tell(self, text: str) -> None:
        self._log.append(text)
        self._hears(text)

    def _hear(self, chunk: bytes) -> None:
        # awslambdaric writes a stack as one line, for a log that makes an event of each.
        self._tell(self._decoder.decode(chunk).replace("\r", "\n").replace("\xa0", " "))


def error_of(said: Said) -> FunctionError:
    """Return the error that the runtime reported, or that its process ended with."""
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


_POLL = 0.02
"""Seconds between two looks at the process."""
_RETURNING = 0.5
"""Seconds for the runtime to come back for the next event: what it writes until then belongs to this one."""
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
        """Wait up to *seconds* until it asks for an event; return that it does, or why not."""
        return self._next(seconds, f"Init timed out after {seconds:.2f} seconds", starting=True)

    def answer(self, event: bytes, identifier: str) -> Said:
        """Return its response to *event*, or its failure."""
        seconds = self._function.timeout
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
        deadline = time.time() + seconds
        self._api.requests.put(Request(identifier=identifier, payload=event, arn=ARN, deadline=deadline, trace=trace))
        return self._next(seconds, f"Task timed out after {seconds:.2f} seconds", starting=False)

    def settle(self) -> None:
        """Wait until all output that belongs to an event is passed on."""
        self._hear(_RETURNING)
        self._child.settle()

    def _listen(self, chunk: bytes) -> None:
        """Pass on what it writes, but for the mark of a sandbox, whose making is no part of the start."""
        if self._awaits_mark and chunk.startswith(MARK):
            self.began, self._awaits_mark = time.perf_counter(), False
            chunk = chunk[len(MARK) :]
        self._tell(chunk)

    def _next(self, seconds: float, too_late: str, *, starting: bool) -> Said:
        """Return its next message, or that it died or has to be killed."""
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
