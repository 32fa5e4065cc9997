"""Threads that meet a type at the same time all get what it says."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_lambda.core.codec import DocumentError, decode_text, parse_json, parse_toml, read_regular

PROGRAM = """
import sys, threading
from dataclasses import make_dataclass
from hatch_lambda.core.codec import convert, from_json, from_msgpack
sys.setswitchinterval(1e-6)
THREADS = 8
for turn in range(150):
    inner = make_dataclass("Inner", [(f"a{number}", int) for number in range(30)])
    outer = make_dataclass("Outer", [("first", inner), ("second", list[inner])])
    value = {f"a{number}": number for number in range(30)}
    begin, found = threading.Barrier(THREADS), []

    def work():
        begin.wait()
        found.append(convert({"first": value, "second": [value]}, outer))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = inner(**value)
    assert found == [outer(expected, [expected])] * THREADS
assert from_json(b"[1]", list[int]) == from_msgpack(b"\\x91\\x01", list[int]) == [1]
"""


def test_many_threads_may_meet_a_type_at_once():
    """Without the lock, the interpreter crashes here."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@given(st.binary(max_size=200) | st.text(alphabet="ab=.[]{}\"'\\#\n 0:,", max_size=200).map(str.encode))
def test_any_bytes_are_a_document_or_a_document_error(content):
    """And nothing else comes out of the parsers."""
    for parse in (lambda data: parse_toml(decode_text(data)), parse_json):
        with contextlib.suppress(DocumentError):
            parse(content)


@pytest.mark.parametrize("part", ['"""\\', "'''a", '"a.b".', "a.", '"\\', "#.", "[", "{a.", "a.b=1\n", "\\"], ids=repr)
def test_toml_takes_time_that_grows_with_its_size_alone(part):
    """Whatever is repeated, in strings that nothing closes and in keys without end."""

    def seconds(times):
        start = time.process_time()
        for _ in range(3):
            with pytest.raises(DocumentError):
                parse_toml("." * 101 + part * times + "=")
        return time.process_time() - start

    assert min(seconds(40_000) for _ in range(3)) < 2.5 * min(seconds(20_000) for _ in range(3)) + 0.05


def test_dots_in_texts_are_no_parts_of_a_key():
    dots = "a." * 200
    text = f"a = \"{dots}\"\nb = '''\n{dots}''' # {dots}\nc.\"{dots}\".d = 1\n"
    assert parse_toml(text)["c"] == {dots: {"d": 1}}


def test_no_more_of_a_file_is_read_than_its_kind_may_have(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 11)
    assert read_regular(path, 11) == b"x" * 11
    with pytest.raises(DocumentError, match="it has 11 bytes; 10 are read at most"):
        read_regular(path, 10)
