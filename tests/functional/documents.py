"""What must be true of every document that a command prints with ``--json``."""

from __future__ import annotations

import base64
import json

import jsonschema
import msgspec
from click.testing import CliRunner

from hatch_lambda.cli.commands import hatch_lambda
from hatch_lambda.cli.schema import kinds
from hatch_lambda.core.codec import from_json, to_json


def fits(command, document):
    """See that *document* is one object of the schema of *command*, comes back the same, and lacks no digest."""
    schema = json.loads(CliRunner().invoke(hatch_lambda, ["schema", command]).output)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert isinstance(document, dict)
    assert isinstance(document["schema_version"], int)
    assert schema["$id"] == f"urn:hatch-lambda:{command}:{document['schema_version']}"
    text = json.dumps(document)
    again = [json.loads(to_json(value)) for value in (_decoded(text, kind) for kind in kinds(command)) if value]
    assert document in again
    for part in digested(document):
        if part["sha256"] is not None:
            assert base64.b64decode(part["code_sha256"]).hex() == part["sha256"]
        else:
            assert part["code_sha256"] is None


def digested(document):
    """Yield each object of *document* that AWS may compare; the files of a report are in its package."""
    if isinstance(document, dict):
        if "sha256" in document and "executable" not in document:
            yield document
        document = document.values()
    for part in document if not isinstance(document, str) else ():
        if isinstance(part, (list, dict, type({}.values()))):
            yield from digested(part)


def _decoded(text, kind):
    try:
        return from_json(text, kind)
    except msgspec.ValidationError:
        return None
