"""A cache that machines share: a bucket behind the local cache, through obstore.

Who can write to it can put code into packages, so it is only read unless that is asked for, and what comes out of it
is checked like any other entry. What does not work is tried once and then left alone: a build never fails for it.
"""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from hatch_lambda.core.cache import LARGEST
from hatch_lambda.core.log import logger
from hatch_lambda.errors import MissingToolError

if TYPE_CHECKING:
    from collections.abc import Callable


_log = logger(__name__)

_NO_BUCKET = "NoSuchBucket"
_ADDRESS = re.compile(r"\S*://|[\"(<{]")
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Za-z]+)*)")
_CODE = re.compile(r"<Code>(\w{1,50})</Code>")

_CONNECT = timedelta(seconds=5)
_ANSWER = timedelta(seconds=60)
_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}


class Bucket(Struct):
    """A store of files under a URL that obstore understands, such as ``s3://bucket/prefix``."""

    url: str
    may_write: bool
    problem: str | None = None
    """What kept it from working; from then on it is not asked any more."""
    _store: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Open the store. Raises MissingToolError without obstore, which is in the extra ``remote-cache``."""
        try:
            from obstore.store import from_url
        except ImportError as error:
            raise MissingToolError(
                "tool.lambda-slim.cache-url: obstore is not installed",
                hint="install `hatch-lambda[remote-cache]`, or unset cache-url",
            ) from error
        open_store: Any = from_url
        options = {"connect_timeout": _CONNECT, "timeout": _ANSWER, "allow_http": True}
        self._store = self._attempt(lambda: open_store(self.url, client_options=options, retry_config=_RETRY))

    def get(self, name: str) -> bytes | None:
        """Return the file *name*; None where there is none, or the store does not answer."""
        import obstore

        def read() -> bytes | None:
            try:
                found = obstore.get(self._store, name)
                return bytes(found.bytes()) if found.meta["size"] <= LARGEST else None
            except FileNotFoundError as error:
                if _NO_BUCKET in str(error):
                    raise
                return None

        content: bytes | None = self._attempt(read)
        return content

    def put(self, name: str, content: bytes) -> None:
        """Store the file *name*, if writing was asked for."""
        if self.may_write:
            import obstore

            self._attempt(lambda: obstore.put(self._store, name, content))

    def _attempt(self, operation: Callable[[], Any]) -> Any:
        if self.problem is not None:
            return None
        from obstore.exceptions import BaseError

        try:
            return operation()
        except (BaseError, OSError, ValueError) as error:
            with self._lock:
                self.problem = self.problem or _in_words(error)
            _log.debug("%s is not asked any more: %s", self.url, self.problem)
            return None


def _in_words(error: Exception) -> str:
    """Say what went wrong; the rest of what obstore tells holds addresses and answers, and credentials in them."""
    text = str(error)
    first_line = text.partition("\n")[0]
    facts = [_ADDRESS.split(first_line, maxsplit=1)[0].strip(" :\"'")]
    facts += [match[1] for pattern in (_STATUS, _CODE) if (match := pattern.search(text))]
    return ": ".join(filter(None, facts)) or type(error).__name__
