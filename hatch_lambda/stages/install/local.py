"""Local folders that several functions depend on: each is built once in a run of the program."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.core.cache import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_lambda.core.model import LockedSource
    from hatch_lambda.core.parallel import Once
    from hatch_lambda.stages.install.sdists.bench import Bench, Built


class _Kept(Struct, frozen=True):
    """A wheel that outlives the workspace in which it was built."""

    name: str
    content: bytes
    identity: str


def build_folders(sources: Sequence[LockedSource], bench: Bench, once: Once, *, jobs: int) -> tuple[Built, ...]:
    """Build *sources*, which are local folders, *jobs* at a time, and return what came of them in their order.

    What was built since the program was told to build something is in *once*. Raises what
    :func:`~hatch_lambda.stages.install.sdists.build.build` raises.
    """
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        return tuple(pool.map(lambda source: _build(source, bench, once), sources))


def _build(source: LockedSource, bench: Bench, once: Once) -> Built:
    from hatch_lambda.stages.install.sdists.bench import Built
    from hatch_lambda.stages.install.sdists.build import build

    def make() -> _Kept:
        built = build(source, bench)
        return _Kept(built.wheel.name, built.wheel.read_bytes(), built.identity)

    kept = once.get(digest(source.directory, source.name, bench.target, bench.key, bench.cwd), make)
    folder = bench.workspace / f"built-{source.name}"
    folder.mkdir()
    wheel = folder / kept.name
    wheel.write_bytes(kept.content)
    return Built(source=source, wheel=wheel, identity=kept.identity)
