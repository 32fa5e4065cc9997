"""The JSON Schema of ``[tool.lambda-slim]``, generated from the types that decode it."""

from __future__ import annotations

from typing import Any

import msgspec

from hatch_lambda.config import TABLE, Settings
from hatch_lambda.target import runtimes


def schema() -> dict[str, Any]:
    """Return the schema (draft 7) of the table."""
    (root,), components = msgspec.json.schema_components([Settings], ref_template="#/definitions/{name}")
    own = components.pop(Settings.__name__)
    own["properties"]["runtime"]["anyOf"] = [{"enum": list(runtimes())}, {"type": "null"}]
    assert root == {"$ref": f"#/definitions/{Settings.__name__}"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:hatch-lambda:lambda-slim",
        **own,
        "title": TABLE,
        "description": "How hatch-lambda makes the AWS Lambda package of this project.",
        "definitions": components,
    }


def validate_pyproject_schema(tool_name: str) -> dict[str, Any]:  # noqa: ARG001 - validate-pyproject's interface
    """Give validate-pyproject the schema of our table (its entry point ``validate_pyproject.tool_schema``)."""
    return schema()
