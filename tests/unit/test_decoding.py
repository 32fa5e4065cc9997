"""Threads that meet a type at the same time all get what it says."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
from dataclasses import make_dataclass
from hatch_lambda.decoding import convert, from_json, from_msgpack
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
