"""``requirements.txt``: read here, and resolved to addresses by uv."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.errors import ConfigurationError, LockError
from hatch_lambda.locks.lock import Lock
from hatch_lambda.locks.messages import command_in_header, listed
from hatch_lambda.locks.requirements_file import parse_file
from hatch_lambda.locks.resolving import resolve
from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from hatch_lambda.locks.lock import Request

_MAKER = "uv pip compile --universal --generate-hashes pyproject.toml -o requirements.txt"


def read(request: Request) -> Lock:
    """Read a ``requirements.txt`` all of whose lines are pinned, and hashed unless the settings let that pass.

    Raises LockError for lines that are not, for what uv cannot find, and where no file has a listed hash.
    """
    policy = request.policy
    if policy.groups or policy.only_groups:
        raise ConfigurationError(
            f"tool.lambda-slim.{'groups' if policy.groups else 'only-groups'}: {request.shown} knows no dependency"
            " groups",
            hint="make the file with the groups in it (`uv export --group NAME`) and leave the setting out, "
            "or use uv.lock or pylock.toml",
        )
    contents = parse_file(request.path, request.project, require_hashes=policy.require_hashes)
    if contents.problems:
        raise LockError(
            f"{request.shown}: not every line is pinned and hashed:{listed(contents.problems)}",
            hint=f"a lock file is made by `{_MAKER}` or `uv export --format requirements.txt`; "
            "`uv lock` makes a uv.lock, which is taken instead",
        )
    mend = command_in_header(contents.text) or _MAKER
    unhashed = sorted(str(pin.name) for pin in contents.pins if not pin.hashes)
    return Lock(
        path=request.path,
        pylock=resolve(request, contents),
        findings=_warned(request, unhashed) if unhashed else (),
        stands_alone=contents.stands_alone,
        mend=f"`{mend}`",
    )


def _warned(request: Request, names: list[str]) -> tuple[Finding, ...]:
    return (
        Finding(
            code="HL060",
            severity=Severity.WARNING,
            message=f"{request.shown}: no hashes are listed for {', '.join(names)}:"
            " whatever the index holds under these versions is taken",
            hint=f"make it with hashes: `{_MAKER}`",
        ),
    )
