"""Local folders that several functions depend on: each is built once in a run of the program."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.cache import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_lambda.install.building import Bench, Built
    from hatch_lambda.model import LockedSource


class _Kept(Struct, frozen=True):
    """A wheel that outlives the workspace in which it was built."""

    name: str
    content: bytes
    identity: str


class LocalWheels:
    """The wheels that were built of local folders since the program was told to build something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, _Kept] = {}

    def build(self, sources: Sequence[LockedSource], bench: Bench, *, jobs: int) -> tuple[Built, ...]:
        """Build *sources*, which are local folders, *jobs* at a time, and return what came of them in their order.

        Raises what :func:`~hatch_lambda.install.building.build` raises.
        """
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            return tuple(pool.map(lambda source: self._build(source, bench), sources))

    def _build(self, source: LockedSource, bench: Bench) -> Built:
        from hatch_lambda.install.building import Built, build

        key = digest(source.directory, source.name, bench.target, bench.policy, bench.cwd)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept is None:
                built = build(source, bench)
                self._kept[key] = _Kept(built.wheel.name, built.wheel.read_bytes(), built.identity)
                return built
        folder = bench.workspace / f"built-{source.name}"
        folder.mkdir()
        wheel = folder / kept.name
        wheel.write_bytes(kept.content)
        return Built(source=source, wheel=wheel, identity=kept.identity)
