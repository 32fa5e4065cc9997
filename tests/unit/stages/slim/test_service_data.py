"""Of data for many services, what a program needs stays."""

from __future__ import annotations

import pytest
import tomli_w

from hatch_lambda.config.settings import SlimSettings
from hatch_lambda.core.codec import DocumentError, from_toml
from hatch_lambda.core.model import Tree
from hatch_lambda.errors import ConfigurationError
from hatch_lambda.stages.slim.findings import check_decisions, check_requests
from hatch_lambda.stages.slim.plan import plan
from hatch_lambda.stages.slim.project_digest import influence
from hatch_lambda.stages.slim.service_data import Libraries

SERVICES = ("s3", "ec2", "dynamodb", "sagemaker-runtime", "sts", "sso", "sso-oidc", "signin")
ALWAYS = {"sts", "sso", "sso-oidc", "signin"}


@pytest.fixture
def boto(package):
    data = {f"botocore/data/{name}/2020/service-2.json.gz": name for name in SERVICES}
    package.write({**data, "botocore/data/endpoints.json": "{}", "botocore/session.py": ""}, "botocore")
    return package.write({"boto3/data/s3/resources-1.json": "", "boto3/data/ec2/resources-1.json": ""}, "boto3")


def services(package, choice):
    return {path.split("/")[2] for path in package.kept(data={"botocore": choice}) if path.count("/") == 4}


def findings(package, choice, *, slim=True):
    settings = SlimSettings(data={"botocore": choice})
    own = Tree.of(file for file in package.files if file.project)
    decisions = [decision for decision in plan(package.tree, settings) if not decision.file.project]
    kept = Tree.of(decision.file for decision in decisions if decision.kept or not slim)
    return [*check_decisions(decisions), *check_requests(own, kept, settings)]


def test_a_list_keeps_its_services_and_what_credentials_need(boto):
    assert services(boto, ("s3",)) == {"s3", *ALWAYS}
    decided = boto.decide(data={"botocore": ("s3",)})
    assert decided["botocore/data/endpoints.json"].kept
    assert decided["boto3/data/s3/resources-1.json"].kept
    assert not decided["boto3/data/ec2/resources-1.json"].kept
    assert decided["botocore/data/ec2/2020/service-2.json.gz"].rule == "service-data"


def test_a_name_that_is_not_there_is_refused(boto):
    with pytest.raises(ConfigurationError) as error:
        services(boto, ("s3", "dynamo", "zzzzzz"))
    assert error.value.message.splitlines() == [
        "tool.lambda-slim.data.botocore: the installed botocore has no service 'dynamo'; did you mean 'dynamodb'?",
        "tool.lambda-slim.data.botocore: the installed botocore has no service 'zzzzzz'",
    ]


def test_auto_keeps_what_the_project_and_its_dependencies_ask_for(boto):
    boto.write({"app.py": "import boto3\nboto3.client('s3')"}, None, project=True)
    boto.write({"dep.py": "import boto3\nboto3.resource('dynamodb')"}, "dep")
    assert services(boto, "auto") == {"s3", "dynamodb", *ALWAYS}
    assert findings(boto, "auto") == []


def test_auto_knows_the_other_names_of_services(boto):
    boto.write({"app.py": "import boto3\nboto3.client('runtime.sagemaker')"}, None, project=True)
    assert services(boto, "auto") == {"sagemaker-runtime", *ALWAYS}
    assert findings(boto, "auto") == []


@pytest.mark.parametrize(("project", "place"), [(True, "app.py:2"), (False, "app.py")])
def test_auto_keeps_everything_where_a_name_is_computed_and_says_where(boto, project, place):
    boto.write({"app.py": "import boto3\nboto3.client(name)"}, None if project else "dep", project=project)
    assert services(boto, "auto") == set(SERVICES)
    (finding,) = findings(boto, "auto")
    assert (finding.code, finding.severity.value) == ("HL050", "note")
    assert f"{place} computes the name" in finding.message


def test_code_that_asks_for_what_was_left_out_is_told(boto):
    boto.write({"app.py": "import boto3\n\nboto3.client('ec2')\nboto3.client(name)"}, None, project=True)
    (finding,) = findings(boto, ("s3",))
    assert (finding.code, finding.severity.value) == ("HL051", "warning")
    assert finding.message == "app.py:3 asks for the service 'ec2', which is not in the package"


def test_a_choice_about_what_is_not_installed_is_told(package):
    package.write({"dep.py": ""})
    (finding,) = findings(package, ("s3",))
    assert finding.code == "HL052"


def test_the_projects_patterns_have_the_last_word(boto):
    patterns = ("!botocore/data/ec2/", "!botocore/data/ec2/**")
    kept = boto.kept(data={"botocore": ("s3",)}, patterns=patterns)
    assert "botocore/data/ec2/2020/service-2.json.gz" in kept


def test_locales_take_along_those_that_they_inherit_from(package):
    names = ("root", "en", "en_001", "en_150", "en_IN", "en_GB", "en_US", "en_US_POSIX", "zh", "zh_Hant", "zh_Hant_HK")
    names = (*names, "zh_Hant_MO", "de", "fr")
    package.write({f"babel/locale-data/{name}.dat": "" for name in names}, "babel")
    gone = package.gone(data={"babel": ("zh_Hant_MO",)})
    assert gone == {f"babel/locale-data/{name}.dat" for name in ("de", "fr", "en_GB", "en_001", "en_150", "en_IN")} - {
        f"babel/locale-data/{name}.dat" for name in ("en_001", "en_150", "en_IN")
    }


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("boto3.client('s3')", "x = 1\nboto3.client('s3')", True),
        ("boto3.client('s3')", "boto3.client('sqs')", False),
        ("boto3.client('s3')", "boto3.client(name)", False),
    ],
)
def test_the_kept_part_depends_on_what_the_project_asks_for(tmp_path, before, after, same):
    """And on nothing else of the code, so that an edit does not cost the dependencies."""
    from tests.unit.stages.slim.conftest import Maker

    settings = SlimSettings(data={"botocore": "auto"})
    digests = [
        influence(Maker(tmp_path / name).write({"app.py": f"import boto3\n{code}"}, None, project=True).tree, settings)
        for name, code in (("a", before), ("b", after))
    ]
    assert (digests[0] == digests[1]) is same


SOUND = {"name": "sound", "distribution": "sounds", "what": "tone", "items": ["sound/{}.dat"], "always": ["a"]}
ASKING = {"mentions": ["sound"], "modules": ["sound"], "parameters": ["name"], "receivers": ["player"]}


@pytest.mark.parametrize(
    ("slip", "what"),
    [
        ({"item": ["a/{}"]}, "unknown field `item`"),
        ({"in_each_file": True}, "unknown field `in_each_file`"),
        ({"items": []}, "length >= 1"),
        ({"items": ["sound/*.dat"]}, "matching regex"),
        ({"items": ["{}.dat"]}, "matching regex"),
        ({"always": "a"}, "Expected `array`, got `str`"),
        ({"takes-along": {"b": "a"}}, "Expected `array`, got `str`"),
        ({"aliases": ["b"]}, "Expected `object`, got `array`"),
        ({"functions": ["play"]}, "need one another"),
        (ASKING, "need one another"),
        ({"in-each-file": True}, "`in-each-file` and `aliases` need `functions`"),
        ({"aliases": {"b": "a"}}, "`in-each-file` and `aliases` need `functions`"),
    ],
)
def test_a_slip_in_a_library_is_an_error_that_names_the_file_and_the_library(slip, what):
    """Whoever adds a library changes one place, and learns of a mistake there."""
    text = tomli_w.dumps({"library": [{**SOUND, "name": "first"}, {**SOUND, **slip}]})
    with pytest.raises(DocumentError) as caught:
        from_toml(text, "services.toml", Libraries)
    message = str(caught.value)
    assert message.startswith("services.toml: ")
    assert what in message
    assert '[[library]] "sound"' in message


def test_a_library_is_added_by_an_entry_alone():
    entry = {**SOUND, **ASKING, "functions": ["play"], "aliases": {"do": "c"}, "in-each-file": True}
    (library,) = from_toml(tomli_w.dumps({"library": [entry]}), "services.toml", Libraries).library
    assert library.calls is not None
    assert library.calls.mentions == (b"sound",)
    assert library.known_as("do") == "c"


def test_two_libraries_have_two_names():
    with pytest.raises(DocumentError, match=r"services.toml: two libraries have the name 'sound'"):
        from_toml(tomli_w.dumps({"library": [SOUND, SOUND]}), "services.toml", Libraries)
