"""What the settings accept, and how they say no."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hatch_lambda
from hatch_lambda.config.decode import decode, parse_value
from hatch_lambda.config.settings import Settings, keys
from hatch_lambda.config.target import Architecture
from hatch_lambda.errors import ConfigurationError

KEYS = list(keys())
GOOD = {
    "enabled": False,
    "runtime": "python3.12",
    "architecture": "arm64",
    "handler": "app.handler",
    "output": "dist/app.zip",
    "shape": "layer",
    "layer": {"name": "app-deps", "split": 2, "allowed-accounts": ["*"], "compatible-architectures": ["arm64"]},
    "nested-limit": 200_000_000,
    "module": "functions/one",
    "functions": {"one": {"handler": "one.handler", "layer": {"split": 3}}, "two": {}},
    "lock": "pylock.prod.toml",
    "require-lock": True,
    "extras": ["fast"],
    "groups": ["ops"],
    "without-groups": ["dev"],
    "only-groups": ["ops"],
    "require-hashes": False,
    "sdist": "cross",
    "container-engine": "podman",
    "container-image": "localhost/image:1",
    "container-file": "Containerfile",
    "container-build-args": ["--pull"],
    "container-args": ["--network=host"],
    "container-env": ["NAME=value", "OTHER"],
    "container-ssh": "~/.ssh/key",
    "container-extra-files": ["/lib/library.so.1"],
    "install-args": ["--offline"],
    "exclude-packages": ["boto3"],
    "keep-dependencies": True,
    "exclude-runtime-packages": True,
    "vendor": ["./vendored"],
    "include": ["data/**"],
    "exclude": ["*.tmp"],
    "scripts": True,
    "patterns": ["*.md", "!numpy/*.md"],
    "append-default-patterns": False,
    "dist-info": "remove",
    "keep-dist-info": ["email-validator"],
    "aggressive": True,
    "rules": {"py-typed": True, "tests": False},
    "data": {"botocore": "auto", "googleapiclient": "auto"},
    "strip": False,
    "strip-exclude": ["libcrypto.so"],
    "bytecode": "only",
    "bytecode-python": "3.12.4",
    "optimize": 1,
    "compression": "smallest",
    "layers": ["libraries.zip"],
    "verify-ignore": ["HL104"],
    "verify": "invoke",
    "verify-events": ["events/*.json"],
    "verify-env": {"TABLE": "x"},
    "cache-dir": ".cache",
    "cache-max-size": 1_000,
    "cache-url": "s3://bucket/prefix",
    "cache-write": True,
}


def value_of(settings, key):
    group, name, _ = keys()[key]
    return getattr(getattr(settings, group), name)


def problems(table, overrides=None):
    with pytest.raises(ConfigurationError) as caught:
        decode(table, overrides)
    return caught.value.message.splitlines()


def test_an_empty_table_gives_the_defaults():
    assert decode({}) == Settings()
    assert decode({}).target.architecture is Architecture.X86_64


def test_every_key_is_decoded():
    assert set(GOOD) == set(KEYS)
    for key, value in GOOD.items():
        decoded = value_of(decode({key: value}), key)
        if key == "layer":
            assert json.loads(msgspec.json.encode(decoded)) == value
            continue
        assert decoded == (tuple(value) if isinstance(value, list) else value)
        assert decoded != value_of(Settings(), key)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [1.5, {"a": 1}, [1], dt.date(2026, 1, 1), [["a"]]], ids=repr)
def test_a_value_of_a_wrong_type_is_refused_with_its_path(key, value):
    (line,) = problems({key: value})
    told = ".a: there is no such key" if (key, value) == ("layer", {"a": 1}) else ": expected "
    assert line.startswith(f"tool.lambda-slim.{key}{told}")
    assert "`" not in line
    assert "$" not in line


@pytest.mark.parametrize("key", [key for key in KEYS if type(GOOD[key]) is not int])
def test_a_number_is_nothing_else(key):
    assert problems({key: 1})[0].startswith(f"tool.lambda-slim.{key}: expected ")


def test_the_item_of_a_wrong_type_is_named():
    assert problems({"patterns": ["a", 3]}) == ["tool.lambda-slim.patterns: expected string, got integer, at [1]"]


def test_a_single_string_is_no_list():
    assert problems({"patterns": "*.md"}) == ["tool.lambda-slim.patterns: expected array, got string"]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("architecture", "amd64", "'amd64' is not a Lambda architecture; did you mean 'x86_64'?"),
        ("architecture", "AARCH64", "'AARCH64' is not a Lambda architecture; did you mean 'arm64'?"),
        ("architecture", "X86_64", "'X86_64' is not a Lambda architecture; did you mean 'x86_64'?"),
        ("architecture", "sparc", "'sparc' is not a Lambda architecture"),
        ("runtime", "3.13", "'3.13' is not a Lambda runtime for Python; did you mean 'python3.13'?"),
        ("runtime", "Python3.12", "'Python3.12' is not a Lambda runtime for Python; did you mean 'python3.12'?"),
        ("dist-info", "minimum", "'minimum' is not one of 'minimal', 'keep', 'remove'; did you mean 'minimal'?"),
        ("compression", "zstd", "'zstd' is not one of 'fast', 'balanced', 'smallest'"),
        ("architectures", "arm64", "there is no such key; did you mean 'architecture'?"),
        ("keep_dist_info", [], "there is no such key; did you mean 'keep-dist-info'?"),
        ("Strip", True, "there is no such key; did you mean 'strip'?"),
        ("colour", "red", "there is no such key"),
        ("rules.py-type", True, "there is no such rule; did you mean 'py-typed'?"),
        ("rules.beauty", True, "there is no such rule (`hatch-lambda rules` lists them)"),
        ("data.boto", "auto", "there is no such library; did you mean 'botocore'?"),
        ("data.numpy", "auto", "there is no such library (known: botocore, googleapiclient, babel, django)"),
        ("data.babel", "auto", "code does not tell which locales it needs; list them"),
        ("data.babel", "de", "expected a list of names or 'auto', got 'de'"),
    ],
)
def test_a_wrong_word_is_refused_with_what_was_probably_meant(key, value, line):
    table, _, name = key.partition(".")
    assert problems({table: {name: value}} if name else {key: value}) == [f"tool.lambda-slim.{key}: {line}"]


def test_a_runtime_that_is_nothing_like_one_gets_the_list():
    (line,) = problems({"runtime": "nodejs22.x"})
    assert "(known: python3.9, " in line


def test_every_problem_is_reported_at_once():
    table = {"strip": "yes", "runtime": "python2.7", "colour": 1, "extras": [True], "handler": "a.b"}
    assert [line.split(":")[0].rpartition(".")[2] for line in problems(table)] == [
        "strip",
        "colour",
        "extras",
        "runtime",
    ]


def test_an_override_replaces_the_key_and_none_does_not():
    settings = decode({"runtime": "python3.12", "handler": "a.b"}, {"runtime": "python3.13", "handler": None})
    assert (settings.target.runtime, settings.project.handler) == ("python3.13", "a.b")


def test_an_override_hides_what_was_wrong_in_the_table():
    assert decode({"runtime": "python2"}, {"runtime": "python3.13"}).target.runtime == "python3.13"


def test_one_key_of_a_table_can_be_given():
    table = {"layer": {"name": "deps", "split": 3}}
    given = {"layer.split": 2, "rules.py-typed": True, "layer.description": "All"}
    settings = decode(table, given)
    layer = settings.output.layer
    assert (layer.name, layer.split, layer.description) == ("deps", 2, "All")
    assert settings.slim.rules == {"py-typed": True}
    assert table == {"layer": {"name": "deps", "split": 3}}
    assert problems({}, {"layer.spilt": 2}) == ["option `layer.spilt`: there is no such key; did you mean 'split'?"]


@pytest.mark.parametrize("overrides", [{"runtime": "python2"}, {"strip": 3}, {"colour": 1}])
def test_a_wrong_option_is_not_blamed_on_the_table(overrides):
    (line,) = problems({}, overrides)
    assert line.startswith(f"option `{next(iter(overrides))}`: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("python3.13", "python3.13"),
        ('["a", "b"]', ["a", "b"]),
        ('"true"', "true"),
        ("", ""),
        ("a # b", "a # b"),
        ("app.handler", "app.handler"),
        (["true", "x"], [True, "x"]),
        ("1\nstrip = false", "1\nstrip = false"),
        (True, True),
    ],
)
def test_a_text_is_read_as_toml_or_is_itself(text, value):
    assert parse_value(text) == value


@given(st.text())
def test_any_text_can_be_given(text):
    parse_value(text)


TOML = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(), TOML, max_size=4))
def test_any_table_is_decoded_or_refused(table):
    try:
        decode(table)
    except ConfigurationError as error:
        assert error.message.startswith("tool.lambda-slim.")  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("table", "realign"),
    [
        ({}, False),
        ({"aggressive": True}, True),
        ({"rules": {"realign-segments": True}}, True),
        ({"aggressive": True, "rules": {"realign-segments": False}}, False),
    ],
)
def test_the_rule_about_segments_is_for_the_strip_stage(table, realign):
    assert decode(table).slim.realigns is realign


def test_the_order_of_a_table_says_nothing():
    """Else the same settings, written in another order, would cost a build of the dependencies."""
    one, other = ({"py-typed": True, "tests": False}, {"tests": False, "py-typed": True})
    assert repr(decode({"rules": one}).slim) == repr(decode({"rules": other}).slim)


def test_a_setting_is_added_in_one_place(tmp_path):
    """One field of a group: the table, its schema, and so the README's rows and ``hatch-lambda schema``, know it."""
    package = Path(hatch_lambda.__file__).parent
    shutil.copytree(package, tmp_path / "hatch_lambda", ignore=shutil.ignore_patterns("__pycache__"))
    settings = tmp_path / "hatch_lambda" / "config" / "settings.py"
    head, group, rest = settings.read_text(encoding="utf-8").partition("class BytecodeSettings(")
    kind = 'Annotated[int, Meta(ge=1, description="How deep.")]'
    field = f'    depth: {kind} = msgspec.field(name="strip-depth", default=3)\n'
    settings.write_text(head.rstrip() + "\n" + field + "\n\n" + group + rest, encoding="utf-8")
    program = """
        from hatch_lambda.config.decode import decode
        from hatch_lambda.config.schema import schema
        from hatch_lambda.errors import ConfigurationError
        assert (decode({}).strip.depth, decode({"strip-depth": 2}).strip.depth) == (3, 2)
        assert decode({"functions": {"one": {"strip-depth": 4}}})
        expected = {"type": "integer", "minimum": 1, "description": "How deep."}
        assert schema()["properties"]["strip-depth"] == {**expected, "default": 3}
        function = schema()["properties"]["functions"]["additionalProperties"]
        assert function["properties"]["strip-depth"] == expected
        try:
            decode({"strip-dept": 0, "strip-depth": 0})
        except ConfigurationError as error:
            print(error.message)
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == [
        "tool.lambda-slim.strip-dept: there is no such key; did you mean 'strip-depth'?",
        "tool.lambda-slim.strip-depth: expected integer >= 1",
    ]
