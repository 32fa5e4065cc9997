"""What a process lends to the pipeline: what is of the machine and of the moment, and of no project."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hatch_lambda.core.parallel import Once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from hatch_lambda.core.cache import Cache
    from hatch_lambda.core.model import Progress
    from hatch_lambda.core.uv import Uv


class Session(Struct, frozen=True, kw_only=True, dict=True):
    """Hold what a process lends to the pipeline: what is of the machine and of the moment, and of no project."""

    find_uv: Callable[[], Uv]
    cache: Cache
    jobs: int
    """How many threads strip, compile and compress."""
    today: date
    source_date_epoch: int | None
    progress: Progress
    once: Once = field(default_factory=Once)
    """What several functions share, such as what was built of a local folder."""

    work_folder: Path | None = None
    """Where a build works; it is removed afterwards."""

    @property
    def work(self) -> Path:
        """The folder of the build that runs."""
        assert self.work_folder is not None, "a build gives it"
        return self.work_folder

    @cached_property
    def uv(self) -> Uv:
        """The program uv, which has to be there only for what needs it. Raises MissingToolError."""
        return self.find_uv()
