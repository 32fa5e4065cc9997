"""Whether a module is Python: a word about its text alone, whoever asks, and whatever this machine lacks."""

from __future__ import annotations

import re
import sys

import pytest
from msgspec.structs import replace

from hatch_lambda.config.target import runtimes
from hatch_lambda.core.cache import Cache
from hatch_lambda.errors import HatchLambdaError
from hatch_lambda.inspect.audit.syntax import check_syntax
from hatch_lambda.stages.bytecode import worker

HERE = "python{}.{}".format(*sys.version_info)

pytestmark = pytest.mark.skipif(HERE not in runtimes(), reason="this Python is not of a Lambda runtime")

TEXTS = {
    "good": ("X = 1\n", None),
    "plain wrong": ("def f(:\n", "SyntaxError: .* \\(line 1\\)"),
    "too deep for the parser": (f"X = {'-' * 7000}1\n", "nested too deeply for the parser"),
    "too deep for the compiler": (f"X = {'+'.join('a' * 20_000)}\n", "maximum recursion depth exceeded"),
}


def found(package, text, cache):
    subject = package({"app.py": text}, runtime=HERE)
    return [(finding.code, finding.message) for finding in check_syntax(replace(subject, cache=cache))]


def called_from(depth, function):
    return called_from(depth - 1, function) if depth else function()


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_wrong_with_a_module_is_told(package, name, tmp_path):
    text, problem = TEXTS[name]
    told = found(package, text, Cache(root=tmp_path / "cache"))
    assert [code for code, _ in told] == ["HL113"] * (problem is not None)
    if problem is not None:
        assert told[0][1].startswith("is not Python ")
        assert re.search(problem, told[0][1])


@pytest.mark.parametrize("level", range(200, 3800, 400))
def test_how_deep_it_may_be_does_not_depend_on_who_asks(package, level, tmp_path):
    """What is found once to be Python is kept; from a deeper call it would have been none."""
    text = f"X = {'-' * level}1\n"
    outside = found(package, text, Cache(root=tmp_path / "one"))
    assert called_from(700, lambda: found(package, text, Cache(root=tmp_path / "another"))) == outside


def test_too_little_memory_is_no_fault_of_the_module_and_nothing_is_kept(package, monkeypatch, tmp_path):
    def short(*_, **__):
        raise MemoryError

    cache = Cache(root=tmp_path / "cache")
    with monkeypatch.context() as without:
        without.setattr(worker, "compile", short, raising=False)
        without.setattr(worker, "_AT_LEAST", 1 << 62)
        with pytest.raises(HatchLambdaError, match=r"app\.py: there is too little memory here to compile it"):
            found(package, "X = 1\n", cache)
    assert list(cache.entries()) == []
    assert found(package, "X = 1\n", cache) == []
