"""The reference workloads and the sample project under every runtime, as AWS's own client runs them."""

from __future__ import annotations

import json

import pytest

from tests.support.shell import REPOSITORY, WORKLOADS, interpreter, locked_copy

pytestmark = [pytest.mark.registry, pytest.mark.long]

RUNTIMES = ("python3.10", "python3.11", "python3.12", "python3.13")
PROJECTS = (*sorted(path.name for path in WORKLOADS.iterdir()), "sample")
WITHOUT_WHEELS = {
    ("ml", "python3.11"): "numpy",
    ("web", "python3.10"): "pillow",
    ("web", "python3.11"): "pillow",
}
"""What has no wheel for a runtime: those before python3.12 have glibc 2.26, and the newest wheels need 2.27."""
SHORT = {("sample", "python3.10"), ("web", "python3.12")}
"""What is tried in every run of the tests; python3.13 is tried by those of the workloads and of the sample."""


@pytest.fixture(scope="module")
def copies(shell, tmp_path_factory):
    """Give a function that returns a copy of a project, locked for all runtimes at once."""
    made = {}

    def copy(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("runtimes") / name
            source = REPOSITORY / "sample_project" if name == "sample" else WORKLOADS / name
            made[name] = locked_copy(shell, source, folder, requires_python=">=3.10,<3.14")
        return made[name]

    return copy


def faults(told):
    """Return the codes of what is wrong with a package. That AWS no longer supports a runtime is not its fault."""
    return [one["code"] for one in told["findings"] if one["severity"] != "note" and one["code"] != "HL006"]


@pytest.mark.parametrize(
    ("project", "runtime"),
    [
        pytest.param(project, runtime, marks=[] if (project, runtime) in SHORT else pytest.mark.slow)
        for project in PROJECTS
        for runtime in RUNTIMES
    ],
)
def test_a_package_passes_every_check_and_answers_on_each_runtime(project, runtime, copies, shell):
    """With the default settings: bytecode where there is room, imported by its build, invoked by AWS's client."""
    interpreter(runtime.removeprefix("python"))
    folder = copies(project)
    package = f"{runtime}.zip"
    command = ("build", "--json", "--runtime", runtime, "-o", package)
    if missing := WITHOUT_WHEELS.get((project, runtime)):
        refused = shell.hatch_lambda(*command, "-C", "sdist=never", cwd=folder, check=False)
        assert refused.returncode == 4
        assert f"no wheel for {runtime}-x86_64" in refused.stderr
        assert f" {missing} " in f" {refused.stderr}".replace("\n", " ")
        return

    built = shell.hatch_lambda(*command, cwd=folder, check=False)
    assert built.returncode == 0, built.stderr
    told = json.loads(built.stdout)
    assert faults(told) == []
    assert "import" in [stage["name"] for stage in told["stages"]]
    assert not {"HL021", "HL136"} & {finding["code"] for finding in told["findings"]}
    verified = shell.hatch_lambda("verify", "--json", "--runtime", runtime, "--project", ".", package, cwd=folder)
    assert faults(json.loads(verified.stdout)) == []
    event = ("-e", "events/create_thumbnail.json") if project == "sample" else ()
    options = ("--runtime", runtime, "--memory", "1024", "--timeout", "120", *event)
    answer = json.loads(shell.hatch_lambda("invoke", "-q", package, *options, cwd=folder).stdout)
    assert answer.get("ok") is True or answer.get("statusCode") == 201
