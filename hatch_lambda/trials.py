"""The Python API of running packages: it turns what a caller names into what is run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from hatch_lambda import api
from hatch_lambda.environment import cache_of, overrides
from hatch_lambda.errors import ConfigurationError, machine_errors
from hatch_lambda.invoking import Function, Host, Invoked, Trial, tell
from hatch_lambda.invoking import invoke as run_trial
from hatch_lambda.model import Silent
from hatch_lambda.process import Uv
from hatch_lambda.project import Project
from hatch_lambda.redact import hide
from hatch_lambda.settings import Settings
from hatch_lambda.target import Architecture, runtimes
from hatch_lambda.workspace import workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_lambda.invoking import Invocation
    from hatch_lambda.invoking.coldstart import ColdStart
    from hatch_lambda.model import Progress

UNSLIMMED = "unslimmed"

_PathLike = str | os.PathLike[str]


@machine_errors()
def invoke(  # noqa: PLR0913 - what a caller may want to say
    package: _PathLike,
    events: Sequence[Any] = ({},),
    *,
    layers: Sequence[_PathLike] = (),
    project: _PathLike = ".",
    env: Mapping[str, str] | None = None,
    timeout: float = 3.0,
    memory: int = 128,
    sandbox: bool | None = None,
    python: _PathLike | None = None,
    log: Callable[[str], None] = lambda _: None,
    done: Callable[[Invocation], None] = lambda _: None,
    **settings: Any,
) -> Invoked:
    """Let the handler of *package* answer *events*, in AWS's own runtime interface client, as Lambda does.

    An event is a value for JSON, or its bytes. What *settings* do not name (``handler``, ``runtime``,
    ``architecture``) is told by the package, else by the settings of *project*. *log* hears the function's log while
    it comes, *done* each result. A function that fails is a result, too. Raises HatchLambdaError.
    """
    trial = make_trial(
        package, layers=layers, project=project, env=env, timeout=timeout, memory=memory, python=python, **settings
    )
    payloads = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    cache = cache_of(project)
    with workspace(None) as work:
        host = Host(uv=Uv.find(os.environ), cache=cache, work=work)
        return run_trial(replace(trial, sandbox=sandbox), payloads, host, tell=log, done=done)


@machine_errors()
def coldstart(
    package: _PathLike,
    *,
    baseline: _PathLike | None = None,
    runs: int = 10,
    project: _PathLike = ".",
    progress: Progress | None = None,
    **options: Any,
) -> ColdStart:
    """Measure how long *package* takes to start, and *baseline* in turn with it.

    A baseline is another zip, or ``"unslimmed"``: the *project* built with nothing taken away. The *options* are those
    of :func:`invoke` that say how a package is run. Raises HatchLambdaError.
    """
    from hatch_lambda.invoking.coldstart import measure

    show = progress or Silent()
    trial = make_trial(package, project=project, memory=10240, **options)
    with workspace(None) as work:
        trials = [("package", trial)]
        if baseline is not None:
            other = Path(baseline)
            if baseline == UNSLIMMED:
                other = work / "unslimmed.zip"
                _build_unslimmed(project, trial, other, show)
            trials.append((UNSLIMMED if baseline == UNSLIMMED else "baseline", replace(trial, package=other)))
        show.start("start", runs * len(trials))
        host = Host(uv=Uv.find(os.environ), cache=cache_of(project), work=work)
        return measure(trials, runs, host, show.advance)


def _build_unslimmed(project: _PathLike, trial: Trial, output: Path, progress: Progress) -> None:
    """Build *project* with nothing taken away, stripped or added."""
    settings: dict[str, Any] = {
        "patterns": [],
        "append_default_patterns": False,
        "dist_info": "keep",
        "strip": False,
        "bytecode": "none",
        "compression": "fast",
        "verify": "static",
    }
    known = {field.name for field in msgspec.structs.fields(Settings)}
    api.build(
        project,
        progress=progress,
        runtime=trial.function.runtime,
        architecture=trial.architecture.value,
        output=str(output),
        **{name: value for name, value in settings.items() if name in known},
    )


def make_trial(  # noqa: PLR0913 - what a caller may want to say
    package: _PathLike,
    *,
    layers: Sequence[_PathLike] = (),
    project: _PathLike = ".",
    env: Mapping[str, str] | None = None,
    timeout: float = 3.0,
    memory: int = 128,
    python: _PathLike | None = None,
    **settings: Any,
) -> Trial:
    """Return what to run, from what the caller named, the package tells and the project's settings say."""
    path = Path(package)
    given = {name: value for name, value in settings.items() if value is not None}
    Project.read(Path(project), overrides(given))  # a slip in what is given is told as always
    chosen = Project.read(Path(project)).settings
    told = tell(path)
    environment = {**chosen.verify_env, **(env or {})}
    hide(environment.values())
    handler = given.get("handler") or chosen.handler
    runtime = given.get("runtime") or told.runtime or chosen.runtime
    architecture = given.get("architecture") or told.architecture or chosen.architecture
    if handler is None:
        raise ConfigurationError(
            f"{path}: which of its functions is the handler?", hint="name it: --handler package.module.function"
        )
    if runtime is None:
        raise ConfigurationError(
            f"{path}: nothing in it tells its runtime", hint="name it, such as `--runtime python3.13`"
        )
    if runtime not in runtimes():
        raise ConfigurationError(f"{path}: {runtime} is not a Lambda runtime", hint=f"known: {', '.join(runtimes())}")
    return Trial(
        package=path,
        function=Function(
            handler=handler,
            runtime=runtime,
            memory=memory,
            timeout=timeout,
            variables=environment,
        ),
        layers=tuple(map(Path, layers)),
        architecture=Architecture(architecture),
        python=Path(python) if python is not None else None,
    )
