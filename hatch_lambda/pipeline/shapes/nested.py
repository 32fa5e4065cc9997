"""A function that does not fit: some of its dependencies in an inner archive, which a loader unpacks to /tmp."""

from __future__ import annotations

import math
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_lambda.config.target import DEFAULT_STORAGE, LARGEST_STORAGE
from hatch_lambda.core.model import Finding, Severity
from hatch_lambda.core.staging import Staging
from hatch_lambda.pipeline.shapes.cohesion import PROJECT, clusters
from hatch_lambda.pipeline.shapes.shape import Ingredients, Product, described
from hatch_lambda.stages.archive.pack import with_directories
from hatch_lambda.stages.archive.write import write_packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_lambda.stages.archive.pack import Packed


_LOADER = "hatch_lambda_nested"
_WRAPPER = "hatch_lambda_handler"
_OTHER_LOADER = "unzip_requirements"
"""What code imports that was written for serverless-python-requirements."""

_HEADERS = 76
"""Bytes of both headers of an entry, without its name twice (PKWARE APPNOTE 6.3.10)."""
_OWN_FILES = 1 << 14
"""Bytes that are kept free for the loader and its companions."""
_BLOCK = 4096
_MIB = 1 << 20


def make_nested(ingredients: Ingredients, new: Staging) -> Product:
    """Write the zip of the function, and in it the inner archive with as few distributions as must be in there.

    What stays outside is imported from where Lambda puts it, so only what does not fit costs time at a cold start.
    """
    limit = ingredients.project.settings.output.nested_limit
    inside, left = _chosen(ingredients, limit)
    owners = {file.path: file.distribution or "(no distribution)" for file in ingredients.dependencies}
    nested = {path for path, owner in owners.items() if owner in inside}
    inner = ingredients.work / f"{_LOADER}.zip"
    findings = [*_findings(ingredients, nested, inside), *([_too_large(limit + left, limit)] if left > 0 else [])]
    files = (packed for packed in ingredients.dependency_entries() if packed.entry.name in nested)
    if nested:
        with Staging() as aside:
            write_packed(files, inner, aside, ingredients.timestamp)
            aside.commit()
    outer = chain(
        (packed for packed in ingredients.dependency_entries() if packed.entry.name not in nested),
        ingredients.own_entries(),
        _companions(ingredients, inner if nested else None),
    )
    sizes: list[int] = []

    def counted() -> Iterator[Packed]:
        for packed in outer:
            sizes.append(packed.entry.size)
            yield packed

    written = write_packed(with_directories(counted()), ingredients.output, new, ingredients.timestamp)
    return Product(
        main=described("nested", written, unzipped=sum(sizes)),
        handler=f"{_WRAPPER}.handler" if ingredients.project.settings.project.handler else None,
        findings=tuple(findings),
    )


def _chosen(ingredients: Ingredients, limit: int) -> tuple[set[str], int]:
    """Return the distributions to nest, which bring the rest below *limit*, as small as can be, and the bytes above."""
    plain: Counter[str] = Counter()
    packed: Counter[str] = Counter()
    owners = {file.path: file.distribution or "(no distribution)" for file in ingredients.dependencies}
    for entry in (entry for stored in ingredients.sections for entry in stored.section.files):
        plain[owners[entry.name]] += entry.size
        packed[owners[entry.name]] += entry.compressed_size + _HEADERS + 2 * len(entry.name.encode())
    excess = sum(plain.values()) + ingredients.own.size + _OWN_FILES - limit
    if excess <= 0:
        return set(), 0
    groups = [group for group in clusters(ingredients) if PROJECT not in group]
    saved = {group: sum(plain[owner] - packed[owner] for owner in group) for group in groups}
    chosen: set[str] = set()
    while excess > 0 and (open_ := [group for group in groups if not group <= chosen and saved[group] > 0]):
        enough = [group for group in open_ if saved[group] >= excess]
        group = (
            min(enough, key=lambda group: (sum(plain[owner] for owner in group), sorted(group)))
            if enough
            else min(open_, key=lambda group: (-saved[group], sorted(group)))
        )
        chosen |= group
        excess -= saved[group]
    return chosen, excess if limit else 0


def _companions(ingredients: Ingredients, inner: Path | None) -> Iterator[Packed]:
    """Yield the loader, the inner archive, and the modules that stand for the handler and for the other loader."""
    packer, settings = ingredients.packer, ingredients.project.settings
    names = {file.path for file in (*ingredients.own, *ingredients.dependencies)}
    yield packer.pack_text(f"{_LOADER}.py", _text("nested_loader.py"))
    if inner is not None:
        yield packer.pack_bytes(f"{_LOADER}.zip", inner.read_bytes())
    if settings.project.handler is not None:
        module, _, function = settings.project.handler.rpartition(".")
        yield packer.pack_text(f"{_WRAPPER}.py", _wrapper(module.replace("/", "."), function))
    if f"{_OTHER_LOADER}.py" not in names:
        yield packer.pack_text(f"{_OTHER_LOADER}.py", f"import {_LOADER}\n")


def _wrapper(module: str, function: str) -> str:
    return (
        f"from importlib import import_module\n\nimport {_LOADER}\n\n"
        f"handler = getattr(import_module({module!r}), {function!r})\n"
    )


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _findings(ingredients: Ingredients, nested: set[str], inside: set[str]) -> Iterator[Finding]:
    settings = ingredients.project.settings
    if not nested:
        yield Finding(
            code="HL042",
            severity=Severity.NOTE,
            message="the package fits as it is, so nothing of it is nested",
            hint='shape = "function" needs no loader',
        )
        return
    blocks = sum(math.ceil(file.size / _BLOCK) + 1 for file in ingredients.dependencies if file.path in nested)
    needed = math.ceil(blocks * _BLOCK / _MIB)
    yield Finding(
        code="HL043",
        severity=Severity.NOTE,
        message=f"unpacked to /tmp at a cold start: {', '.join(sorted(inside))} ({needed} MB)",
    )
    if settings.project.handler is None:
        yield Finding(
            code="HL044",
            severity=Severity.WARNING,
            message="no handler is set, so nothing unpacks the inner archive by itself",
            hint=f"set `handler` in [tool.lambda-slim], or begin the handler's module with `import {_LOADER}`",
        )
    if needed > DEFAULT_STORAGE:
        yield Finding(
            code="HL045",
            severity=Severity.WARNING if needed <= LARGEST_STORAGE else Severity.ERROR,
            message=f"the inner archive unpacks to {needed} MB; the ephemeral storage of a function has"
            f" {DEFAULT_STORAGE} MB unless more is asked for, and {LARGEST_STORAGE} MB at most",
            hint=f"set the function's ephemeral storage (`EphemeralStorage: {{Size: {needed}}}`) to {needed} MB"
            " or more",
        )


def _too_large(size: int, limit: int) -> Finding:
    return Finding(
        code="HL001",
        severity=Severity.ERROR,
        message=f"even with its dependencies nested the package is {math.ceil(size * 10 / _MIB) / 10} MiB unzipped,"
        f" above the limit of {limit / _MIB:.1f} MiB",
        hint="leave out what the function does not use, or deploy it as a container image",
    )
