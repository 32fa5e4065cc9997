"""Check where files lie, the handler, the quotas, the runtime and the platform of a package."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA, TargetHint, architectures_of, runtimes_of
from hatch_lambda.core.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from packaging.tags import Tag

    from hatch_lambda.config.target import Runtime
    from hatch_lambda.core.model import Tree
    from hatch_lambda.inspect.audit.subject import Subject


MOST_LAYERS = 5
"""AWS, "Lambda quotas"."""
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


def check_entries(subject: Subject) -> Iterator[Finding]:
    """Find files and folders that Lambda's user may not read, and symbolic links."""
    for entry in subject.entries:
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


_EXTENSIONS = (".py", "/__init__.py", ".pyc", "/__init__.pyc")


def check_handler(subject: Subject) -> Iterator[Finding]:
    """Find a handler ``module.function`` whose module is not in the package.

    Lambda takes both dots and slashes in the module's name.
    """
    tree, handler = subject.tree, subject.handler
    if handler is None:
        return
    module, dot, function = handler.rpartition(".")
    if not dot or not module or not function.isidentifier():
        yield Finding(
            code="HL004",
            severity=Severity.ERROR,
            message=f"tool.lambda-slim.handler: {handler!r} is not of the form module.function",
            hint='for example handler = "package.module.function"',
        )
        return
    stem = module.replace(".", "/")
    paths = {file.path for file in tree}
    extension_module = any(path.startswith(f"{stem}.") and path.endswith(".so") for path in paths)
    if extension_module or any(stem + extension in paths for extension in _EXTENSIONS):
        return
    own = [file.path.removesuffix(".py") for file in tree if file.project and file.path.endswith(".py")]
    import difflib

    close = difflib.get_close_matches(stem, own, n=1) or [
        path for path in own if path.endswith(f"/{stem}") or path.rpartition("/")[2] == stem.rpartition("/")[2]
    ]
    meant = f"did you mean {close[0].replace('/', '.')}.{function}? " if close else ""
    yield Finding(
        code="HL005",
        severity=Severity.ERROR,
        message=f"tool.lambda-slim.handler: {handler!r} needs {stem}.py, which is not in the package",
        hint=f"{meant}`hatch-lambda explain {stem}.py` tells why a file is not there",
    )


_MIB = 1 << 20
_MB = 1_000_000
_NAMED = 3


def _above(size: int, unit: int) -> str:
    """Round up, so that no message compares a number with itself."""
    return f"{math.ceil(size * 10 / unit) / 10:.1f}"


def check_unzipped(tree: Tree, layers: int = 0, *, nested: bool = False) -> Iterator[Finding]:
    """Find a tree that, with the bytes of its *layers*, is larger than a function may be unzipped, or empty.

    Its size does not matter where some of it will be *nested*.
    """
    if not tree.files:
        yield Finding(
            code="HL008",
            severity=Severity.ERROR,
            message="the package is empty: there is no Python module in the project, and no dependency",
            hint="name the folder of a project; `hatch-lambda explain .` tells what became of its files",
        )
    if nested or tree.size + layers <= UNZIPPED_QUOTA:
        return
    sizes: Counter[str] = Counter()
    for file in tree:
        sizes[file.distribution or "the project"] += file.size
    with_layers = f" with {_above(layers, _MIB)} MiB of layers" if layers else ""
    largest = ", ".join(f"{name} {size / _MIB:.1f} MiB" for name, size in sizes.most_common(_NAMED))
    yield Finding(
        code="HL001",
        severity=Severity.ERROR,
        message=f"the package is {_above(tree.size + layers, _MIB)} MiB unzipped{with_layers};"
        f" Lambda takes {UNZIPPED_QUOTA // _MIB} MiB"
        f" (largest: {largest})",
        hint="leave out what the function does not use with tool.lambda-slim.patterns,"
        ' or let it be unpacked at the start with shape = "nested"',
    )


def check_size(subject: Subject) -> Iterator[Finding]:
    """Find a package that is too large to be a function's, or to be uploaded directly, or empty."""
    yield from check_unzipped(subject.tree, sum(layer.size for layer in subject.layers), nested=subject.nested)
    yield from check_zipped(subject.zipped or 0)


def check_layers(subject: Subject) -> Iterator[Finding]:
    """Find more layers than a function may have."""
    if len(subject.layers) > MOST_LAYERS:
        yield Finding(
            code="HL122",
            severity=Severity.ERROR,
            message=f"tool.lambda-slim.layers: {len(subject.layers)} layers; a function has {MOST_LAYERS} at most",
            hint="put several together",
        )


def check_target(subject: Subject) -> Iterator[Finding]:
    """Find a package that does not say what it is for, or for what Lambda does not have."""
    if subject.runtime is not None and subject.architecture is not None:
        return
    known = (("--runtime", subject.hint.runtime), ("--architecture", subject.hint.architecture))
    missing = [option for option, value in known if not value]
    yield Finding(
        code="HL121",
        severity=Severity.NOTE,
        message="nothing in the package tells what it is for, so what depends on that was not checked"
        if missing
        else f"{subject.hint.runtime} is not a Lambda runtime, so what depends on it was not checked",
        hint=f"say {' and '.join(missing or ['--runtime'])}",
    )


def check_zipped(size: int, name: str = "the zip") -> Iterator[Finding]:
    """Find a zip, the *name* of which may be told, that is too large to be uploaded directly."""
    if size > DIRECT_UPLOAD_QUOTA:
        yield Finding(
            code="HL002",
            severity=Severity.NOTE,
            message=f"{name} has {_above(size, _MB)} MB; a direct upload takes {DIRECT_UPLOAD_QUOTA // _MB} MB",
            hint="upload it through S3, or leave out what the function does not use",
        )


def check_runtime(runtime: Runtime, *, guessed: bool, today: date) -> Iterator[Finding]:
    """Find a runtime that no setting names, and one that AWS no longer supports on the day *today*."""
    if guessed:
        yield Finding(
            code="HL003",
            severity=Severity.WARNING,
            message=f"no runtime is set; {runtime.name} is the newest that requires-python allows",
            hint=f'set runtime = "{runtime.name}" in [tool.lambda-slim], so that it changes only when you say so',
        )
    if today > runtime.end_of_support:
        yield Finding(
            code="HL006",
            severity=Severity.WARNING,
            message=f"AWS ended its support of {runtime.name} on {runtime.end_of_support}",
            hint="choose a newer runtime: functions on this one get no security updates",
        )


_SHOWN = 5


def check_platforms(tags: Mapping[str, frozenset[Tag]], target: TargetHint) -> Iterator[Finding]:
    """Find distributions none of whose tags fits *target*: their modules cannot be imported there."""
    misfits = [f"{name} is for {why}" for name in sorted(tags) if (why := _purpose(tags[name], target)) is not None]
    if misfits:
        more = [f"and {len(misfits) - _SHOWN} more"] if len(misfits) > _SHOWN else []
        wanted = " on ".join(filter(None, (target.runtime, target.architecture))) or "Lambda"
        yield Finding(
            code="HL007",
            severity=Severity.WARNING,
            message=f"not for {wanted}: {'; '.join([*misfits[:_SHOWN], *more])}",
            hint="install again for one target: `--platform` and `--only-binary=:all:` of pip,"
            " `--python-platform` of uv; and `--python-version` of both",
        )


def _purpose(tags: frozenset[Tag], target: TargetHint) -> str | None:
    """Return what a distribution is for, unless that is *target*, or everything."""
    compiled = [tag for tag in tags if tag.platform != "any"]
    if compiled and len(compiled) == len(tags):
        machines = architectures_of(tags)
        if not machines or (target.architecture is not None and target.architecture not in machines):
            return ", ".join(sorted({tag.platform for tag in compiled}))
    versions = runtimes_of(tags)
    if versions and target.runtime is not None and target.runtime not in versions:
        return ", ".join(sorted(versions))
    return None
