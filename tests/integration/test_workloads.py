"""The reference workloads: built with default settings, they fit and they run."""

from __future__ import annotations

import json

import pytest

from tests.support.shell import run_handler, unpack

pytestmark = pytest.mark.registry

MADE_SMALLER = {"boto": 0.99, "google": 0.98, "ml": 0.80, "web": 0.88}
"""At most this part of what was installed is left, unzipped, before bytecode comes."""


def test_package_of_a_workload_fits_and_runs_on_a_bare_interpreter(workload, shell, python313, tmp_path):
    """The package holds all that the handler needs, and nothing broke on the way."""
    result = json.loads(shell.hatch_lambda("build", "--json", cwd=workload).stdout)

    assert result["unzipped_bytes"] <= result["unzipped_quota_bytes"]
    left = {stage["name"]: stage["bytes"] for stage in result["stages"]}
    assert left["strip"] < MADE_SMALLER[workload.name] * left["install"]
    task = unpack(workload / "dist" / result["zip"].rpartition("/")[2], tmp_path / "task")
    answer = json.loads(run_handler(python313, task, "handler.handler"))
    assert answer["ok"] is True
    assert [finding for finding in result["findings"] if finding["severity"] != "note"] == []
    assert shell.hatch_lambda("verify", "--quiet", task, "--project", workload, cwd=workload).stdout == ""
    # And in AWS's own runtime interface client.
    invoked = shell.hatch_lambda("invoke", result["zip"], "--memory", "1024", "--timeout", "60", cwd=workload)
    assert json.loads(invoked.stdout)["ok"] is True


def test_nearly_every_shared_object_of_a_workload_is_stripped(workload, shell):
    """At least 98 % of the objects are stripped or had nothing to strip; who was refused is told."""
    result = json.loads(shell.hatch_lambda("build", "--json", cwd=workload).stdout)

    stripped = [change for change in result["changes"] if change["stage"] == "strip"]
    refused = [finding for finding in result["findings"] if finding["code"] == "HL020"]
    assert len(refused) <= 0.02 * (len(stripped) + len(refused))
    if workload.name == "ml":
        assert sum(change["bytes_before"] - change["bytes_after"] for change in stripped) >= 10_000_000


WITH_AUTO = {"boto": ("botocore", 6_500_000), "google": ("googleapiclient", 22_000_000)}
"""The library whose data a workload uses a small part of, and the bytes to which that brings its package."""


@pytest.mark.parametrize("workload", sorted(WITH_AUTO), indirect=True)
def test_a_workload_runs_with_the_service_data_that_its_code_asks_for(workload, shell, python313, tmp_path):
    """Nothing has to be listed, and no code computes a name. The limits are without bytecode."""
    library, most = WITH_AUTO[workload.name]
    data = f'data={{ {library} = "auto" }}'
    options = ("--json", "-C", "bytecode=none", "-C", data)
    result = json.loads(shell.hatch_lambda("build", *options, cwd=workload).stdout)

    assert result["unzipped_bytes"] <= most
    assert not [finding for finding in result["findings"] if finding["code"].startswith("HL05")]
    task = unpack(workload / "dist" / result["zip"].rpartition("/")[2], tmp_path / "task")
    assert json.loads(run_handler(python313, task, "handler.handler"))["ok"] is True
    invoked = shell.hatch_lambda("invoke", result["zip"], "--memory", "1024", "--timeout", "60", cwd=workload)
    assert json.loads(invoked.stdout)["ok"] is True


PRUNED = {"ml": (155.6, 50.8), "web": (43.5, 15.0), "boto": (22.9, 17.3), "google": (135.0, 24.0)}
"""Megabytes, unzipped and zipped, of what a script leaves that removes tests, docs and metadata, and strips.

Most of what it leaves does not run. Measured on the wheels of November 2026.
"""


@pytest.mark.slow
def test_a_workload_is_as_small_as_what_a_careless_script_leaves_and_answers(workload, shell, tmp_path):
    """By default, without bytecode, which nobody else ships."""
    unzipped, zipped = PRUNED[workload.name]
    options = ("--json", "-C", "bytecode=none", "-C", "verify=static", "-o", tmp_path / "made.zip")
    result = json.loads(shell.hatch_lambda("build", *options, cwd=workload).stdout)
    invoked = shell.hatch_lambda("invoke", result["zip"], "--memory", "1024", "--timeout", "60", cwd=workload)

    assert result["unzipped_bytes"] <= 1.02 * unzipped * 1_000_000
    assert result["zip_bytes"] <= zipped * 1_000_000
    assert json.loads(invoked.stdout)["ok"] is True
