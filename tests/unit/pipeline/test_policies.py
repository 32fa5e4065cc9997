"""Each stage is told what the settings say, unless they contradict one another."""

from __future__ import annotations

import pytest

from hatch_lambda.config.decode import decode
from hatch_lambda.pipeline.policies import strip_policy


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
    assert strip_policy(decode(table)).realign is realign
