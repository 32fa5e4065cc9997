"""What no test may take over from the shell that runs it, and which tests a run leaves out."""

from __future__ import annotations

import os

from hypothesis import settings

DERANDOMIZED = bool(os.environ.get("CI"))
"""Whether generated inputs are the same in each run: a check of a change must not fail for what another one did."""

FOREIGN = (
    *("HATCH_LAMBDA_CACHE_DIR", "HATCH_LAMBDA_INNER", "SOURCE_DATE_EPOCH", "FORCE_COLOR", "NO_COLOR"),
    *("CI", "ARTIFACTS_DIR"),  # where they are set no lock is made
)
for name in FOREIGN:
    os.environ.pop(name, None)

# A loaded machine is no reason to fail.
settings.register_profile("patient", deadline=None, derandomize=DERANDOMIZED)
settings.load_profile("patient")


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run those that are marked slow or long, too")


def pytest_collection_modifyitems(config, items):
    """Leave out what takes long, unless it is asked for: all of it, by a mark, or as one test by its address."""
    if config.getoption("all") or config.getoption("-m") or any("::" in argument for argument in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("slow") or item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_report_header(config):
    return "all tests" if config.getoption("all") else "without tests that are marked slow or long: --all runs them"
