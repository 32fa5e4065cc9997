"""Who builds what has no wheel."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from hatch_lambda.config.schema import schema
from hatch_lambda.config.settings import Sdist
from hatch_lambda.stages.install.sdists.builders import SdistBuilder, builder_of

CHOICES = [choice for choice in get_args(Sdist) if choice != "never"]


@pytest.mark.parametrize("choice", CHOICES)
def test_whatever_the_setting_offers_builds(choice):
    asked = inspect.signature(SdistBuilder.build).parameters
    assert [*inspect.signature(builder_of(choice).build).parameters] == [*asked][1:]


def test_the_schema_offers_and_explains_what_there_is():
    offered = schema()["properties"]["sdist"]
    assert {*offered["enum"]} == {"never", *CHOICES}
    assert all(f"`{choice}`" in offered["description"] for choice in offered["enum"])
