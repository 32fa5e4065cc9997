"""The slim stage: take out of a package what no program misses.

``plan`` decides and changes nothing; ``apply`` carries the decisions out.
"""

from hatch_lambda.slimming.dist_info import removed_metadata
from hatch_lambda.slimming.findings import check_decisions, check_requests
from hatch_lambda.slimming.influence import influence
from hatch_lambda.slimming.plan import Decision, SlimPolicy, apply, plan
from hatch_lambda.slimming.rules import Rule, all_rules

__all__ = [
    "Decision",
    "Rule",
    "SlimPolicy",
    "all_rules",
    "apply",
    "check_decisions",
    "check_requests",
    "influence",
    "plan",
    "removed_metadata",
]
