"""Decode documents, our own and those of others, into typed values, and encode ours."""

from __future__ import annotations

import codecs
import os
import re
import stat
import threading
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from hatch_lambda.errors import HatchLambdaError  # noqa: TC001 - a field of a Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


T = TypeVar("T")

_LOCK = threading.RLock()

MIB = 1024 * 1024
SETTINGS_LIMIT = 4 * MIB
"""Bytes of a ``pyproject.toml`` and the like. TOML of so many takes some seconds, however it is made."""
LOCK_LIMIT = 64 * MIB
"""Bytes of a lock file: the largest that are known have 10 MiB."""
JSON_LIMIT = 256 * MIB
"""Bytes of an event, which Lambda limits more tightly, and of a report."""
WHEEL_LIMIT = 1024 * MIB
"""Bytes of a wheel: what is larger fits into no package."""

_DEEPEST = 100
"""Levels of tables and lists in a document: people write five, and each level costs several of the interpreter's."""
_TOO_DEEP = f"it is nested more than {_DEEPEST} levels deep"
_SHOWN = 60

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_TOML_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\\?\Z)'
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\[^\n]|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|#[^\n]*",
    re.DOTALL,
)
"""What is no syntax; what is not closed ends with the text, so that no part of it is looked at twice."""


class DocumentError(ValueError):
    """Say what is wrong with a document, where its place is not known or told by others."""


class Document(Struct, frozen=True, kw_only=True):
    """A file that somebody else wrote: how messages name it, and what may be wrong with it."""

    path: Path
    shown: str
    """Its name in messages."""
    family: type[HatchLambdaError]
    hint: str
    limit: int
    has_paths: bool = True
    """Whether its texts become paths, arguments and the like."""

    def content(self) -> bytes:
        """Return its bytes; raises an error of its family, as all methods do."""
        try:
            return read_regular(self.path, self.limit)
        except (OSError, DocumentError) as error:
            raise self.error(error) from error

    def text(self, *, by_mark: bool = False) -> str:
        """Return its text: UTF-8, or with *by_mark* whatever its byte order mark tells, as pip reads requirements."""
        content = self.content()
        try:
            return decode_text(content, by_mark=by_mark)
        except DocumentError as error:
            raise self.error(error) from error

    def toml(self) -> dict[str, Any]:
        """Return its TOML as Python values."""
        text = self.text()
        try:
            document = parse_toml(text)
            if self.has_paths:
                refuse_strange_texts(document)
        except DocumentError as error:
            raise self.error(error) from error
        return document

    def json(self) -> Any:
        """Return its JSON as Python values."""
        content = self.content()
        try:
            document = parse_json(content)
            _refuse_depth(document)
            if self.has_paths:
                refuse_strange_texts(document)
        except DocumentError as error:
            raise self.error(error) from error
        return document

    def error(self, why: Exception) -> HatchLambdaError:
        """Return *why* as an error of its family."""
        fact = f"cannot be read: {why.strerror or why}" if isinstance(why, OSError) else str(why)
        return self.family(f"{self.shown}: {fact}", hint=self.hint)


def read_regular(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file; raises as ``open_regular``, and DocumentError above *limit* bytes."""
    with open_regular(path) as stream:
        chunks: list[bytes] = []
        expected = size = os.fstat(stream.fileno()).st_size
        while size <= limit and (chunk := stream.read(MIB)):
            chunks.append(chunk)
            size = max(expected, sum(map(len, chunks)))
    check_size(size, limit)
    return b"".join(chunks)


def check_size(size: int, limit: int) -> None:
    """Raise DocumentError for more than *limit* bytes."""
    if size > limit:
        raise DocumentError(f"it has {size:,} bytes; {limit:,} are read at most".replace(",", " "))


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read it; raises OSError, and DocumentError for what is none.

    Nothing else is opened: a pipe would keep the reader waiting, and opening a device may do something.
    """
    check_regular(path.stat())
    stream = open(os.open(path, os.O_RDONLY | _NO_WAITING), "rb")  # noqa: PTH123, SIM115 - a descriptor, returned
    try:
        check_regular(os.fstat(stream.fileno()))  # what stands there now
    except DocumentError:
        stream.close()
        raise
    return stream


def check_regular(status: os.stat_result) -> None:
    """Raise DocumentError for anything but a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
        raise DocumentError(f"it is {kind}, not a file")


def decode_text(content: bytes, *, by_mark: bool = False) -> str:
    """Decode UTF-8, with or without a byte order mark. Raises DocumentError."""
    mark, encoding = next((known for known in _BOMS if content.startswith(known[0])), (b"", "utf-8"))
    if encoding != "utf-8" and not by_mark:
        raise DocumentError(f"it is {encoding[:6].upper()}, not UTF-8")
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not {encoding[:6].upper()}: {error.reason} at byte {error.start}") from error
    if "\0" in text:
        raise DocumentError("it has NUL characters, which no text has; UTF-16 needs its byte order mark")
    return text


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML in time that grows with its size alone. Raises DocumentError."""
    _refuse_long_keys(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocumentError(f"not valid TOML: {error}") from error
    except RecursionError as error:
        raise DocumentError(_TOO_DEEP) from error
    except ValueError as error:  # the interpreter's limit of digits, with a remedy for programmers
        raise DocumentError("not valid TOML: an integer has thousands of digits") from error
    _refuse_depth(document)  # dotted keys nest without any recursion
    return document


def _no_constant(name: str) -> None:
    raise DocumentError(f"not valid JSON: {name} is no number")


def parse_json(content: bytes | str, constant: Callable[[str], Any] = _no_constant) -> Any:
    """Parse JSON as RFC 8259 has it. Raises DocumentError, as *constant* does for NaN and infinities by default."""
    import json

    text = decode_text(content) if isinstance(content, bytes) else content
    try:
        return json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise DocumentError(_TOO_DEEP) from error
    except DocumentError:
        raise
    except ValueError as error:  # as for TOML
        raise DocumentError("not valid JSON: an integer has thousands of digits") from error


def refuse_strange_texts(document: object) -> None:
    """Refuse texts that cannot be a path, an argument, or written to a file. Raises DocumentError."""
    for text in strings(document):
        if problem := strange(text):
            raise DocumentError(f"{text[:_SHOWN]!r} has {problem}")


def strange(text: str) -> str | None:
    """Say what keeps *text* from being a path, an argument or the value of a variable; None where nothing does."""
    if "\0" in text:
        return "a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "what is not UTF-8"
    return None


def _refuse_long_keys(text: str) -> None:
    """Refuse ``a.a.a. … = 1``, on which a parser spends the square of its length.

    A key stands in one line, so only a text with a line of so many dots is looked at more closely.
    """
    if all(line.count(".") <= _DEEPEST for line in text.split("\n")):
        return
    syntax = _TOML_STRING_OR_COMMENT.sub("", text)
    if any(part.count(".") > _DEEPEST for part in re.split(r"[=,\[\]{}\n]", syntax)):
        raise DocumentError(f"a key has more than {_DEEPEST} parts")


def _refuse_depth(document: object) -> None:
    """Refuse what later steps could not go through."""
    level: list[Any] = [document]
    for _ in range(_DEEPEST + 1):
        level = [inner for outer in level for inner in _members(outer) if isinstance(inner, (dict, list))]
        if not level:
            return
    raise DocumentError(_TOO_DEEP)


def _members(value: object) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def strings(document: object) -> Iterable[str]:
    """Yield every text in a *document*, the names of its tables' members among them."""
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, (list, tuple)):
            pending += value


@contextmanager
def _as_msgspec_error() -> Iterator[None]:
    """Give what msgspec leaves to the interpreter, broken UTF-8 and endless nesting, the family of its own errors."""
    try:
        yield
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def from_json(content: bytes | memoryview | str, kind: type[T]) -> T:
    """Decode JSON; raises msgspec.MsgspecError for what is none, or not of that *kind*."""
    with _LOCK, _as_msgspec_error():
        return msgspec.json.decode(content, type=kind)


def from_msgpack(content: bytes | memoryview, kind: type[T]) -> T:
    """Decode MessagePack; raises msgspec.MsgspecError for what is none, or not of that *kind*."""
    with _LOCK, _as_msgspec_error():
        return msgspec.msgpack.decode(content, type=kind)


def from_cache(kept: memoryview | None, kind: type[T]) -> T | None:
    """Decode what a cache *kept*; None where it kept nothing, or what is whole and not of that *kind*."""
    try:
        return None if kept is None else from_msgpack(kept, kind)
    except msgspec.MsgspecError:
        return None


def convert(value: Any, kind: type[T]) -> T:
    """Convert what a parser returned; raises msgspec.ValidationError for what is not of that *kind*."""
    with _LOCK:
        return msgspec.convert(value, kind)


def to_msgpack(value: Any) -> bytes:
    """Encode as MessagePack, the same each time: sets and mappings in the order of their members."""
    with _LOCK:
        return msgspec.msgpack.encode(value, order="deterministic")


def to_json(document: Any, *, indent: int = 2) -> bytes:
    """Encode a *document* for programs: JSON in UTF-8, with a line for each value, mappings in order."""
    with _LOCK:
        try:
            content = msgspec.json.encode(document, order="deterministic")
        except UnicodeEncodeError:
            import json

            # UTF-8 cannot have a file's name that is no text (PEP 383), but JSON's escapes can.
            plain = msgspec.to_builtins(document, str_keys=True, order="deterministic")
            return json.dumps(plain, indent=indent).encode("ascii") + b"\n"
        return msgspec.json.format(content, indent=indent) + b"\n"


def view(value: Any, kind: type[T]) -> T:
    """Return the fields of *kind* that *value* has as attributes: its document, for a value that is more than that."""
    with _LOCK:
        return msgspec.convert(value, kind, from_attributes=True)


def json_schema(name: str, *kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document called *name*, which is of one of *kinds*.

    Each key is there always, so each is required.
    """
    references, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["required"] = list(definition.get("properties", ()))
    version = max(field.default for kind in kinds for field in fields(kind) if field.name == "schema_version")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:hatch-lambda:{name}:{version}",
        "title": f"{name} of hatch-lambda",
        **(references[0] if len(kinds) == 1 else {"anyOf": list(references)}),
        "$defs": definitions,
    }


def load(name: str, kind: type[T]) -> T:
    """Read the data file *name* (for example ``"config/runtimes.toml"``) of this program. Raises as ``from_toml``."""
    return from_toml(Path(__file__).parents[1].joinpath(name).read_text(encoding="utf-8"), name, kind)


def from_toml(text: str, name: str, kind: type[T]) -> T:
    """Decode the TOML of the data file *name*. Raises DocumentError that names the file and the entry."""
    try:
        table = parse_toml(text)
    except DocumentError as error:
        raise DocumentError(f"{name}: {error}") from error
    try:
        return convert(table, kind)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{name}: {_with_entry(str(error), table)}") from error


def first_twice(names: Iterable[str]) -> str | None:
    """Return the first of *names* that occurs a second time, or None."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


_ENTRY = re.compile(r"\$\.(\w+)\[(\d+)\]")


def _with_entry(message: str, table: dict[str, Any]) -> str:
    """Return msgspec's *message* with the name of the entry that it counts: ``$.rule[3]`` is ``[[rule]] "tests"``."""
    found = _ENTRY.search(message)
    if found is None:
        return message
    entry = table[found[1]][int(found[2])]
    name = entry.get("name") if isinstance(entry, dict) else None
    shown = f'"{name}"' if name is not None else f"number {int(found[2]) + 1}"
    return f"{message[: found.start()]}[[{found[1]}]] {shown}{message[found.end() :]}"
