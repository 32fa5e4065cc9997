"""Compile the modules of a tree, each into a new file, by interpreters of the target's version side by side."""

from __future__ import annotations

import hashlib
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache as memoized
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hatch_lambda.batches import batches
from hatch_lambda.bytecode.plan import plan
from hatch_lambda.cache import digest
from hatch_lambda.decoding import from_msgpack
from hatch_lambda.errors import CommandError
from hatch_lambda.model import Change, File, Finding, Severity, Stage, Tree
from hatch_lambda.process import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hatch_lambda.bytecode.plan import BytecodePolicy, Compilation
    from hatch_lambda.cache import Cache
    from hatch_lambda.model import Progress

RULE = "compile"
REASON = "bytecode, so that no cold start has to make it"
NOT_COMPILED = "HL022"
NOT_PYTHON = "HL113"
"""For modules of the project itself: nobody but its owner can mend them."""

_KIND = "bytecode"
_WORKER = Path(__file__).with_name("worker.py")
_SMALLEST_BATCH, _LARGEST_BATCH = 1 << 19, 1 << 22
"""Bytes of source that one process gets: many times what its start costs, and little enough to see progress."""


class Compiler(Struct, frozen=True, kw_only=True):
    """What compiling needs of the machine: which program, where, on how many cores, and where results are kept."""

    executable: Path
    """An interpreter of the version that the policy names."""
    environment: Mapping[str, str]
    cache: Cache
    progress: Progress
    jobs: int
    work: Path
    """A folder for the results."""


class _Module(Struct, frozen=True, kw_only=True):
    """A module to compile, and where the result goes."""

    compilation: Compilation
    sha256: str
    destination: Path


class _Result(msgspec.Struct, frozen=True, array_like=True):
    """What became of a module: its bytecode, or the reason why there is none."""

    content: bytes = b""
    reason: str | None = None


def compile_tree(
    tree: Tree, policy: BytecodePolicy, compiler: Compiler
) -> tuple[Tree, tuple[Change, ...], tuple[Finding, ...]]:
    """Add the bytecode of the modules of *tree*, or put it in their place.

    It is valid whatever the date of the source (PEP 552, "unchecked hash"). What does not compile stays as it is,
    with a finding that says why: files for other versions of Python, templates. In the project's own that is worth
    a warning, or more.
    """
    compilations = list(plan(tree, policy))
    if not compilations:
        return tree, (), ()
    compiler.progress.start(Stage.BYTECODE.value, len(compilations))
    modules = _read(compilations, compiler)
    reasons = _compiled(modules, policy, compiler)
    files = {file.path: file for file in tree}
    changes: list[Change] = []
    findings: list[Finding] = []
    for module, reason in zip(modules, reasons, strict=True):
        source = module.compilation.source
        if reason is not None:
            findings.append(_finding(source, reason, policy))
            continue
        made = File(
            path=module.compilation.path,
            source=module.destination,
            size=module.destination.stat().st_size,
            distribution=source.distribution,
            project=source.project,
        )
        before = files.get(made.path)
        files[made.path] = made
        changes.append(_added(made, before))
        if module.compilation.replaces_source:
            del files[source.path]
            changes.append(Change.of(source, Stage.BYTECODE, rule=RULE, reason=module.compilation.reason))
    return Tree.of(files.values()), tuple(sorted(changes, key=lambda change: change.path)), tuple(findings)


def _added(made: File, before: File | None) -> Change:
    return Change(
        stage=Stage.BYTECODE,
        path=made.path,
        rule=RULE,
        reason=REASON,
        before=before.size if before else 0,
        after=made.size,
        distribution=made.distribution,
    )


def _finding(source: File, reason: str, policy: BytecodePolicy) -> Finding:
    if source.project and reason.startswith("SyntaxError: "):
        return Finding(
            code=NOT_PYTHON,
            severity=Severity.WARNING,
            message=f"is not Python {policy.interpreter}: {reason}",
            path=source.path,
        )
    return Finding(
        code=NOT_COMPILED,
        severity=Severity.NOTE,
        message=f"not compiled: Python {policy.interpreter} says: {reason}",
        path=source.path,
    )


def _read(compilations: Sequence[Compilation], compiler: Compiler) -> list[_Module]:
    folder = Path(tempfile.mkdtemp(dir=compiler.work, prefix="bytecode-"))

    def read(number: int) -> _Module:
        compilation = compilations[number]
        sha256 = hashlib.sha256(compilation.source.source.read_bytes()).hexdigest()
        return _Module(compilation=compilation, sha256=sha256, destination=folder / f"{number}.pyc")

    with ThreadPoolExecutor(max_workers=compiler.jobs) as pool:
        return list(pool.map(read, range(len(compilations))))


def _compiled(modules: Sequence[_Module], policy: BytecodePolicy, compiler: Compiler) -> list[str | None]:
    """Leave the bytecode of each module at its destination, and return for each None or why there is none.

    Results are kept by packs, because thousands of small entries would cost as much as half the compiling.
    """
    reasons: dict[Path, str | None] = {}
    packs = {_key(pack, policy): pack for pack in _packs(modules)}
    with ThreadPoolExecutor(max_workers=compiler.jobs) as pool:
        known = dict(zip(packs, pool.map(lambda key: _kept(key, packs[key], compiler), packs), strict=True))
        for found in known.values():
            reasons |= found or {}
        missing = [module for key, found in known.items() if found is None for module in packs[key]]
        portions = list(_batches(missing, compiler.jobs))
        for found in pool.map(lambda batch: _run(batch, policy, compiler), portions):
            reasons |= found
        new = [key for key, found in known.items() if found is None]
        list(pool.map(lambda key: _keep(key, packs[key], reasons, compiler.cache), new))
    return [reasons[module.destination] for module in modules]


def _packs(modules: Iterable[_Module]) -> Iterator[list[_Module]]:
    """Yield the modules that are kept together: each of the project's, which change, by itself; else by folders."""

    def pack(module: _Module) -> str:
        source = module.compilation.source
        return source.path if source.project else source.path.rpartition("/")[0]

    for _, group in groupby(sorted(modules, key=pack), key=pack):
        yield list(group)


def _key(pack: Sequence[_Module], policy: BytecodePolicy) -> str:
    """Return the digest of all that the bytecode of *pack* depends on."""
    sources = [(module.compilation.source.path, module.sha256) for module in pack]
    return digest(sources, policy.optimize, policy.interpreter, policy.root, _worker())


@memoized
def _worker() -> str:
    return hashlib.sha256(_WORKER.read_bytes()).hexdigest()


def _kept(key: str, pack: Sequence[_Module], compiler: Compiler) -> dict[Path, str | None] | None:
    """Take the results of *pack* out of the cache; None where they are not there."""
    payload = compiler.cache.get(_KIND, key)
    if payload is None:
        return None
    try:
        results = from_msgpack(payload, list[_Result])
    except msgspec.MsgspecError:  # whole, but none of ours
        return None
    for module, result in zip(pack, results, strict=True):
        if result.reason is None:
            module.destination.write_bytes(result.content)
    compiler.progress.advance(len(pack))
    return {module.destination: result.reason for module, result in zip(pack, results, strict=True)}


def _keep(key: str, pack: Sequence[_Module], reasons: Mapping[Path, str | None], cache: Cache) -> None:
    results = [
        _Result(reason=reason) if (reason := reasons[module.destination]) else _Result(module.destination.read_bytes())
        for module in pack
    ]
    cache.put(_KIND, key, msgspec.msgpack.encode(results))


def _batches(modules: Sequence[_Module], jobs: int) -> Iterator[list[_Module]]:
    """Return what one process gets, the largest modules first, and less and less, so that no core idles at the end."""

    def size(module: _Module) -> int:
        return module.compilation.source.size

    total = sum(map(size, modules))

    def enough(taken: int) -> int:
        return min(_LARGEST_BATCH, max(_SMALLEST_BATCH, (total - taken) // (2 * jobs)))

    return batches(sorted(modules, key=size, reverse=True), size, enough)


def _run(batch: Sequence[_Module], policy: BytecodePolicy, compiler: Compiler) -> dict[Path, str | None]:
    """Compile *batch* in one process; where that dies of a module, find out of which."""
    try:
        reasons = _start(batch, policy, compiler)
    except CommandError as error:
        if not batch:
            raise
        if len(batch) == 1:
            _run([], policy, compiler)  # not the module's fault if even this fails
            return {batch[0].destination: f"its compiler ended with exit code {error.returncode}"}
        middle = len(batch) // 2
        return _run(batch[:middle], policy, compiler) | _run(batch[middle:], policy, compiler)
    compiler.progress.advance(len(batch))
    return reasons


def _start(batch: Sequence[_Module], policy: BytecodePolicy, compiler: Compiler) -> dict[Path, str | None]:
    with tempfile.TemporaryDirectory(dir=compiler.work) as folder:
        order = Path(folder, "batch")
        modules = [
            (
                str(module.compilation.source.source),
                f"{policy.root}/{module.compilation.source.path}",
                policy.optimize,
                str(module.destination),
            )
            for module in batch
        ]
        order.write_text(json.dumps(modules), encoding="ascii")
        # Neither the host's variables nor its packages have a say; and a set of texts has one order.
        environment = {name: value for name, value in compiler.environment.items() if not name.startswith("PYTHON")}
        run(
            [str(compiler.executable), "-S", "-s", "-B", str(_WORKER), str(order)],
            cwd=compiler.work,
            environment={**environment, "PYTHONHASHSEED": "0"},
        )
        reasons = json.loads(Path(folder, "batch.done").read_bytes())
    return {module.destination: reason for module, reason in zip(batch, reasons, strict=True)}
