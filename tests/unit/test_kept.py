"""What is kept for later builds, place by place: only what the inputs determine.

Memory, a signal, a full disk, the network, a time-out, an interpreter that could not start, a tool that was not found,
a clock: what depends on these would be wrong in every later build, and right only without the cache.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from msgspec import Struct

import hatch_lambda

ROOT = Path(hatch_lambda.__file__).parent


class Place(Struct, frozen=True):
    """Where something is kept: the function, the kind of entry, and what the value depends on.

    Whoever adds one: a value under a key is right if nobody can have it different under the same key; what failed, was
    killed, timed out or did not answer is not a value.
    """

    where: str
    kind: str
    depends_on: str


KEPT = (
    Place(
        "stages.archive.pack:CachedStreams.put",
        "streams",
        "the content, the level and the compressor's version, all in the key; whatever it is read from",
    ),
    Place(
        "stages.archive.write:write",
        "digests",
        "the digests of the two halves of the zip, which are the key; read back from what was written, else damaged",
    ),
    Place(
        "stages.bytecode.compile:_keep",
        "bytecode",
        "the sources, as they were before and after; the full version and the worker, in the key. A module's own fault"
        " is a result; a compiler that does not come to its end raises before anything is kept",
    ),
    Place(
        "stages.install.sdists.build:build",
        "wheels",
        "the source's hash, the settings, uv, the interpreter's release and the variables that are known to be heeded,"
        " in the key; and on what a backend asks besides and which build requirements the index had: the first build"
        " that succeeds decides for this machine, so that the same source has the same wheel from then on",
    ),
    Place(
        "core.python:find",
        "interpreters",
        "the files where interpreters are and the variables by which uv looks, in the key; only if all who were asked"
        " have answered",
    ),
    Place("core.python:find", "no-interpreters", "the same; and only where nothing was to be fetched"),
    Place(
        "inspect.run.machine:put_client",
        "runtime-clients",
        "the pinned hashes, which are in the key: uv raises for anything else, and for whatever kept it from"
        " installing",
    ),
    Place(
        "stages.locks.choice:choose",
        "selections",
        "the lock, the settings, uv and its configuration, in the key, as they were before and after; nothing that a"
        " finding is about, and no source that was chosen because an index named no wheel",
    ),
    Place(
        "pipeline.parts:store",
        "sections",
        "the wheels by their hashes, the target, the policies, the date and this program, in the key; every stage"
        " before raises for what it could not do",
    ),
    Place("pipeline.parts:store", "parts", "the same, without the seconds that it took"),
    Place(
        "pipeline.parts:store",
        "checked",
        "nothing: this build has made what it vouches for, by the digest that is its key",
    ),
    Place(
        "pipeline.parts:load",
        "checked",
        "the bytes of the section and its description, whose digest is the key",
    ),
    Place("pipeline.parts:store", "known", "nothing: it says that looking further is worth while"),
    Place(
        "pipeline.parts:_note_recent",
        "recent",
        "what was built lately, on purpose: it says where compressed data may be found, which are compared before use",
    ),
    Place(
        "pipeline.parts:tool",
        "program",
        "the files of this program by path, size and dates, in the key, as they were before and after they were read",
    ),
    Place(
        "inspect.audit.checks:audit",
        "audits",
        "the part's key and the facts about the project's files, the target, the policy and the layers: nothing is read"
        " or run to judge them, and no clock is asked",
    ),
    Place(
        "pipeline.smoke:smoke_test",
        "smoke-tests",
        "that the package could be run, once: an import that failed, was killed or took too long is tried again",
    ),
    Place(
        "inspect.audit.syntax:_compiled_here",
        "syntax",
        "the text and this interpreter, in the key, at one depth of the stack; only that it compiles is kept",
    ),
)

NOT_OF_THE_CACHE = {
    "stages.archive.pack:Packer._compressed": "a Streams, whose own place is above",
    "core.cache:Cache.adopt": "the shared cache behind the local one: what was given to adopt",
    "core.cache:Cache.put": "the shared cache behind the local one: what was given to put",
    "inspect.run.function:Running.answer": "a queue",
    "inspect.run.runtime_api:_Handler.do_GET": "a queue",
    "inspect.run.runtime_api:_Handler.do_POST": "a queue",
    "inspect.run.runtime_api:_Handler._take": "a queue",
    "core.bucket:Bucket.put": "obstore itself",
}


class _Finder(ast.NodeVisitor):
    """Collects every mention of a method called ``put`` or ``adopt``, with the function that it is in."""

    def __init__(self):
        self.around = []
        self.found = []

    def _inside(self, node):
        self.around.append(node.name)
        self.generic_visit(node)
        self.around.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _inside  # noqa: N815 - names that ast looks for

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"put", "adopt"}:
            self.found.append((".".join(self.around), node.args[0] if node.args else None))
            node.func = node.func.value
        self.generic_visit(node)

    def visit_Attribute(self, node):
        if node.attr in {"put", "adopt"}:
            self.found.append((".".join(self.around), None))
        self.generic_visit(node)


def places():
    """Yield where something may be kept, and as what kind as far as that can be told."""
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        finder = _Finder()
        finder.visit(ast.parse(path.read_bytes()))
        for function, kind in finder.found:
            value = None
            if isinstance(kind, ast.Constant):
                value = kind.value
            elif isinstance(kind, ast.Name):
                value = getattr(importlib.import_module(f"hatch_lambda.{name}"), kind.id, None)
            yield f"{name}:{function}", value


def test_every_place_where_something_is_kept_is_known_with_what_it_depends_on():
    found = sorted((where, kind) for where, kind in places() if where not in NOT_OF_THE_CACHE)
    assert found == sorted((place.where, place.kind) for place in KEPT)


def test_no_other_place_only_looks_like_one():
    assert {where for where, _ in places()} >= NOT_OF_THE_CACHE.keys()


@pytest.mark.parametrize(
    "text",
    [
        "def f(cache):\n    cache.put('new', 'key', b'')\n",
        "keep = cache.adopt\n",
        "class A:\n    x = [c.put for c in y]\n",
    ],
)
def test_a_new_place_is_noticed_however_it_is_written(text):
    finder = _Finder()
    finder.visit(ast.parse(text))
    assert len(finder.found) == 1
