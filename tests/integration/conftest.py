"""What the tests with the registry share: the tool as a wheel, an interpreter of the runtime, and the workloads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.shell import REPOSITORY, WORKLOADS, Shell, interpreter, locked_copy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory) -> Path:
    """Build this project's wheel: isolated builds of other projects have to find it."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    Shell().uv("build", "--quiet", "--wheel", "--out-dir", folder, REPOSITORY, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def shell(wheelhouse) -> Shell:
    """Give a shell in which every front end finds this project's wheel."""
    environment = {**os.environ, "UV_FIND_LINKS": wheelhouse.as_uri(), "PIP_FIND_LINKS": wheelhouse.as_uri()}
    return Shell(environment)


@pytest.fixture(scope="session")
def python313() -> str:
    """Find an interpreter of the runtime python3.13."""
    return interpreter("3.13")


@pytest.fixture(scope="session", params=sorted(path.name for path in WORKLOADS.iterdir()))
def workload(request, shell, tmp_path_factory) -> Path:
    """Give a locked copy of each reference workload."""
    return locked_copy(shell, WORKLOADS / request.param, tmp_path_factory.mktemp("workload") / request.param)
