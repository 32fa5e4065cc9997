"""What would not work on Lambda is found before it ships."""

from __future__ import annotations

import copy
import datetime as dt
from pathlib import Path

import msgspec
import pytest

from hatch_lambda import api
from hatch_lambda.config import decode, schema
from hatch_lambda.config.target import DIRECT_UPLOAD_QUOTA, UNZIPPED_QUOTA, runtimes
from hatch_lambda.core import codec
from hatch_lambda.core.model import File, Finding, Severity, Tree
from hatch_lambda.errors import ConfigurationError, VerificationError
from hatch_lambda.inspect.audit import checks, layout
from hatch_lambda.inspect.audit.layout import check_handler, check_runtime, check_unzipped, check_zipped
from hatch_lambda.inspect.audit.subject import Subject, raise_errors
from tests.unit import test_readme

DATA = "inspect/audit/checks.toml"
PYTHON = runtimes()["python3.12"]


def handled(files, handler):
    return Subject(tree=files, handler=handler)


def tree(*paths, size=0, distribution=None, project=True):
    return Tree.of(
        File(path=path, source=Path(path), size=size, distribution=distribution, project=project) for path in paths
    )


def codes(findings):
    return [(finding.code, finding.severity.value) for finding in findings]


@pytest.mark.parametrize(
    ("path", "handler"),
    [
        ("app.py", "app.handler"),
        ("pkg/app.py", "pkg.app.handler"),
        ("pkg/app.py", "pkg/app.handler"),
        ("pkg/__init__.py", "pkg.handler"),
        ("app.pyc", "app.handler"),
        ("pkg/__init__.pyc", "pkg.handler"),
        ("my-app.py", "my-app.handler"),
        ("pkg/native.cpython-313-x86_64-linux-gnu.so", "pkg.native.handler"),
        ("pkg/native.abi3.so", "pkg.native.handler"),
        ("app.py", None),
    ],
)
def test_a_handler_that_lambda_finds_is_no_finding(path, handler):
    assert list(check_handler(handled(tree(path), handler))) == []


@pytest.mark.parametrize("handler", ["", "handler", ".handler", "app.", "app.hand ler", "app:handler", "app.handler()"])
def test_a_handler_of_another_form_is_an_error_with_an_example(handler):
    (finding,) = check_handler(handled(tree("app.py"), handler))
    assert (finding.code, finding.severity) == ("HL004", Severity.ERROR)
    assert finding.message.startswith(f"tool.lambda-slim.handler: {handler!r} ")
    assert "package.module.function" in finding.hint


@pytest.mark.parametrize("handler", ["app.main.handler", "other.handler", "..app.handler", "pkg.app.Class.method"])
def test_a_handler_whose_file_is_not_there_is_an_error(handler):
    (finding,) = check_handler(Subject(tree=tree("app.py", "pkg/app.py", "native.so.py"), handler=handler))
    assert (finding.code, finding.severity) == ("HL005", Severity.ERROR)
    assert handler.rpartition(".")[0].replace(".", "/") + ".py" in finding.message


@pytest.mark.parametrize(
    ("handler", "meant"),
    [("pkg.ap.handler", "pkg.app.handler"), ("app.handler", "pkg.app.handler"), ("src.pkg.app.run", "pkg.app.run")],
)
def test_the_module_that_was_probably_meant_is_named(handler, meant):
    (finding,) = check_handler(handled(tree("pkg/app.py", "zzz.py"), handler))
    assert finding.hint.startswith(f"did you mean {meant}? ")


def test_modules_of_dependencies_are_not_meant():
    (finding,) = check_handler(Subject(tree=tree("lib/ap.py", project=False), handler="lib.app.handler"))
    assert "did you mean" not in finding.hint


def test_a_package_may_be_as_large_as_lambda_takes_and_no_byte_more():
    assert list(check_unzipped(tree("a.py", size=UNZIPPED_QUOTA))) == []
    (finding,) = check_unzipped(tree("a.py", size=UNZIPPED_QUOTA + 1))
    assert (finding.code, finding.severity) == ("HL001", Severity.ERROR)
    assert finding.message.startswith("the package is 250.1 MiB unzipped; Lambda takes 250 MiB")


def test_the_largest_parts_of_a_package_that_is_too_large_are_named():
    parts = [
        *tree("a", "b", size=100 << 20, distribution="scipy"),
        *tree("c", size=90 << 20, distribution="numpy"),
        *tree("d", size=80 << 20),
        *tree("e", size=1 << 20, distribution="six"),
    ]
    (finding,) = check_unzipped(Tree.of(parts))
    assert finding.message.endswith("(largest: scipy 200.0 MiB, numpy 90.0 MiB, the project 80.0 MiB)")


def test_an_empty_package_is_an_error():
    assert codes(check_unzipped(Tree(()))) == [("HL008", "error")]


def test_a_zip_that_needs_s3_is_told_in_a_note():
    assert list(check_zipped(DIRECT_UPLOAD_QUOTA)) == []
    (finding,) = check_zipped(DIRECT_UPLOAD_QUOTA + 1)
    assert (finding.code, finding.severity) == ("HL002", Severity.NOTE)
    assert finding.message == "the zip has 50.1 MB; a direct upload takes 50 MB"


@pytest.mark.parametrize(("days", "found"), [(-1, []), (0, []), (1, [("HL006", "warning")])])
def test_a_runtime_past_its_last_day_is_a_warning(days, found):
    today = PYTHON.end_of_support + dt.timedelta(days=days)
    assert codes(check_runtime(PYTHON, guessed=False, today=today)) == found


def test_a_guessed_runtime_is_a_warning_that_names_the_setting():
    (finding,) = check_runtime(PYTHON, guessed=True, today=dt.date(2025, 1, 1))
    assert (finding.code, finding.severity) == ("HL003", Severity.WARNING)
    assert 'runtime = "python3.12"' in finding.hint


def finding(code, severity, hint=None):
    return Finding(code=code, severity=severity, message=f"fact {code}", hint=hint)


def test_errors_are_raised_together_each_remedy_once():
    findings = [
        finding("HL901", Severity.WARNING, "no"),
        finding("HL902", Severity.ERROR, "do this"),
        finding("HL903", Severity.ERROR, "do that"),
        finding("HL904", Severity.ERROR, "do this"),
        finding("HL905", Severity.ERROR),
    ]
    with pytest.raises(VerificationError) as caught:
        raise_errors(findings)
    assert caught.value.message.splitlines() == [f"HL90{n}: fact HL90{n}" for n in (2, 3, 4, 5)]
    assert caught.value.hint == "do this; do that"


def test_warnings_and_notes_stop_nothing():
    raise_errors([finding("HL901", Severity.WARNING), finding("HL902", Severity.NOTE)])


@pytest.fixture
def entries(monkeypatch):
    """Give the entries of ``checks.toml``, which a test may add to."""
    entries = copy.deepcopy(codec.load(DATA, dict))
    read = codec.load
    for module in (checks, decode, schema):
        monkeypatch.setattr(module, "load", lambda name, kind: entries if name == DATA else read(name, kind))
    return entries


def check_nines(subject):
    """Find files whose name has a nine."""
    for path in sorted(subject.paths):
        if "9" in path:
            yield Finding(code="HL999", severity=Severity.WARNING, path=path, message="has a nine")


@pytest.fixture
def new(entries, monkeypatch):
    """Add a check."""
    monkeypatch.setattr(layout, "check_nines", check_nines, raising=False)
    entries["HL999"] = {"severities": ["warning"], "title": "a nine", "run": "layout.check_nines"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a9.py").write_text("")
    head = '[project]\nname = "p"\nversion = "1"\n[tool.lambda-slim]\nruntime = "python3.13"\n'
    (folder / "pyproject.toml").write_text(head)
    return folder


@pytest.mark.usefixtures("new")
def test_one_entry_is_all_that_verify_the_build_the_readme_and_the_schema_need(project):
    """And the function that it names."""
    made = api.build(project, bytecode="none")
    again = api.build(project, bytecode="none")
    for findings in (made.findings, again.findings, api.verify_package(made.path).findings):
        assert [(found.severity, found.path) for found in findings if found.code == "HL999"] == [("warning", "a9.py")]
    ignored = api.build(project, bytecode="none", verify_ignore=["HL999"])
    assert {found.severity for found in ignored.findings if found.code == "HL999"} == {"note"}
    assert "HL999" in schema.schema()["properties"]["verify-ignore"]["items"]["enum"]
    assert test_readme.checks_table()[-1] == "| `HL999` | warning | a nine |"


def test_without_the_entry_nothing_knows_it(project):
    with pytest.raises(ConfigurationError, match="no check has the code 'HL999'"):
        api.build(project, verify_ignore=["HL999"])


@pytest.mark.parametrize("slip", [{"sevrities": ["note"]}, {"severities": ["bad"]}, {"severities": "note"}])
def test_a_slip_in_an_entry_is_an_error(entries, slip):
    entries["HL999"] = {"severities": ["note"], "title": "a nine"} | slip
    with pytest.raises(msgspec.ValidationError):
        checks.checks()


@pytest.mark.parametrize("name", sorted({check.run for check in checks.checks() if check.run}))
def test_what_an_entry_names_is_a_function_of_a_subject_alone(name):
    """It is imported by its name, which no type checker follows."""
    function = checks.function_of(name)
    parameters = [key for key in function.__annotations__ if key != "return"]
    assert (parameters, function.__annotations__["subject"]) == (["subject"], Subject.__name__)
    assert function.__annotations__["return"] == "Iterator[Finding]"
