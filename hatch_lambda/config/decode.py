"""Reading the settings: one table, ``[tool.lambda-slim]``, read the same way by every door."""

from __future__ import annotations

import os
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec import Struct

from hatch_lambda.config.settings import APPENDED, PROJECT_WIDE, TABLE, Settings, grouped, keys
from hatch_lambda.config.target import Architecture, runtimes
from hatch_lambda.core.codec import DocumentError, convert, load, parse_toml, strings
from hatch_lambda.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


_MEANT = {"amd64": "x86_64", "x64": "x86_64", "x86-64": "x86_64", "aarch64": "arm64"}


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a key: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def decode(table: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Decode the table, with *overrides* that a door was given in place of the same keys.

    An override that is None was not given; one like ``layer.split`` leaves the other keys of that table alone.
    Raises ConfigurationError that lists every problem at once.
    """
    given: dict[str, Any] = {}
    for name, value in (overrides or {}).items():
        if value is not None:
            key, *inner = name.split(".")
            given[key] = _within(given.get(key, table.get(key)), inner, value)

    def where(key: str, *inner: str) -> str:
        place = ".".join([key, *inner])
        return f"option `{place}`" if key in given else f"{TABLE}.{place}"

    values, problems = _decode({**table, **given}, _types(), where)
    problems += _strange_texts({**table, **given}, where)
    for name, own in values.get("functions", {}).items():
        problems += _function_problems(name, own)
    if problems:
        raise ConfigurationError(
            "\n".join(map(str, problems)),
            hint=None if given else f"the keys of [{TABLE}] are described by `hatch-lambda schema`",
        )
    return grouped(values)


def inside(root: Path, path: str, where: str) -> Path:
    """Return the file that the setting *path* names in the folder *root*, with every link followed.

    What becomes part of a package is in the project: only that can travel in an sdist, and only for that is the
    project answerable. Raises ConfigurationError for what is not there, and for what is elsewhere.
    """
    base = Path(os.path.realpath(root))
    found = Path(os.path.realpath(base / path))
    hint = f"its path is relative to {root}, and may not leave it; nor may a link"
    if not found.is_relative_to(base):
        raise ConfigurationError(f"{where}: {path!r} is not in the project", hint=hint)
    try:
        found.stat()
    except FileNotFoundError:
        raise ConfigurationError(f"{where}: {path!r} does not exist", hint=hint) from None
    except OSError as error:
        raise ConfigurationError(f"{where}: {path!r}: {error.strerror}", hint=hint) from error
    return found


def _strange_texts(table: Mapping[str, Any], where: Callable[..., str]) -> Iterator[Problem]:
    """Find texts that could be no path, pattern, argument or variable, each at its first key."""
    for key, value in table.items():
        for text in strings(value):
            if "\0" in text:
                yield Problem(where=where(key), what=f"{text!r} has a NUL character")


def _within(before: object, keys: Sequence[str], value: object) -> object:
    """Return what is *before* with *value* at the dotted key *keys* in it."""
    if not keys:
        return value
    table = dict(before) if isinstance(before, dict) else {}
    table[keys[0]] = _within(table.get(keys[0]), keys[1:], value)
    return table


def merged(table: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return *table* with a function's *own* settings in it, and no functions any more.

    Its patterns come after those of the project, so they have the last word; tables are merged; all else takes the
    place of what the project says.
    """
    result = {key: value for key, value in table.items() if key != "functions"}
    for key, value in own.items():
        before = result.get(key)
        if key in APPENDED and isinstance(before, list) and isinstance(value, list):
            result[key] = [*before, *value]
        elif isinstance(before, dict) and isinstance(value, dict):
            result[key] = {**before, **value}
        else:
            result[key] = value
    return result


def _decode(
    table: Mapping[str, Any], types: Mapping[str, Any], where: Callable[..., str], *, barred: Sequence[str] = ()
) -> tuple[dict[str, Any], list[Problem]]:
    """Convert key by key to *types*, for msgspec stops at the first problem."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    open_ = [key for key in types if key not in barred]
    for key, value in table.items():
        if key not in open_:
            what = "it is the whole project's" if key in types else f"there is no such key{did_you_mean(key, open_)}"
            problems.append(Problem(where=where(key), what=what))
            continue
        try:
            if isinstance(value, dict) and (inner := _struct(types[key])) is not None:
                fields = _fields(inner)
                own, more = _decode(value, {name: field.type for name, field in fields.items()}, partial(where, key))
                problems += more
                values[key] = inner(**{fields[name].name: one for name, one in own.items()})
                continue
            values[key] = convert(value, types[key])
        except msgspec.ValidationError as error:
            problems.append(Problem(where=where(key), what=_explain(key, value, types[key], in_words(error))))
    problems += _unknown_rules(values.get("rules", {}), partial(where, "rules"))
    problems += _unknown_data(values.get("data", {}), partial(where, "data"))
    problems += _unknown_runtime(values.get("runtime"), where("runtime"))
    problems += _unknown_codes(values.get("verify-ignore", ()), where("verify-ignore"))
    return values, problems


@cache
def _types() -> dict[str, Any]:
    """Return the type of each key of the table."""
    return {key: place.type for key, place in keys().items()}


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the fields of the table *struct* by their keys."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _struct(expected: Any) -> type[msgspec.Struct] | None:
    """Return the table that a key holds, if that is what it holds."""
    inner = get_args(expected)[0] if get_args(expected) else expected
    return inner if isinstance(inner, type) and issubclass(inner, msgspec.Struct) else None


def _function_problems(name: str, own: Mapping[str, Any]) -> list[Problem]:
    def where(*keys: str) -> str:
        return ".".join([TABLE, "functions", name, *keys])

    return _decode(own, _types(), where, barred=PROJECT_WIDE)[1]


def _unknown_runtime(runtime: str | None, where: str) -> Iterator[Problem]:
    if runtime is not None and runtime not in runtimes():
        meant = did_you_mean("python" + runtime.removeprefix("python"), runtimes())
        known = f" (known: {', '.join(runtimes())})"
        yield Problem(
            where=where,
            what=f"{runtime!r} is not a Lambda runtime for Python{meant or known}",
        )


class _Entry(Struct, frozen=True):
    """What settings have to know of a rule, or of a library with data; the stage slim decodes the whole."""

    name: str
    what: str = ""
    functions: tuple[str, ...] = ()


def known_rules() -> list[str]:
    """Return the names of the rules, which are the keys of ``rules``."""
    return [entry.name for entry in load("stages/slim/rules.toml", dict[str, tuple[_Entry, ...]])["rule"]]


def known_libraries() -> dict[str, _Entry]:
    """Return the libraries with data by their names, which are the keys of ``data``."""
    entries = load("stages/slim/services.toml", dict[str, tuple[_Entry, ...]])["library"]
    return {entry.name: entry for entry in entries}


def _unknown_rules(rules: Mapping[str, bool], where: Callable[[str], str]) -> Iterator[Problem]:
    known = known_rules() if rules else []
    for name in rules:
        if name not in known:
            meant = did_you_mean(name, known) or " (`hatch-lambda rules` lists them)"
            yield Problem(where=where(name), what=f"there is no such rule{meant}")


def _unknown_data(data: Mapping[str, object], where: Callable[[str], str]) -> Iterator[Problem]:
    known = known_libraries() if data else {}
    for name, choice in data.items():
        if name not in known:
            meant = did_you_mean(name, known) or f" (known: {', '.join(known)})"
            yield Problem(where=where(name), what=f"there is no such library{meant}")
        elif isinstance(choice, str) and choice != "auto":
            yield Problem(where=where(name), what=f"expected a list of names or 'auto', got {choice!r}")
        elif choice == "auto" and not known[name].functions:
            yield Problem(where=where(name), what=f"code does not tell which {known[name].what}s it needs; list them")


def _unknown_codes(codes: Iterable[str], where: str) -> Iterator[Problem]:
    known = load("inspect/audit/checks.toml", dict[str, Any]) if codes else {}
    for code in codes:
        if code not in known:
            yield Problem(where=where, what=f"no check has the code {code!r} (the README lists them)")


def _explain(key: str, value: object, expected: object, error: str) -> str:
    choices = _choices(expected)
    if choices and isinstance(value, str):
        noun = "a Lambda architecture" if key == "architecture" else f"one of {', '.join(map(repr, choices))}"
        return f"{value!r} is not {noun}{did_you_mean(value, choices)}"
    return error


def in_words(error: msgspec.ValidationError) -> str:
    """Return msgspec's message in the words of TOML and of our other messages."""
    text, _, place = str(error).replace("`", "").partition(" - at ")
    for python, toml in (("int", "integer"), ("str", "string"), ("bool", "boolean"), ("object", "table")):
        text = re.sub(rf"\b{python}\b", toml, text)
    return text[:1].lower() + text[1:] + (f", at {place.removeprefix('$')}" if place else "")


def _choices(expected: object) -> list[str]:
    """Return the words that a type admits, or nothing for a type that admits more."""
    for part in (expected, *get_args(expected)):
        if part is Architecture:
            return [architecture.value for architecture in Architecture]
        if getattr(part, "__origin__", None) is Literal:
            return [word for word in get_args(part) if isinstance(word, str)]
    return []


def did_you_mean(word: str, words: Mapping[str, Any] | list[str]) -> str:
    """Return ``; did you mean ...?`` with the one of *words* that is closest to *word*; empty if none is close."""
    import difflib

    lower = word.lower()
    close = [_MEANT[lower]] if _MEANT.get(lower) in words else difflib.get_close_matches(lower, list(words), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def parse_value(value: object) -> object:
    """Parse a setting that a command line gave as text, as TOML would.

    What is no TOML is the text itself, so that ``python3.13`` needs no quotes. A list of texts, which front
    ends make of a repeated option, is a list of values.
    """
    if isinstance(value, list):
        return [parse_value(item) for item in value]
    try:
        document = parse_toml(f"value = {value}")
    except DocumentError:
        return value
    return document["value"] if len(document) == 1 else value
