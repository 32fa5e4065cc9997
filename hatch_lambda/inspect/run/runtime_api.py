"""The Runtime API: what Lambda offers to a runtime, on a port of this machine's loopback.

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API" (version 2018-06-01).
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


LARGEST_REQUEST = 6 * 1024 * 1024
LARGEST_RESPONSE = LARGEST_REQUEST + 100
"""Bytes that a synchronous invocation takes and gives (6 MB; AWS, "Lambda quotas")."""

_VERSION = "/2018-06-01/runtime"
_NEXT = f"{_VERSION}/invocation/next"
_INIT_ERROR = f"{_VERSION}/init/error"
_ANSWER = re.compile(rf"{_VERSION}/invocation/([^/]+)/(response|error)")
_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_POLL = 0.02
"""Seconds between two looks at whether all is over."""


class Request(Struct, frozen=True, kw_only=True):
    """An event on its way to the function."""

    identifier: str
    payload: bytes
    arn: str
    deadline: float
    """When the function has to be done, in seconds since 1970."""
    trace: str


class Said(Struct, frozen=True, kw_only=True):
    """What the runtime said, and when."""

    kind: Literal["ready", "response", "error", "init error", "failed"]
    """``failed``: nothing, because it died or had to be killed."""
    payload: bytes = b""
    error_type: str = ""
    reason: str = ""
    at: float = field(default_factory=time.perf_counter)


class RuntimeApi(ThreadingHTTPServer):
    """Serve one runtime at a time: it asks for the next event, and posts the response."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.said: SimpleQueue[Said] = SimpleQueue()
        self.requests: SimpleQueue[Request] = SimpleQueue()
        self.current: Request | None = None
        self._closed = False

    def __enter__(self) -> Self:
        self._serving = Thread(target=self.serve_forever, kwargs={"poll_interval": _POLL}, daemon=True)
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and let go who waits for an event."""
        self._closed = True
        self.shutdown()
        self.server_close()
        self._serving.join()

    @property
    def address(self) -> str:
        """Where it listens, as ``AWS_LAMBDA_RUNTIME_API`` has it."""
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    def next(self) -> Request | None:
        """Wait for an event to be put, and return it; None when there will be none."""
        while not self._closed:
            with suppress(Empty):
                self.current = self.requests.get(timeout=_POLL)
                return self.current
        return None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a runtime that was killed leaves its connections as they are."""


class _Handler(BaseHTTPRequestHandler):
    """Answer one connection of the runtime."""

    server: RuntimeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Give the next event, once there is one."""
        if self.path != _NEXT:
            self._reply(HTTPStatus.NOT_FOUND)
            return
        self.server.said.put(Said(kind="ready"))
        request = self.server.next()
        if request is None:
            self.close_connection = True
            return
        self.send_response(HTTPStatus.OK)
        for name, value in (
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(request.payload))),
            ("Lambda-Runtime-Aws-Request-Id", request.identifier),
            ("Lambda-Runtime-Deadline-Ms", str(int(request.deadline * 1000))),
            ("Lambda-Runtime-Invoked-Function-Arn", request.arn),
            ("Lambda-Runtime-Trace-Id", request.trace),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(request.payload)

    def do_POST(self) -> None:
        """Take a response or an error."""
        trailers: dict[str, str] = {}
        body = b"".join(self._body(trailers))
        answer = _ANSWER.fullmatch(self.path)
        if self.path == _INIT_ERROR:
            self._take(Said(kind="init error", payload=body, error_type=self.headers.get(_ERROR_TYPE, "")))
        elif answer is None:
            self._reply(HTTPStatus.NOT_FOUND)
        elif self.server.current is None or answer[1] != self.server.current.identifier:
            self._reply(HTTPStatus.BAD_REQUEST, "InvalidRequestID")
        elif answer[2] == "error" or _ERROR_TYPE.lower() in trailers:
            kind = trailers.get(_ERROR_TYPE.lower(), self.headers.get(_ERROR_TYPE, ""))
            self._take(Said(kind="error", payload=body, error_type=kind))
        elif len(body) > LARGEST_RESPONSE:
            self.server.said.put(_too_large(len(body)))
            self._reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge")
        else:
            self._take(Said(kind="response", payload=body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's interface
        """Say nothing."""

    def _body(self, trailers: dict[str, str]) -> Iterator[bytes]:
        """Yield the body: whole, or the chunks of a response that is streamed, whose *trailers* come behind it."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().partition(b";")[0].strip() or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            trailers[name.strip().lower()] = value.strip()

    def _take(self, said: Said) -> None:
        self.server.current = None
        self.server.said.put(said)
        self._reply(HTTPStatus.ACCEPTED)

    def _reply(self, status: HTTPStatus, error_type: str = "") -> None:
        document = {"errorMessage": status.phrase, "errorType": error_type} if error_type else {"status": "OK"}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _too_large(size: int) -> Said:
    message = f"Response payload size ({size} bytes) exceeded maximum allowed payload size ({LARGEST_RESPONSE} bytes)."
    document = {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}
    return Said(kind="error", payload=json.dumps(document).encode(), error_type="Function.ResponseSizeTooLarge")
