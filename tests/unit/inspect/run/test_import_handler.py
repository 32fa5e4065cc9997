"""What an import says about a package."""

from __future__ import annotations

import pytest

from hatch_lambda.core.model import Change, Severity, Stage
from hatch_lambda.inspect.run.function import FunctionError, Invocation
from hatch_lambda.inspect.run.import_handler import Imported, judge_import, judge_invocations


def judge(changes=(), **told):
    """Return the only finding."""
    (finding,) = judge_import(Imported(**told), "app.handler", "/task", changes)
    return finding


def removed(path):
    return Change(stage=Stage.SLIM, path=path, rule="tests", reason="they are tests", before=1, after=None)


def test_what_was_imported_is_nothing_to_tell():
    """The usual case."""
    assert list(judge_import(Imported(kind="imported"), "app.handler", "/task", ())) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("pkg/tests/__init__.py", "pkg.tests"),
        ("pkg/mod.py", "pkg.mod"),
        ("pkg/fast.cpython-313-x86_64-linux-gnu.so", "pkg.fast"),
        ("pkg/fast.abi3.so", "pkg.fast"),
    ],
)
def test_a_module_that_slimming_removed_is_named_with_its_remedy(path, name):
    """The rule, and the pattern that keeps it."""
    message = f"No module named '{name}'"
    finding = judge([removed("other.py"), removed(path)], kind="no module", message=message, name=name)

    assert (finding.code, finding.severity) == ("HL130", Severity.ERROR)
    assert message in finding.message
    assert finding.hint == f'it was removed by the rule tests; patterns = ["!{path}"] keeps it'


def test_a_module_that_was_never_there_belongs_to_the_dependencies():
    """Or into a layer."""
    finding = judge(kind="no module", message="No module named 'requests'", name="requests", file="/task/a.py", line=3)

    assert finding.message.endswith("a.py:3: No module named 'requests'")
    assert "dependencies" in finding.hint


@pytest.mark.parametrize("name", ["boto3", "botocore.session", "urllib3"])
def test_what_the_runtime_brings_along_is_no_error(name):
    """Leaving it out is the user's choice, with a warning."""
    finding = judge(kind="no module", message=f"No module named '{name}'", name=name)
    assert (finding.code, finding.severity) == ("HL138", Severity.WARNING)


def test_a_missing_shared_library_is_named_with_its_remedy():
    """Dlopen's words tell which one."""
    message = "libfoo-1a2b.so.1: cannot open shared object file: No such file or directory"
    finding = judge([removed("foo.libs/libfoo-1a2b.so.1")], kind="linker", message=message)

    assert (finding.code, finding.severity) == ("HL131", Severity.ERROR)
    assert '"!foo.libs/libfoo-1a2b.so.1"' in finding.hint


@pytest.mark.parametrize(
    ("told", "code", "severity", "word"),
    [
        ({"kind": "syntax", "type": "SyntaxError", "message": "invalid"}, "HL132", Severity.ERROR, "SyntaxError"),
        ({"kind": "no function"}, "HL133", Severity.ERROR, "'handler'"),
        ({"kind": "died", "message": "signal 11", "output": "a\nFatal"}, "HL134", Severity.ERROR, "signal 11"),
        ({"kind": "other", "type": "KeyError", "message": "'TABLE'"}, "HL135", Severity.WARNING, "KeyError: 'TABLE'"),
        ({"kind": "too long", "message": "120 s"}, "HL135", Severity.WARNING, "120 s"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_only_what_the_package_is_to_blame_for_is_an_error(told, code, severity, word):
    """An exception may come of the environment that is missing here."""
    finding = judge(**told)
    assert (finding.code, finding.severity) == (code, severity)
    assert word in finding.message


def test_an_event_that_was_not_answered_is_an_error():
    """With the type that awslambdaric gives it."""
    error = FunctionError(type="ValueError", message="no")
    done = Invocation(request_id="1", payload=b"", error=error, seconds=1, init_seconds=None, peak=None)
    good = Invocation(request_id="2", payload=b"1", error=None, seconds=1, init_seconds=None, peak=None)

    (finding,) = judge_invocations([("good.json", good), ("bad.json", done)])

    assert (finding.code, finding.severity) == ("HL137", Severity.ERROR)
    assert finding.message == "bad.json: ValueError: no"
