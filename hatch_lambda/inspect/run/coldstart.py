"""Measure what a cold start imports, and advise."""

from __future__ import annotations

import ast
import os
import re
import statistics
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from hatch_lambda.core.process import Child
from hatch_lambda.errors import VerificationError
from hatch_lambda.inspect.run.function import Running, error_of, variables
from hatch_lambda.inspect.run.invoke import placed
from hatch_lambda.inspect.run.machine import put_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hatch_lambda.core.model import File, Tree
    from hatch_lambda.inspect.run.invoke import Trial
    from hatch_lambda.inspect.run.lambda_root import Place
    from hatch_lambda.inspect.run.machine import Host


_PROFILES = 3
"""Processes in which imports are timed: that costs time itself, so the start is measured in others."""
_SECONDS = 120.0
_OPENED = re.compile(r"^hatch-lambda opened (\d+)$", re.MULTILINE)
_PROGRAM = """
import os, sys
handler, *folders = sys.argv[1:]
sys.path[:0] = folders
opened = 0

def hook(event, arguments):
    global opened
    if event == "open" and isinstance(arguments[0], (str, bytes)) or event == "import" and arguments[1]:
        opened += 1

sys.addaudithook(hook)
# Not by importlib, whose imports are not timed.
__import__(handler.rpartition(".")[0].replace("/", "."))
sys.stderr.write("\\nhatch-lambda opened %d\\n" % opened)
sys.stderr.flush()
os._exit(0)
"""


class Cost(Struct, frozen=True, kw_only=True, rename={"owner": "of"}):
    """The import time of a distribution."""

    owner: str
    self_ms: float
    cumulative_ms: Annotated[float, Meta(description="With what these modules import of other distributions.")]


class Start(Struct, frozen=True, kw_only=True):
    """The measured cold start of one package."""

    name: str
    init_ms: Annotated[
        tuple[float, ...],
        Meta(description="From the start of the interpreter to the wish for an event, of each process."),
    ]
    median_init_ms: float
    files_opened: Annotated[int, Meta(description="Shared objects among them.")]
    modules: int
    modules_without_bytecode: Annotated[int, Meta(description="Each start compiles them again.")]
    peak_memory_bytes: Annotated[int | None, Meta(description="Null where the system does not tell.")]
    unzipped_bytes: int
    zip_bytes: int
    imports: Annotated[tuple[Cost, ...], Meta(description="By distribution, most first.")]


class ColdStart(Struct, frozen=True, kw_only=True, rename={"starts": "packages"}):
    """The measured cold starts of one package, or of two in turn."""

    schema_version: Literal[1] = 1
    runtime: str
    architecture: str
    page_cache_dropped: Annotated[
        bool, Meta(description="Whether the page cache was emptied of the packages' files before each start.")
    ]
    starts: Annotated[
        tuple[Start, ...], Meta(min_length=1, description="The package, and the baseline if there is one.")
    ]
    advice: tuple[str, ...]


class _Subject:
    """A package that is measured."""

    def __init__(self, name: str, trial: Trial, place: Place) -> None:
        self.name = name
        self.init: list[float] = []
        self.peak: int | None = None
        self.trial = trial
        self.place = place

    def drop(self) -> bool:
        """Drop the package's files from the page cache; return whether the system did so."""
        if not hasattr(os, "posix_fadvise"):
            return False
        for file in self.place.tree:
            descriptor = os.open(file.source, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
        return True

    def start(self) -> None:
        """Start it once in the runtime interface client, and note how long that takes."""
        log: list[bytes] = []
        running = Running(self.trial.function, self.place, log.append)
        try:
            said = running.started(_SECONDS)
        finally:
            running.stop()
        if said.kind != "ready":
            error = error_of(said)
            raise VerificationError(
                f"{self.trial.package}: {error.type}: {error.message}",
                hint="`hatch-lambda invoke` shows its log, and --env sets what it needs",
            )
        self.init.append(said.at - running.began)
        self.peak = max(self.peak or 0, running.peak or 0) or None

    def profile(self) -> tuple[list[Import], int]:
        """Return the imports of one start with their times, and how many files they opened."""
        function, place = self.trial.function, self.place
        written: list[bytes] = []
        folders = (place.task, f"{place.opt}/python/lib/{function.runtime}/site-packages", f"{place.opt}/python")
        command = place.python("-I", "-S", "-X", "importtime", "-c", _PROGRAM, function.handler, *folders)
        child = Child(command, cwd=place.cwd, environment=variables(function, place), tell=written.append)
        if child.wait(_SECONDS) is None:
            child.kill()
        text = b"".join(written).decode("utf-8", "replace")
        opened = _OPENED.search(text)
        return read_imports(text), int(opened[1]) if opened else 0

    def described(self, owners: Mapping[str, str]) -> tuple[Start, list[Import]]:
        """Return what was measured, and the imports of the process whose imports took the middle of the times."""
        profiles = sorted((self.profile() for _ in range(_PROFILES)), key=lambda found: _seconds(found[0]))
        imports, opened = profiles[_PROFILES // 2]
        paths = {file.path for file in self.place.tree}
        imported = [name for name in modules(imports) if (stem := name.replace(".", "/")) and _is_source(stem, paths)]
        start = Start(
            name=self.name,
            init_ms=tuple(map(_in_ms, self.init)),
            median_init_ms=_in_ms(statistics.median(self.init)),
            files_opened=opened,
            modules=len(imported),
            modules_without_bytecode=sum(
                not _has_bytecode(name, paths, self.trial.function.runtime) for name in imported
            ),
            peak_memory_bytes=self.peak,
            unzipped_bytes=self.place.tree.size,
            zip_bytes=self.trial.package.stat().st_size,
            imports=tuple(costs(imports, owners)),
        )
        return start, imports


def measure(
    trials: Sequence[tuple[str, Trial]], runs: int, host: Host, advance: Callable[[], None] = lambda: None
) -> ColdStart:
    """Start each of *trials*, which have names, *runs* times in turn, and return what that took.

    The first is the package, which advice is given for. *advance* hears of each start that is done. Raises
    VerificationError for a package that does not start.
    """
    with ExitStack() as stack:
        subjects = []
        for number, (name, trial) in enumerate(trials):
            work = host.work / str(number)
            work.mkdir()
            place = stack.enter_context(placed(trial, replace(host, work=work)))
            put_client(trial.target, host, work / "runtime")
            subjects.append(_Subject(name, trial, place))
        if hasattr(os, "sync"):
            os.sync()  # what is not on the disk yet cannot be forgotten
        cold = True
        for _ in range(runs):
            for subject in subjects:
                cold = subject.drop() and cold
                subject.start()
                advance()
        first = trials[0][1]
        # What was slimmed may no longer say whose it is; the other package may know.
        trees = [subject.place.tree for subject in subjects]
        owners = module_owners((file for tree in trees for file in tree), first.function.handler)
        described = [subject.described(owners) for subject in subjects]
        advice = tuple(give_advice(described[0][0], described[0][1], trees[0], owners))
    return ColdStart(
        runtime=first.target.runtime.name,
        architecture=first.architecture.value,
        starts=tuple(start for start, _ in described),
        page_cache_dropped=cold,
        advice=advice,
    )


def _seconds(imports: Sequence[Import]) -> float:
    return sum(item.total for item in imports)


def _is_source(stem: str, paths: set[str]) -> bool:
    return f"{stem}.py" in paths or f"{stem}/__init__.py" in paths


def _has_bytecode(module: str, paths: set[str], runtime: str) -> bool:
    stem = module.replace(".", "/")
    source = f"{stem}/__init__" if f"{stem}/__init__.py" in paths else stem
    folder, slash, name = source.rpartition("/")
    tag = runtime.removeprefix("python").replace(".", "")
    return f"{folder}{slash}__pycache__/{name}.cpython-{tag}.pyc" in paths


STANDARD_LIBRARY = "(standard library)"
PROJECT = "(project)"

_LINE = re.compile(r"^import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)\s*$", re.MULTILINE)
_INDENT = 2
_ENDINGS = (".py", "/__init__.py", ".pyc", "/__init__.pyc")
_MILLION = 1_000_000


class Import(Struct):
    """A module that was imported, and the modules that it imported first."""

    module: str
    own: float
    """Seconds of its own code."""
    total: float
    """With what it imported first."""
    inner: list[Import] = field(default_factory=list)


def read_imports(text: str) -> list[Import]:
    """Parse *text*, the output of ``-X importtime``, into the outermost imports, each with those inside it."""
    waiting: dict[int, list[Import]] = {}
    for own, total, indent, module in _LINE.findall(text):
        depth = len(indent) // _INDENT
        inner = waiting.pop(depth + 1, [])
        found = Import(module, int(own) / _MILLION, int(total) / _MILLION, inner)
        waiting.setdefault(depth, []).append(found)
    return waiting.get(0, [])


def costs(imports: Iterable[Import], owners: Mapping[str, str]) -> list[Cost]:
    """Return the import time of each distribution, the largest first."""
    own: defaultdict[str, float] = defaultdict(float)
    total: defaultdict[str, float] = defaultdict(float)

    def visit(item: Import, above: frozenset[str]) -> None:
        owner = owner_of(item.module, owners)
        own[owner] += item.own
        if owner not in above:
            total[owner] += item.total
        for inner in item.inner:
            visit(inner, above | {owner})

    for item in imports:
        visit(item, frozenset())
    return sorted(
        (
            Cost(owner=owner, self_ms=_in_ms(seconds), cumulative_ms=_in_ms(total[owner]))
            for owner, seconds in own.items()
        ),
        key=lambda cost: (-cost.self_ms, cost.owner),
    )


def module_owners(files: Iterable[File], handler: str) -> dict[str, str]:
    """Return whose each module among *files* is: its distribution's, the project's, or that of the folder at the top.

    The project's are those beside the module of the *handler*, and those at the top that no distribution lists.
    """
    owners: dict[str, str] = {}
    own = re.split(r"[./]", handler)[0]
    for file in sorted(files, key=lambda file: file.distribution is None):
        module = _module(file.path)
        if module is not None:
            top = module.partition(".")[0]
            is_project = top == own or "/" not in file.path
            owners.setdefault(module, file.distribution or (PROJECT if is_project else top))
    return owners


def owner_of(module: str, owners: Mapping[str, str]) -> str:
    """Return whose *module* is: what is in no package is the standard library's."""
    while module:
        if module in owners:
            return owners[module]
        module = module.rpartition(".")[0]
    return STANDARD_LIBRARY


def modules(imports: Iterable[Import]) -> Iterator[str]:
    """Yield the names of all that was imported."""
    for item in imports:
        yield item.module
        yield from modules(item.inner)


def _module(path: str) -> str | None:
    stem = None
    for ending in _ENDINGS:
        if path.endswith(ending) and "__pycache__" not in path:
            stem = path.removesuffix(ending)
    if stem is None and path.endswith(".so"):
        folder, slash, name = path.rpartition("/")
        stem = folder + slash + name.partition(".")[0]
    return stem.replace("/", ".") if stem else None


_WORTH = 0.02
"""Seconds below which nobody should change a program."""
_SHARE = 0.3
_PERCENT = 100


def give_advice(start: Start, imports: Sequence[Import], tree: Tree, owners: Mapping[str, str]) -> Iterator[str]:
    """Yield what to do about the slow parts of *start*, most certain first."""
    if start.modules_without_bytecode:
        yield (
            f"{start.modules_without_bytecode} of {start.modules} imported modules have no bytecode, so every"
            ' cold start compiles them: bytecode = "include" in [tool.lambda-slim]'
        )
    total = sum(cost.self_ms for cost in start.imports) / 1000
    unused = _unused(tree, owners)
    for item in _outermost_of_others(imports, owners):
        owner = owner_of(item.module, owners)
        if item.total < _WORTH:
            continue
        if places := unused.get(item.module.partition(".")[0]):
            yield f"{places[0]} imports {item.module}, which takes {_ms(item.total)}, and does not use it"
        elif item.total > _SHARE * total and owner != STANDARD_LIBRARY:
            share = f"{item.total / total * _PERCENT:.0f} %"
            yield (
                f"{item.module} takes {_ms(item.total)}, {share} of all imports: where only some events need it, import"
                " it in the function that uses it"
            )


def _outermost_of_others(imports: Sequence[Import], owners: Mapping[str, str]) -> Iterator[Import]:
    """Yield the imports that modules of the project make."""
    for item in imports:
        if owner_of(item.module, owners) == PROJECT:
            yield from _outermost_of_others(item.inner, owners)
        else:
            yield item


def _unused(tree: Tree, owners: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the import packages that modules of the project import and do not use, with the lines that do it."""
    found: dict[str, list[str]] = {}
    for file in tree:
        module = file.path.removesuffix(".py").replace("/", ".")
        if not file.path.endswith(".py") or owners.get(module) != PROJECT:
            continue
        try:
            parsed = ast.parse(file.source.read_bytes())
        except (SyntaxError, ValueError):  # of a newer Python than ours
            continue
        used: set[object] = {node.id for node in ast.walk(parsed) if isinstance(node, ast.Name)}
        used |= {
            node.value for node in ast.walk(parsed) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        for node in parsed.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if (alias.asname or alias.name.partition(".")[0]) not in used:
                        found.setdefault(alias.name.partition(".")[0], []).append(f"{file.path}:{node.lineno}")
    return found


def _in_ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
