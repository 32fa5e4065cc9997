"""What no test may take over from the shell that runs it."""

from __future__ import annotations

import os

from hypothesis import settings

FOREIGN = (
    *("HATCH_LAMBDA_CACHE_DIR", "HATCH_LAMBDA_INNER", "SOURCE_DATE_EPOCH", "FORCE_COLOR", "NO_COLOR"),
    *("CI", "ARTIFACTS_DIR"),  # where they are set no lock is made
)
for name in FOREIGN:
    os.environ.pop(name, None)

# A loaded machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
