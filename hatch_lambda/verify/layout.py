"""How the files lie in the package: names, modes, links."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from hatch_lambda.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_lambda.archive import ReadEntry
    from hatch_lambda.verify.subject import Subject

_FOR_ALL_TO_READ = 0o004
_FOR_ALL_TO_ENTER = 0o005
_SECRET = re.compile(
    r"(?:.*/)?(?:\.env(?:\.(?!example$|sample$|template$|dist$)[\w.-]+)?|id_(?:rsa|dsa|ecdsa|ed25519)|\.netrc|\.pypirc"
    r"|[^/]*\.(?:p12|pfx))|(?:.*/)?\.(?:aws|git|ssh)/.*"
)


def check_names(subject: Subject) -> Iterator[Finding]:
    """Find a package that lies in a folder of the zip, secrets, and names that are one to other systems.

    What a distribution brought is public, and so no secret.
    """
    yield from _check_top(subject)
    folders = set()
    for file in subject.tree:
        folder = next((part for part in (".aws/", ".git/", ".ssh/") if part in f"/{file.path}"), None)
        secret = file.distribution is None and _SECRET.fullmatch(file.path)
        if (secret or file.path in subject.facts.keys) and (folder is None or folder not in folders):
            folders.add(folder)
            what = "holds a private key" if file.path in subject.facts.keys else "has the name of a secret"
            yield Finding(
                code="HL119",
                severity=Severity.WARNING,
                path=file.path,
                message=f"{what}; everybody who may read the function's code can read it",
                hint="leave it out with tool.lambda-slim.exclude, and keep it in AWS Secrets Manager",
            )
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(subject.paths):
        alike[path.casefold()].append(path)
    for first, *others in alike.values():
        if others:
            yield Finding(
                code="HL118",
                severity=Severity.NOTE,
                path=first,
                message=f"differs from {', '.join(others)} only in case: one file on macOS and Windows",
            )


def _check_top(subject: Subject) -> Iterator[Finding]:
    if len(subject.tops) != 1 or subject.is_layer:
        return
    (top,) = subject.tops
    inside = {path.partition("/")[2] for path in subject.paths}
    installed = any(".dist-info/" in path.partition("/")[0] + "/" for path in inside)
    if installed or (f"{top}/__init__.py" not in subject.paths and not top.isidentifier() and inside != {""}):
        yield Finding(
            code="HL116",
            severity=Severity.ERROR if installed else Severity.WARNING,
            path=f"{top}/",
            message="everything lies in this one folder; Lambda looks for modules at the top of the zip",
            hint=f"zip the content of {top}, not the folder",
        )


def check_entries(entries: Iterable[ReadEntry]) -> Iterator[Finding]:
    """Find files and folders that Lambda's user may not read, and symbolic links."""
    for entry in entries:
        if entry.is_symlink:
            yield Finding(
                code="HL117",
                severity=Severity.WARNING,
                path=entry.path,
                message="is a symbolic link, and was not looked into",
                hint="put the file itself in its place",
            )
        elif entry.mode is not None:
            wanted = _FOR_ALL_TO_ENTER if entry.is_directory else _FOR_ALL_TO_READ
            if entry.mode & wanted != wanted:
                yield Finding(
                    code="HL115",
                    severity=Severity.ERROR,
                    path=entry.path,
                    message=f"has the mode {entry.mode & 0o7777:04o}: Lambda's user may not read it",
                    hint="chmod -R a+rX before zipping",
                )
