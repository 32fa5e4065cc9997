"""How long a package takes to start, measured: fresh processes, packages in turn, and nothing in the page cache."""

from __future__ import annotations

import os
import re
import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from hatch_lambda.errors import VerificationError
from hatch_lambda.invoking.advice import give_advice
from hatch_lambda.invoking.client import put_client
from hatch_lambda.invoking.environment import variables
from hatch_lambda.invoking.function import error_of
from hatch_lambda.invoking.importtime import Cost, costs, module_owners, modules, read_imports
from hatch_lambda.invoking.running import Running
from hatch_lambda.invoking.trial import placed
from hatch_lambda.process import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatch_lambda.invoking.importtime import Import
    from hatch_lambda.invoking.machine import Host
    from hatch_lambda.invoking.place import Place
    from hatch_lambda.invoking.trial import Trial

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


class Start(Struct, frozen=True, kw_only=True):
    """What the start of a package takes."""

    name: str
    zip_size: int
    unzipped: int
    init: tuple[float, ...]
    """Seconds from the start of the interpreter to the wish for an event, of each process."""
    imports: tuple[Cost, ...]
    opened: int
    """Files that were opened, shared objects among them."""
    modules: int
    compiled: int
    """Modules for which there is no bytecode, so that each start compiles them anew."""
    peak: int | None

    @property
    def median(self) -> float:
        """The median of the starts, in seconds."""
        return statistics.median(self.init)


class ColdStart(Struct, frozen=True, kw_only=True):
    """What was measured of one package, or of two in turn."""

    runtime: str
    architecture: str
    starts: tuple[Start, ...]
    """Of the package, and of the baseline if there is one."""
    cold: bool
    """Whether the page cache was emptied of the packages' files before each start."""
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
        """Let the system forget what it has in memory of the package's files; tell whether it did."""
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
            zip_size=self.trial.package.stat().st_size,
            unzipped=self.place.tree.size,
            init=tuple(self.init),
            imports=tuple(costs(imports, owners)),
            opened=opened,
            modules=len(imported),
            compiled=sum(not _has_bytecode(name, paths, self.trial.function.runtime) for name in imported),
            peak=self.peak,
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
        cold=cold,
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
