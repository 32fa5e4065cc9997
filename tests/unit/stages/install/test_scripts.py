"""Commands name no interpreter of this machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hatch_lambda.stages.install.scripts import SHEBANG, entry_point_script, entry_point_scripts, with_portable_shebang

BODY = b"# -*- coding: utf-8 -*-\nimport sys\nprint('python')\n"

LONG = "/a" * 100


@pytest.mark.parametrize(
    "first",
    [
        "#!python\n",
        "#!pythonw\n",
        "#!/usr/bin/python\n",
        "#!/usr/bin/env python3\n",
        "#!/usr/bin/env -S python3 -u\n",
        "#! /usr/bin/python3.13 -sE\n",
        f"#!{LONG}/bin/python3.13\n",
        '#!"C:\\Program Files\\Python\\python.exe"\r\n',
        "#!/home/me/venv/bin/python\r\n",
        # uv and pip, where the path has spaces or is long
        "#!/bin/sh\n'''exec' '/with space/bin/python3' \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {LONG}/bin/python \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' \"$(dirname -- \"$(realpath -- \"$0\")\")\"/'python3' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_python_script_gets_the_portable_first_line(first):
    assert with_portable_shebang(first.encode() + BODY) == SHEBANG + b"\n" + BODY


@pytest.mark.parametrize(
    "text",
    [
        b"",
        BODY,
        b"#!/bin/sh\necho python\n",
        b"#!/opt/python-tools/bin/ruby\nputs 1\n",
        b"#!/opt/python/bin/node\n1\n",
        b"#!/usr/bin/env bash\n# python\n",
        b"\x7fELF\x02\x01 #!/usr/bin/python\n",
        b"\n#!/usr/bin/python\n",
    ],
)
def test_what_is_no_python_script_stays_as_it_is(text):
    assert with_portable_shebang(text) == text


def test_making_it_portable_twice_changes_nothing():
    once = with_portable_shebang(b"#!/x/python\n" + BODY)
    assert with_portable_shebang(once) == once


def test_a_command_calls_its_entry_point(tmp_path):
    text = entry_point_script("tool", "module", "Class.main", "console")
    assert text.startswith(SHEBANG + b"\n")
    assert b"/python3\n" not in text[len(SHEBANG) + 1 :]
    (tmp_path / "module.py").write_text("class Class:\n    def main():\n        print('called'); return 3\n")
    (tmp_path / "tool").write_bytes(text)
    done = subprocess.run([sys.executable, "tool"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("called\n", 3)


def test_every_declared_command_is_made_and_nothing_else():
    text = "[console_scripts]\na = m:f\nb = m:g [extra]\n[gui_scripts]\nc = m:h\n[other.group]\nd = m\n"
    assert [name for name, _ in entry_point_scripts(text)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "no section",
        "[console_scripts]\na\n",
        "[console_scripts]\na = b\n",
        "[a]\n[a]\n",
        "[console_scripts]\na = %(b)s:c\n",
    ],
)
def test_what_declares_no_commands_is_a_value_error(text):
    with pytest.raises(ValueError, match="not a list of entry points"):
        list(entry_point_scripts(text))
