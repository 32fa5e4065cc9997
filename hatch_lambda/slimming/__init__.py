"""The slim stage: take out of a package what no program misses.

``plan`` decides and changes nothing; ``apply`` carries the decisions out.
"""

from hatch_lambda.slimming.dist_info import removed_metadata
from hatch_lambda.slimming.influence import influence
from hatch_lambda.slimming.plan import Decision, SlimPolicy, apply, plan

__all__ = ["Decision", "SlimPolicy", "apply", "influence", "plan", "removed_metadata"]
