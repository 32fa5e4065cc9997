"""Invoke the handler of a package with events, and return the responses."""

from __future__ import annotations

import codecs
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.core.codec import JSON_LIMIT, Document, DocumentError, parse_json, view
from hatch_lambda.core.log import logger
from hatch_lambda.errors import ConfigurationError, MissingToolError
from hatch_lambda.inspect.run.function import Environment, FunctionError, Invocation
from hatch_lambda.inspect.run.lambda_root import Place, laid_out, obstacle
from hatch_lambda.inspect.run.machine import Host, find_runner, put_client
from hatch_lambda.inspect.run.runtime_api import LARGEST_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hatch_lambda.inspect.run.function import Function


_log = logger(__name__)


class Trial(Struct, frozen=True, kw_only=True):
    """A package to run, and how."""

    package: Path
    function: Function
    layers: tuple[Path, ...] = ()
    architecture: Architecture
    python: Path | None = None
    """An interpreter to take instead of one that uv finds."""
    sandbox: bool | None = None
    """None: where that is possible."""

    @property
    def target(self) -> Target:
        """The target that the package is built for."""
        return Target(runtime=runtimes()[self.function.runtime], architecture=self.architecture)


class Invoked(Struct, frozen=True, kw_only=True):
    """The outcome of running a package."""

    runtime: str
    architecture: str
    memory: int
    sandbox: bool
    why_no_sandbox: str | None
    emulated: bool
    invocations: tuple[Invocation, ...]

    @property
    def failed(self) -> tuple[Invocation, ...]:
        """The invocations that ended in an error."""
        return tuple(done for done in self.invocations if done.error is not None)

    def document(self) -> InvokedDocument:
        """Return what ``invoke --json`` prints of it."""
        return view(self, InvokedDocument)


class InvocationDocument(Struct, frozen=True, kw_only=True, rename={"peak": "peak_memory_bytes"}):
    """What became of one event."""

    request_id: str
    response: Annotated[Any, Meta(description="Text where it is not JSON; null where there was an error.")]
    error: FunctionError | None
    duration_ms: float
    init_duration_ms: Annotated[float | None, Meta(description="Null where it had been started for an earlier event.")]
    peak: Annotated[int | None, Meta(description="Null where the system does not tell.")]
    log: str


class InvokedDocument(Struct, frozen=True, kw_only=True, rename={"memory": "memory_mb"}):
    """What ``invoke`` came to."""

    schema_version: Literal[1] = 1
    runtime: str
    architecture: str
    memory: int
    sandbox: bool
    why_no_sandbox: str | None
    emulated: bool
    invocations: list[InvocationDocument]


def read_event(path: Path, shown: str) -> bytes:
    """Return the event in a file, which messages call *shown*. Raises ConfigurationError."""
    hint = "name a file with an event, as JSON"
    document = Document(path=path, shown=shown, family=ConfigurationError, hint=hint, limit=JSON_LIMIT)
    return as_event(document.content(), shown)


def as_event(content: bytes, shown: str) -> bytes:
    """Return *content* as an event, without a byte order mark. Raises ConfigurationError for what is no JSON."""
    try:
        parse_json(content)
    except DocumentError as error:
        raise ConfigurationError(f"{shown}: {error}", hint="Lambda takes JSON and nothing else") from error
    return content.removeprefix(codecs.BOM_UTF8)


@contextmanager
def placed(trial: Trial, host: Host) -> Iterator[Place]:
    """Unpack what *trial* is about, and yield where it is and what runs it.

    Raises MissingToolError where it cannot be run.
    """
    runner = find_runner(trial.target, host, trial.python)
    with laid_out(trial.package, trial.layers, host.work, runner.interpreter) as tree:
        yield Place(folder=host.work, interpreter=runner.interpreter, tree=tree, emulator=runner.emulator)


def invoke(
    trial: Trial,
    events: Sequence[bytes],
    host: Host,
    *,
    tell: Callable[[str], None],
    done: Callable[[Invocation], None],
) -> Invoked:
    """Let the function answer *events*, one after the other, and return the outcome.

    *tell* is called with each piece of its log, *done* with each result. Raises ConfigurationError for an event that
    is larger than Lambda takes, and MissingToolError where the package cannot run.
    """
    for event in events:
        if len(event) > LARGEST_REQUEST:
            raise ConfigurationError(
                f"an event has {len(event)} bytes; Lambda takes {LARGEST_REQUEST}", hint="put what is large into S3"
            )
    with placed(trial, host) as place:
        put_client(trial.target, host, host.work / "runtime")
        why_not = _why_no_sandbox(trial, place)
        _log.debug("%s", "the function runs in a sandbox" if why_not is None else f"there is no sandbox: {why_not}")
        if trial.sandbox and why_not is not None:
            raise MissingToolError(f"there is no sandbox: {why_not}", hint="--no-sandbox does without")
        place = replace(place, is_sandbox=why_not is None)  # noqa: PLW2901 - the same folders, seen otherwise
        invocations: list[Invocation] = []
        with Environment(trial.function, place, tell) as environment:
            for event in events:
                invocations.append(environment.invoke(event))
                done(invocations[-1])
    return Invoked(
        runtime=trial.target.runtime.name,
        architecture=trial.architecture.value,
        memory=trial.function.memory,
        sandbox=place.is_sandbox,
        why_no_sandbox=why_not,
        emulated=bool(place.emulator),
        invocations=tuple(invocations),
    )


def _why_no_sandbox(trial: Trial, place: Place) -> str | None:
    if trial.sandbox is False:
        return "it was not wanted"
    if place.emulator:
        return "an emulator's files are not in it"
    return obstacle(place.folder, place.interpreter)
