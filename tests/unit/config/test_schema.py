"""The JSON Schema says yes and no to the same tables as the decoder."""

from __future__ import annotations

import json

import fastjsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatch_lambda.config.decode import decode
from hatch_lambda.config.schema import schema, validate_pyproject_schema
from hatch_lambda.errors import ConfigurationError
from tests.unit.config.test_decode import GOOD, KEYS

VALIDATE = fastjsonschema.compile(schema())

VALUES = st.one_of(
    st.sampled_from(list(GOOD.values())),
    st.sampled_from(["python3.13", "python2.7", "amd64", "keep", "kept", "fast", "", 1, 1.5, True, [], [1], ["a"], {}]),
)


def accepted_by_schema(table):
    try:
        VALIDATE(table)
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def accepted_by_decoder(table):
    try:
        decode(table)
    except ConfigurationError:
        return False
    return True


@given(st.dictionaries(st.sampled_from([*KEYS, "colour", "dist_info"]), VALUES, max_size=4))
@example(GOOD)
@example({})
def test_schema_and_decoder_agree(table):
    assert accepted_by_schema(table) == accepted_by_decoder(table)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_described_and_has_its_default(key):
    properties = schema()["properties"]
    assert set(properties) == set(KEYS)
    assert properties[key]["description"].endswith(".")
    assert "default" in properties[key]


def test_the_schema_is_json_and_given_to_validate_pyproject():
    assert json.dumps(validate_pyproject_schema("lambda-slim")) == json.dumps(schema())
    assert schema()["$id"]
