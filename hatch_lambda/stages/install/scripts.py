"""The commands in ``bin/``, with nothing in them of the machine that made them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


SHEBANG = b"#!/usr/bin/env python3"

_PLACEHOLDER = "/python3"
_SH_TRAMPOLINE = re.compile(rb"#!/bin/sh\r?\n'''exec' .*\r?\n' '''\r?\n")
_PYTHON_SHEBANG = re.compile(rb"#!([^\n]*[/\\ \t\"])?python[w\d.]*(\.exe)?\"?([ \t][^\n]*)?\r?\n")


def entry_point_scripts(entry_points: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the text of each command that an ``entry_points.txt`` declares.

    Raises ValueError for a text that is none.
    """
    import configparser

    from installer.utils import parse_entrypoints

    try:
        for name, module, attribute, section in parse_entrypoints(entry_points):
            yield name, entry_point_script(name, module, attribute, section)
    except (configparser.Error, AssertionError) as error:
        raise ValueError(f"not a list of entry points: {error}") from error


def entry_point_script(name: str, module: str, attribute: str, section: str) -> bytes:
    """Return the text of a command that calls an entry point."""
    from installer.scripts import Script

    script = Script(name, module, attribute, "gui" if section == "gui" else "console")
    _, text = script.generate(_PLACEHOLDER, "posix")
    return SHEBANG + b"\n" + text.split(b"\n", 1)[1]


def with_portable_shebang(text: bytes) -> bytes:
    """Return the text of a Python script with a first line that works on Lambda; other scripts as they are.

    Installers write the path of their own interpreter there, or a detour through ``/bin/sh`` where that
    path is long or has spaces.
    """
    for first_line in (_SH_TRAMPOLINE, _PYTHON_SHEBANG):
        if match := first_line.match(text):
            return SHEBANG + b"\n" + text[match.end() :]
    return text
