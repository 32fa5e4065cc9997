"""The variables that a function finds in its environment: Lambda's, and nothing of this machine's.

Source: AWS Lambda Developer Guide, "Defined runtime environment variables". Credentials are not among them: what a
function is to have of those, its caller has to name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_lambda.invoking.place import Place

FUNCTION = "function"
REGION = "us-east-1"
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}"
_STREAM = "1970/01/01/[$LATEST]00000000000000000000000000000000"


class Function(Struct, frozen=True, kw_only=True):
    """What the function is configured with."""

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
