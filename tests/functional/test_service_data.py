"""Service data and rules, from the settings to the package."""

from __future__ import annotations

import json
import zipfile

import pytest
from click.testing import CliRunner

from hatch_lambda import api
from hatch_lambda.cli.commands import hatch_lambda
from hatch_lambda.errors import ConfigurationError
from tests.support.wheels import make_project, make_wheel

SERVICES = ("s3", "ec2", "sqs", "sts")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project with the data of four services, and a source of C."""
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    files = {f"botocore/data/{name}/2020/service-2.json.gz": name for name in SERVICES}
    files |= {"botocore/session.py": "", "botocore/a.c": "int a;", "botocore/py.typed": ""}
    return make_project(tmp_path / "service", make_wheel(tmp_path / "wheels", "botocore", files))


def write(project, call):
    (project / "app.py").write_text(f"import boto3\nhandler = boto3.client({call})\n")


def services(package):
    with zipfile.ZipFile(package.path) as archive:
        return {name.split("/")[2] for name in archive.namelist() if name.endswith(".json.gz")}


def codes(package):
    return [finding.code for finding in package.findings if finding.code.startswith("HL05")]


def test_the_package_follows_what_the_code_asks_for(project):
    """From the cache or not: an edit that asks for another service costs the dependencies, any other does not."""
    seen = []
    for call in ("'s3'", "'s3', 'eu-west-1'", "'sqs'", "name", "'s3'"):
        write(project, call)
        package = api.build(project, data={"botocore": "auto"})
        fresh = api.build(project, data={"botocore": "auto"}, output="fresh.zip", no_cache=True)
        assert package.path.read_bytes() == fresh.path.read_bytes()
        assert codes(package) == codes(fresh)
        seen.append((services(package), package.from_cache, codes(package)))
    assert seen == [
        ({"s3", "sts"}, False, []),
        ({"s3", "sts"}, True, []),
        ({"sqs", "sts"}, False, []),
        ({*SERVICES}, False, ["HL050"]),
        ({"s3", "sts"}, True, []),
    ]


def test_code_that_asks_for_a_service_that_was_left_out_is_told_each_time(project):
    write(project, "'sqs'")
    for _ in range(2):
        findings = api.build(project, data={"botocore": ["s3"]}).findings
        (finding,) = [finding for finding in findings if finding.code == "HL051"]
        assert finding.message == "app.py:2 asks for the service 'sqs', which is not in the package"
    with pytest.raises(ConfigurationError, match="has no service 's4'; did you mean 's3'"):
        api.build(project, data={"botocore": ["s4"]})


def test_explain_names_the_rule_and_the_reason(project):
    write(project, "'s3'")
    _, decisions = api.explain(project, "botocore/data", data={"botocore": "auto"})
    told = {decision.file.path.split("/")[2]: (decision.kept, decision.rule, decision.reason) for decision in decisions}
    assert told["s3"] == (True, "service-data", "app.py asks for it")
    assert told["ec2"] == (False, "service-data", "no code asks for it")


def test_rules_tells_what_each_saves_or_would(project):
    """The optional ones too, and nothing of it is done."""
    arguments = ["rules", str(project), "--json", "-C", "rules={native-sources=false}"]
    rules = {rule["name"]: rule for rule in json.loads(CliRunner().invoke(hatch_lambda, arguments).output)["rules"]}
    assert (rules["native-sources"]["on"], rules["native-sources"]["bytes"]) == (False, 6)
    assert (rules["py-typed"]["on"], rules["py-typed"]["default"], rules["py-typed"]["bytes"]) == (False, False, 0)
    assert (rules["tests"]["on"], rules["tests"]["bytes"]) == (True, 0)
    assert not (project / "dist").exists()


def test_without_a_lock_rules_is_a_list(tmp_path):
    result = CliRunner().invoke(hatch_lambda, ["rules", str(tmp_path), "-v"])
    assert result.exit_code == 0, result.output
    assert "realign-segments" in result.output
    assert "only compilers read it" in result.output
    assert list(tmp_path.iterdir()) == []
