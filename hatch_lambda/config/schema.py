"""The JSON Schema of ``[tool.lambda-slim]``, generated from the types that decode it."""

from __future__ import annotations

from typing import Any

import msgspec

from hatch_lambda.config.decode import known_libraries, known_rules
from hatch_lambda.config.settings import PROJECT_WIDE, TABLE, Settings
from hatch_lambda.config.target import runtimes
from hatch_lambda.core.codec import load


def schema() -> dict[str, Any]:
    """Return the schema (draft 7) of the table."""
    groups = [group.type for group in msgspec.structs.fields(Settings)]
    _, components = msgspec.json.schema_components(groups, ref_template="#/definitions/{name}")
    properties = {
        name: _inlined(entry, components)
        for group in groups
        for name, entry in components[group.__name__]["properties"].items()
    }
    for key, names in (("rules", known_rules()), ("data", known_libraries())):
        properties[key]["propertyNames"] = {"enum": list(names)}
    properties["data"]["additionalProperties"]["anyOf"][0] = {"enum": ["auto"]}
    properties["verify-ignore"]["items"] = {"enum": list(load("inspect/audit/checks.toml", dict[str, Any]))}
    properties["runtime"]["anyOf"] = [{"enum": list(runtimes())}, {"type": "null"}]
    properties["functions"]["additionalProperties"] = {
        "type": "object",
        "properties": {
            name: {key: value for key, value in entry.items() if key != "default"}
            for name, entry in properties.items()
            if name not in PROJECT_WIDE
        },
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:hatch-lambda:lambda-slim",
        "title": TABLE,
        "description": "How hatch-lambda makes the AWS Lambda package of this project.",
        "type": "object",
        "properties": properties,
        "required": [],
        "additionalProperties": False,
    }


def _inlined(entry: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return *entry* with what it refers to in place: inside validate-pyproject's schema no reference would fit."""
    reference = entry.pop("$ref", None)
    if "anyOf" in entry:
        entry["anyOf"] = [_inlined(choice, components) for choice in entry["anyOf"]]
    if isinstance(entry.get("items"), dict):
        entry["items"] = _inlined(entry["items"], components)
    if "allOf" in entry:
        for part in entry.pop("allOf"):
            entry |= _inlined(part, components)
    if reference is not None:
        entry = {**components[reference.rpartition("/")[2]], **entry}
        entry.pop("title", None)  # the name of a class
    if "properties" in entry:
        inner = entry["properties"].items()
        entry["properties"] = {name: _inlined(dict(value), components) for name, value in inner}
    assert "$ref" not in str(entry)
    return entry


def validate_pyproject_schema(tool_name: str) -> dict[str, Any]:  # noqa: ARG001 - validate-pyproject's interface
    """Give validate-pyproject the schema of our table (its entry point ``validate_pyproject.tool_schema``)."""
    return schema()
