"""Who requires whom."""

from __future__ import annotations

from hatch_lambda.config.target import Architecture, Target, runtimes
from hatch_lambda.inspect.report.inventory import Metadata
from hatch_lambda.inspect.report.sbom import graph

MARKERS = Target(runtime=runtimes()["python3.13"], architecture=Architecture.X86_64).markers


def distributions(**requirements):
    return {name: Metadata(name=name, raw={"requires_dist": list(texts)}) for name, texts in requirements.items()}


def test_an_extra_counts_where_somebody_asks_for_it():
    """And only markers that hold on the target do."""
    found = distributions(
        app=["web[mail]"],
        web=["mailer ; extra == 'mail'", "colour; sys_platform == 'win32'"],
        mailer=["odd req"],
        colour=[],
    )
    assert graph("app", found, MARKERS) == {
        None: ["app", "colour"],
        "app": ["web"],
        "web": ["mailer"],
        "mailer": [],
        "colour": [],
    }


def test_without_the_projects_metadata_the_package_requires_what_nobody_else_does():
    """A cycle, too, is reached from somewhere."""
    found = distributions(a=["b"], b=[], c=["d"], d=["c"], e=["missing"])
    assert graph(None, found, MARKERS)[None] == ["a", "c", "e"]
