"""Strip every shared object of a tree, each into a new file, and prove each result."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.core.elf.tables import Unstrippable
from hatch_lambda.core.model import Change, File, Finding, Severity, Stage, Tree
from hatch_lambda.stages.strip.prove import prove
from hatch_lambda.stages.strip.strip import apply, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_lambda.config.settings import StripSettings
    from hatch_lambda.core.model import Progress


RULE = "strip"
REASON = "symbols and debugging information"
NOT_STRIPPED = "HL020"

_MAGIC = b"\x7fELF"
_SMALLEST = 64
"""Bytes of an ELF64 header."""
_SIDECAR_FOLDERS = ("", "fipscheck/", "hmaccalc/")
_SIDECAR_ENDINGS = ("hmac", "sha1", "sha256", "sha384", "sha512", "md5", "chk", "sig", "asc")


def strip_tree(  # noqa: PLR0913 - each is of another owner
    tree: Tree,
    settings: StripSettings,
    workspace: Path,
    progress: Progress,
    *,
    jobs: int,
    realign: bool = False,
    then: Callable[[File], None] | None = None,
) -> tuple[Tree, tuple[Change, ...], tuple[Finding, ...]]:
    """Strip the shared objects of *tree* on *jobs* threads, into new files below *workspace*.

    Segments of arm64 objects are aligned to the pages of Lambda's kernel where *realign* says so. Each object, as it
    is now, is handed to *then* by the thread that stripped it.

    A source is only ever read: it may be a hard link into uv's cache, and an in-place strip would damage
    every environment on the machine that shares it. An object that cannot be stripped with certainty stays,
    with a finding that says why.
    """
    if not settings.enabled:
        return tree, (), ()
    objects = sorted(find_objects(tree, settings), key=lambda file: -file.size)
    if not objects:
        return tree, (), ()
    from hatch_lambda.stages.strip.tree import strip_file

    progress.start(Stage.STRIP.value, len(objects))
    folder = _new_folder(workspace)
    paths = {file.path for file in tree}

    def strip_one(number: int) -> tuple[File, str | None]:
        file, reason = objects[number], self_check(objects[number].path, paths)
        if not reason:
            destination = _destination(folder, number)
            outcome = strip_file(file.source, destination, realign=realign)
            reason = outcome.reason
            if outcome.size is not None:
                file = replace(file, source=destination, size=outcome.size)
        progress.advance()
        if then is not None:
            then(file)
        return file, reason

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        outcomes = list(pool.map(strip_one, range(len(objects))))

    stripped: dict[str, File] = {}
    changes: list[Change] = []
    findings: list[Finding] = []
    for before, (file, reason) in zip(objects, outcomes, strict=True):
        if reason:
            findings.append(_finding(file, reason))
        elif file is not before:
            stripped[file.path] = file
            changes.append(Change.of(before, Stage.STRIP, rule=RULE, reason=REASON, after=file.size))
    return (
        Tree(tuple(stripped.get(file.path, file) for file in tree)),
        tuple(sorted(changes, key=lambda change: change.path)),
        tuple(sorted(findings, key=lambda finding: finding.path or "")),
    )


def find_objects(tree: Tree, settings: StripSettings) -> Iterator[File]:
    """Yield the ELF files of *tree* that no pattern excludes.

    They are told by their content, because grafted libraries are called ``libfoo-1a2b.so.1.2``.
    """
    is_excluded = _compile(settings.exclude)
    for file in tree:
        if file.size >= _SMALLEST and _has_magic(file.source) and not is_excluded(file.path):
            yield file


def _compile(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    if not patterns:
        return lambda _: False
    from hatch_lambda.core.gitignore import compile_patterns

    return compile_patterns(patterns, "strip-exclude").match_file


def self_check(path: str, paths: set[str]) -> str | None:
    """Return what says that an object's bytes are checked, so that it must not change, or None.

    FIPS modules compare themselves with a digest beside them: ``.libssl.so.hmac`` (Red Hat, GnuTLS),
    ``fipscheck/libssl.so.hmac``, ``libfreebl3.chk`` (NSS); OpenSSL keeps that of ``fips.so`` in a
    configuration file.
    """
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    if stem.partition("-")[0] == "fips":
        return "it is OpenSSL's FIPS module, which checks a digest of its own file"
    prefix = f"{folder}/" if folder else ""
    for middle in _SIDECAR_FOLDERS:
        for ending in _SIDECAR_ENDINGS:
            for base in (name, f".{name}", stem):
                sidecar = f"{prefix}{middle}{base}.{ending}"
                if sidecar in paths and sidecar != path:
                    return f"{sidecar} is a digest of it"
    return None


def _has_magic(source: Path) -> bool:
    with source.open("rb", buffering=0) as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def _new_folder(workspace: Path) -> Path:
    """Make a folder that is new even if the workspace has served another tree."""
    parent = workspace / "stripped"
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))


def _destination(folder: Path, number: int) -> Path:
    """Return a name without anything of the package's path, which may not be usable on this host."""
    return folder / f"{number}.so"


def _finding(file: File, reason: str) -> Finding:
    return Finding(
        code=NOT_STRIPPED,
        severity=Severity.NOTE,
        message=f"not stripped: {reason}",
        path=file.path,
    )


class Outcome(Struct, frozen=True):
    """What came of one object: a smaller file, a reason to keep the original, or neither."""

    size: int | None = None
    reason: str | None = None


def strip_file(source: Path, destination: Path, *, realign: bool = False) -> Outcome:
    """Write what is left of *source* to *destination*, if it is smaller and proven."""
    try:
        stripped = _strip_proven(source, realign=realign)
    except Unstrippable as refusal:
        return Outcome(reason=refusal.reason)
    if stripped is None:
        return Outcome()
    with destination.open("xb") as stream:
        stream.write(stripped)
    return Outcome(size=len(stripped))


def _strip_proven(source: Path, *, realign: bool) -> bytearray | None:
    """Return the stripped content of *source*, or None where there is nothing to gain. Raises Unstrippable.

    The map is unmapped with its last view, so it is not closed by hand: views outlive a refusal's traceback.
    """
    with source.open("rb") as stream:
        data = memoryview(mmap(stream.fileno(), 0, access=ACCESS_READ))
    decided = plan(data, realign=realign)
    if decided.size >= len(data):
        return None
    stripped = apply(data, decided)
    prove(data, stripped, realigned=decided.page_aligned)
    return stripped
