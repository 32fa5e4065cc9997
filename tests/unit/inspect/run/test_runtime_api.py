"""The Runtime API, as a runtime meets it."""

from __future__ import annotations

import http.client
import json
import time

import pytest

from hatch_lambda.inspect.run.runtime_api import LARGEST_RESPONSE, Request, RuntimeApi

PREFIX = "/2018-06-01/runtime"


@pytest.fixture
def api():
    with RuntimeApi() as api:
        yield api


@pytest.fixture
def runtime(api):
    connection = http.client.HTTPConnection(api.address, timeout=60)
    yield connection
    connection.close()


def request(**changes):
    given = {"identifier": "one", "payload": b'{"a": 1}', "arn": "arn", "deadline": time.time() + 3, "trace": "Root=1"}
    return Request(**{**given, **changes})


def take(api, runtime, **changes):
    """Let the runtime ask for an event, and return its answer."""
    api.requests.put(request(**changes))
    runtime.request("GET", f"{PREFIX}/invocation/next")
    answer = runtime.getresponse()
    return answer, answer.read()


def post(runtime, path, body, headers=None):
    runtime.request("POST", f"{PREFIX}{path}", body, headers or {})
    answer = runtime.getresponse()
    return answer.status, json.loads(answer.read())


def test_an_event_comes_with_what_the_context_is_made_of(api, runtime):
    """Identifier, deadline in whole milliseconds that have begun, ARN and trace are headers."""
    answer, payload = take(api, runtime, deadline=12.5009)

    assert payload == b'{"a": 1}'
    assert answer.getheader("Lambda-Runtime-Aws-Request-Id") == "one"
    assert answer.getheader("Lambda-Runtime-Deadline-Ms") == "12500"
    assert answer.getheader("Lambda-Runtime-Invoked-Function-Arn") == "arn"
    assert answer.getheader("Lambda-Runtime-Trace-Id") == "Root=1"
    assert api.said.get(timeout=60).kind == "ready"


@pytest.mark.parametrize("kind", ["response", "error"])
def test_what_the_function_says_of_an_event_arrives(kind, api, runtime):
    """Whole, and once: the event is over then."""
    take(api, runtime)
    api.said.get(timeout=60)

    assert post(runtime, f"/invocation/one/{kind}", b"[1]", {"Lambda-Runtime-Function-Error-Type": "E"})[0] == 202

    said = api.said.get(timeout=60)
    assert (said.kind, said.payload, said.error_type) == (kind, b"[1]", "E" if kind == "error" else "")
    assert post(runtime, f"/invocation/one/{kind}", b"[2]")[0] == 400


def test_a_response_to_another_event_is_refused(api, runtime):
    """A function that answers too late answers nobody."""
    take(api, runtime)

    assert post(runtime, "/invocation/other/response", b"1") == (
        400,
        {"errorMessage": "Bad Request", "errorType": "InvalidRequestID"},
    )


def test_a_streamed_response_arrives_whole(api, runtime):
    """It comes in chunks."""
    take(api, runtime)
    api.said.get(timeout=60)
    runtime.request("POST", f"{PREFIX}/invocation/one/response", iter([b"ab", b"c" * 70_000]), encode_chunked=True)

    assert runtime.getresponse().status == 202
    assert api.said.get(timeout=60).payload == b"ab" + b"c" * 70_000


def test_a_stream_may_end_in_an_error(api, runtime):
    """The error comes behind the chunks, as a trailer."""
    take(api, runtime)
    api.said.get(timeout=60)
    runtime.putrequest("POST", f"{PREFIX}/invocation/one/response")
    runtime.putheader("Transfer-Encoding", "chunked")
    runtime.endheaders(b"2\r\nab\r\n0\r\nLambda-Runtime-Function-Error-Type: Broken\r\n\r\n")

    assert runtime.getresponse().status == 202
    said = api.said.get(timeout=60)
    assert (said.kind, said.error_type) == ("error", "Broken")


def test_a_response_above_the_quota_is_an_error(api, runtime):
    """Lambda refuses it."""
    take(api, runtime)
    api.said.get(timeout=60)

    assert post(runtime, "/invocation/one/response", b"x" * (LARGEST_RESPONSE + 1))[0] == 413

    assert api.said.get(timeout=60).error_type == "Function.ResponseSizeTooLarge"


def test_an_error_of_the_start_arrives(api, runtime):
    """Without any event."""
    assert post(runtime, "/init/error", b"{}", {"Lambda-Runtime-Function-Error-Type": "Runtime.X"})[0] == 202

    said = api.said.get(timeout=60)
    assert (said.kind, said.error_type) == ("init error", "Runtime.X")


@pytest.mark.parametrize(("method", "path"), [("GET", "/elsewhere"), ("POST", "/invocation/one")])
def test_there_is_nothing_else(method, path, runtime):
    """Neither to get nor to post."""
    runtime.request(method, f"{PREFIX}{path}", b"")
    assert runtime.getresponse().status == 404


def test_who_waits_for_an_event_is_let_go_at_the_end():
    """A killed process leaves its connection open."""
    with RuntimeApi() as api:
        connection = http.client.HTTPConnection(api.address, timeout=60)
        connection.request("GET", f"{PREFIX}/invocation/next")
        assert api.said.get(timeout=60).kind == "ready"
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()
