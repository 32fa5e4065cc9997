"""Facts about files are collected once, and are kept as they were."""

from __future__ import annotations

import msgspec
import pytest

from hatch_lambda.inspect.audit.facts import COLLECTORS, Facts


def test_every_fact_has_a_collector_and_is_kept_as_it_was(package):
    """A part that is kept is read by others: what is no fact of that type is refused."""
    files = {
        "app.py": "import a, b\nfrom importlib.metadata import version\nversion('a')\n",
        "m.pyd": b"MZ" + bytes(60),
        "x.pyc": bytes(16),
        "k.pem": "-----BEGIN PRIVATE KEY-----",
        "a/__init__.py": "import b",
        "a/x.so": b"\x7fELF" + bytes(4),
        "a-1.dist-info/METADATA": "Name: a\nRequires-Dist: b\n",
        "a-1.dist-info/entry_points.txt": "[plugins]\nx = a:x\n",
    }
    subject = package(files, owners={"a": "a"})
    assert [*COLLECTORS] == [*Facts.__struct_fields__]
    assert all(getattr(subject.facts, name) for name in COLLECTORS), "each of them found something"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(subject.facts), type=Facts) == subject.facts
    for name in COLLECTORS:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({name: 1}, Facts)


def test_facts_of_two_trees_are_those_of_both_together():
    one = Facts(keys=("a",), imports={"a": ("x",), "b": ("y",)})
    two = Facts(keys=("b",), imports={"b": ("z",)}, requires={"b": ("c",)})
    assert one + two == Facts(keys=("a", "b"), imports={"a": ("x",), "b": ("y", "z")}, requires={"b": ("c",)})
