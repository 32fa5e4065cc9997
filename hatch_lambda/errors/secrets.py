"""Keep what may be a secret out of everything that is shown or kept.

Three places see to it: what programs print (``process``), what errors say (``errors``), what findings say (``model``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_ADDRESS = re.compile(r"(?<=://)[^\s\"'<>`]+")
_HEADER = re.compile(r"(?i)(authorization[\"' ]{0,3}[:=][\"' ]{0,3}(?:(?:basic|bearer|token) )?)[^\s\"']+")
_NAMES = "passw|token|secret|credential|signature|(?:api|access|private)[-_]?key"
_TELLING = re.compile(f"(?i){_NAMES}")
_PAIR = re.compile(rf"(?i)(?<![\w-])(?=[\w-]*?(?:{_NAMES}))([\w-]++=)(?!=)[^\s\"'&,;]+")
"""A name that tells and its value; but ``tokenizers==0.19`` is the version of a distribution."""
_HARMLESS = frozenset(
    {
        *("rev", "tag", "branch", "ref", "sha", "commit", "subdirectory", "egg", "lfs"),
        *("path", "file", "filename", "format", "sha256", "sha384", "sha512"),
    }
)
"""Parameters by which tools of packaging say what they want of an address; any other may be a signature."""

_SHORTEST = 4
"""Characters of a value that is hidden: less would be found in many a word."""
_SHORTEST_OF_ENVIRONMENT = 8
_COMMON = frozenset({"true", "false", "none", "null", "test", "prod", "production", "development", "info", "debug"})
_MASK = "***"

_hidden: set[str] = set()


def masked(text: str) -> str:
    """Replace what may be a secret: in addresses what stands before the ``@`` and the values of parameters.

    (RFC 3986: userinfo, query, fragment.) So are values of what has a telling name, and all that :func:`hide` knows.
    """
    for value in sorted(_hidden, key=len, reverse=True):
        text = text.replace(value, _MASK)
    if "=" in text or ":" in text:
        text = _HEADER.sub(rf"\1{_MASK}", text)
        text = _ADDRESS.sub(lambda match: _parts(match[0], f"{_MASK}@", _MASK), text)
        if _TELLING.search(text):
            text = _PAIR.sub(rf"\1{_MASK}", text)
    return text


def has_secret(text: str) -> bool:
    """Tell whether anything in *text* may be a secret."""
    return masked(text) != text


def public(address: str) -> str:
    """Return an address without what may be a secret, for others to use."""
    scheme, separator, rest = address.partition("://")
    return scheme + separator + _parts(rest, "" if scheme.endswith(("http", "https")) else None, None)


def hide(values: Iterable[str]) -> None:
    """Let *values* be masked from now on, wherever they come up: they are settings, or the environment's."""
    for value in values:
        if len(value) >= _SHORTEST and value.lower() not in _COMMON and not value.isdecimal():
            _hidden.update({value, quote(value, safe="")})


def hide_settings(variables: Mapping[str, str]) -> None:
    """Hide the values of variables that a project sets, but for short ones whose names tell nothing: words of a log."""
    hide(value for name, value in variables.items() if _TELLING.search(name) or len(value) >= _SHORTEST_OF_ENVIRONMENT)


def hide_environment(environment: Mapping[str, str]) -> None:
    """Hide the values of the variables whose names tell that they are secrets."""
    hide(
        value
        for name, value in environment.items()
        if _TELLING.search(name) and len(value) >= _SHORTEST_OF_ENVIRONMENT and not value.startswith("/")
    )


def _parts(address: str, user: str | None, value: str | None) -> str:
    """Put *user* in the place of what stands before the ``@``, and *value* in that of each parameter.

    None leaves the one as it is, and the other out.
    """
    authority, slash, path = address.partition("/")
    before, at, host = authority.rpartition("@")
    place, question, query = f"{host}{slash}{path}".partition("?")
    fragment = ""
    if question:
        query, _, fragment = query.partition("#")
    else:
        place, _, fragment = place.partition("#")
    query, fragment = _parameters(query, value), _parameters(fragment, value)
    start = before + at if user is None else user if at else ""
    return "".join((start, place, f"?{query}" if query else "", f"#{fragment}" if fragment else ""))


def _parameters(text: str, value: str | None) -> str:
    kept = []
    for parameter in filter(None, text.split("&")):
        name, equals, content = parameter.partition("=")
        if not equals and re.fullmatch("[0-9a-f]{40}", parameter):  # a commit, as uv writes it
            kept.append(parameter)
        elif equals and name in _HARMLESS:
            kept.append(f"{name}={content}")
        elif value is not None:
            kept.append(f"{name}={value}" if equals else value)
    return "&".join(kept)
