"""Compile the modules of a tree, each into a new file, by interpreters of the target's version side by side."""

from __future__ import annotations

import hashlib
import json
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache as memoized
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import from_msgpack, parse_json
from hatch_lambda.core.model import Change, File, Finding, Severity, Stage, Tree
from hatch_lambda.core.parallel import batches
from hatch_lambda.core.process import run
from hatch_lambda.errors import CommandError, HatchLambdaError
from hatch_lambda.stages.bytecode import worker
from hatch_lambda.stages.bytecode.plan import plan
from hatch_lambda.stages.bytecode.worker import NO_FILE, NO_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.model import Progress
    from hatch_lambda.stages.bytecode.plan import Compilation, CompileOptions


RULE = "compile"
REASON = "bytecode, so that no cold start has to make it"
NOT_COMPILED = "HL022"
NOT_PYTHON = "HL113"
"""For modules of the project itself: nobody but its owner can mend them."""

WITHOUT = 'set bytecode = "none" in [tool.lambda-slim]: then every cold start compiles what it imports'
"""How to do without."""

_KIND = "bytecode"
_WORKER = Path(worker.__file__)
_SMALLEST_BATCH, _LARGEST_BATCH = 1 << 19, 1 << 22
"""Bytes of source that one process gets: many times what its start costs, and little enough to see progress."""


class Compiler(Struct, frozen=True, kw_only=True):
    """What compiling needs of the machine: which program, where, on how many cores, and where results are kept."""

    executable: Path
    """An interpreter of the version that the options name."""
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
    state: tuple[int, ...]
    """What changes when somebody edits it."""
    destination: Path


class _Result(msgspec.Struct, frozen=True, array_like=True):
    """What became of a module: its bytecode, or the reason why there is none."""

    content: bytes = b""
    reason: str | None = None


def compile_tree(
    tree: Tree, options: CompileOptions, compiler: Compiler
) -> tuple[Tree, tuple[Change, ...], tuple[Finding, ...]]:
    """Add the bytecode of the modules of *tree*, or put it in their place.

    It is valid whatever the date of the source (PEP 552, "unchecked hash"). What does not compile stays as it is,
    with a finding that says why: files for other versions of Python, templates. In the project's own that is worth
    a warning, or more.
    """
    compilations = list(plan(tree, options))
    if not compilations:
        return tree, (), ()
    compiler.progress.start(Stage.BYTECODE.value, len(compilations))
    modules = _read(compilations, compiler)
    reasons = _compiled(modules, options, compiler)
    files = {file.path: file for file in tree}
    changes: list[Change] = []
    findings: list[Finding] = []
    for module, reason in zip(modules, reasons, strict=True):
        source = module.compilation.source
        if reason is not None:
            findings.append(_finding(source, reason, options))
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


def _finding(source: File, reason: str, options: CompileOptions) -> Finding:
    if source.project and reason.startswith("SyntaxError: "):
        return Finding(
            code=NOT_PYTHON,
            severity=Severity.WARNING,
            message=f"is not Python {options.interpreter}: {reason}",
            path=source.path,
        )
    return Finding(
        code=NOT_COMPILED,
        severity=Severity.NOTE,
        message=f"not compiled: Python {options.interpreter} says: {reason}",
        path=source.path,
    )


def _read(compilations: Sequence[Compilation], compiler: Compiler) -> list[_Module]:
    folder = Path(tempfile.mkdtemp(dir=compiler.work, prefix="bytecode-"))

    def read(number: int) -> _Module:
        compilation = compilations[number]
        state = _state(compilation)
        sha256 = hashlib.sha256(compilation.source.source.read_bytes()).hexdigest()
        return _Module(compilation=compilation, sha256=sha256, state=state, destination=folder / f"{number}.pyc")

    with ThreadPoolExecutor(max_workers=compiler.jobs) as pool:
        return list(pool.map(read, range(len(compilations))))


def _state(compilation: Compilation) -> tuple[int, ...]:
    status = compilation.source.source.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _refuse_edited(modules: Iterable[_Module]) -> None:
    """Raise HatchLambdaError for a module that is not what it was: its bytecode is that of who knows which text."""
    for module in modules:
        if _state(module.compilation) != module.state:
            raise HatchLambdaError(
                f"{module.compilation.source.source}: somebody changed it while it was compiled", hint="build again"
            )


def _compiled(modules: Sequence[_Module], options: CompileOptions, compiler: Compiler) -> list[str | None]:
    """Leave the bytecode of each module at its destination, and return for each None or why there is none.

    Results are kept by packs, because thousands of small entries would cost as much as half the compiling.
    """
    reasons: dict[Path, str | None] = {}
    packs = {_key(pack, options): pack for pack in _packs(modules)}
    with ThreadPoolExecutor(max_workers=compiler.jobs) as pool:
        known = dict(zip(packs, pool.map(lambda key: _kept(key, packs[key], compiler), packs), strict=True))
        for found in known.values():
            reasons |= found or {}
        missing = [module for key, found in known.items() if found is None for module in packs[key]]
        portions = list(_batches(missing, compiler.jobs))
        for found in pool.map(lambda batch: _run(batch, options, compiler), portions):
            reasons |= found
        _refuse_edited(missing)
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


def _key(pack: Sequence[_Module], options: CompileOptions) -> str:
    """Return the digest of all that the bytecode of *pack* depends on."""
    sources = [(module.compilation.source.path, module.sha256) for module in pack]
    return digest(sources, options.optimize, options.interpreter, options.root, _worker())


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
    if len(results) != len(pack):
        return None
    for module, result in zip(pack, results, strict=True):
        if result.reason is None:
            with _naming(module.destination):
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


def _run(batch: Sequence[_Module], options: CompileOptions, compiler: Compiler) -> dict[Path, str | None]:
    """Compile *batch* in one process. Raises HatchLambdaError where that does not come to its end."""
    reasons = _start(batch, options, compiler)
    compiler.progress.advance(len(batch))
    return reasons


def _start(batch: Sequence[_Module], options: CompileOptions, compiler: Compiler) -> dict[Path, str | None]:
    with tempfile.TemporaryDirectory(dir=compiler.work) as folder:
        order = Path(folder, "batch")
        modules = [
            (
                str(module.compilation.source.source),
                f"{options.root}/{module.compilation.source.path}",
                options.optimize,
                str(module.destination),
            )
            for module in batch
        ]
        with _naming(order):
            order.write_text(json.dumps(modules), encoding="ascii")
        # Neither the host's variables nor its packages have a say; and a set of texts has one order.
        environment = {name: value for name, value in compiler.environment.items() if not name.startswith("PYTHON")}
        done = Path(folder, "batch.done")
        try:
            run(
                [str(compiler.executable), "-S", "-s", "-B", str(_WORKER), str(order)],
                cwd=compiler.work,
                environment={**environment, "PYTHONHASHSEED": "0"},
            )
        except CommandError as error:
            finished = len(done.read_bytes().splitlines()) if done.is_file() else 0
            raise _ended(error, batch[min(finished, len(batch) - 1)], compiler) from error
        reasons = [parse_json(line) for line in done.read_bytes().splitlines()]
    return {module.destination: reason for module, reason in zip(batch, reasons, strict=True)}


def _ended(error: CommandError, module: _Module, compiler: Compiler) -> HatchLambdaError:
    """Return the error for a compiler that ended while it was at *module*, which is not said to be the reason.

    Whether it ends so again is nobody's knowledge: so it is no result, and not kept.
    """
    last = (error.output.strip().splitlines() or [""])[-1]
    path = module.compilation.source.path
    if error.returncode < 0:
        fact = f"was killed by {_signal(-error.returncode)}"
        hint = f"if this machine has too little memory, add some; or {WITHOUT}"
    elif error.returncode == NO_MEMORY:
        fact, hint = "has too little memory here", f"add some; or {WITHOUT}"
    elif error.returncode == NO_FILE:
        fact, hint = f"cannot go on: {last}", f"free some space there; or {WITHOUT}"
    else:
        fact = f"failed with exit code {error.returncode}{f': {last}' if last else ''}"
        hint = f'`patterns = ["{path}"]` leaves the module out; or {WITHOUT}'
    return HatchLambdaError(f"{path}: {compiler.executable}, which compiles it, {fact}", hint=hint)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the system, which is silent about who was written to, name *path*."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
