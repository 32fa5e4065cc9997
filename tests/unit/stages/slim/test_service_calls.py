"""What code asks a library for is found without a parser, and what is computed is known to be."""

from __future__ import annotations

import textwrap

import pytest

from hatch_lambda.core.source.calls import Kind, tokenize
from hatch_lambda.core.source.files import Texts
from hatch_lambda.stages.slim.service_data import asks, libraries


@pytest.fixture
def asked(package):
    """Return what each file asks for, in the order of the code; None for what is computed."""

    def ask(code, *, key="botocore", distribution=None, **others):
        package.write({"app.py": textwrap.dedent(code)}, distribution, project=distribution is None)
        for name, text in others.items():
            package.write({f"{name}.py": textwrap.dedent(text)}, distribution, project=distribution is None)
        found = list(asks(libraries()[key], package.tree, Texts()))
        return [None if request.names is None else sorted(request.names) for request in found]

    return ask


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('boto3.client("s3")', ["s3"]),
        ("boto3.resource('dynamodb', region_name=region)", ["dynamodb"]),
        ('boto3.client(service_name="sqs")', ["sqs"]),
        ('boto3.client(region_name=region, service_name="sqs")', ["sqs"]),
        ('boto3.client("s3", **options)', ["s3"]),
        ('boto3.Session().client(\n    "s3",\n)', ["s3"]),
        ('await stack.enter(session.create_client("s" "3"))', ["s3"]),
        ('SERVICE = "s3"\nboto3.client(SERVICE)', ["s3"]),
        ('SERVICE: Final[str] = "s3"\nboto3.client(SERVICE)', ["s3"]),
        ('class A:\n    service = "s3"\n    def b(self):\n        return boto3.client(self.service)', ["s3"]),
        ('for name in ("s3", "sqs"):\n    out[name] = boto3.client(name)', ["s3", "sqs"]),
        ('ALL = ["s3", "sqs"]\nclients = {n: boto3.client(n) for n in ALL}', ["s3", "sqs"]),
        ('boto3.client("s3" if big else "dynamodb")', ["dynamodb", "s3"]),
        ('if big: name = "s3"\nelse: name = "sqs"\nboto3.client(name)', ["s3", "sqs"]),
        ('from boto3 import client as make\nmake("s3")', ["s3"]),
        ('from boto3 import client\nclient("s3")', ["s3"]),
    ],
)
def test_names_that_are_written_out_are_found(asked, code, names):
    assert asked(f"import boto3\n{code}\n") == [names]


@pytest.mark.parametrize(
    "code",
    [
        "boto3.client(name)",
        'boto3.client(os.environ["SERVICE"])',
        "boto3.client(f'{kind}')",
        "boto3.client(prefix + 's3')",
        "boto3.client(*arguments)",
        "boto3.client(**options)",
        "def make(name='s3'):\n    return boto3.client(name)",
        "make = lambda name: boto3.client(name)",
        'name = "s3"\ndef make(name):\n    return boto3.client(name)',
        'NAME = "s3"\ndef make(NAME): return boto3.client(NAME)',
        'NAME = "s3"\ndef make(region, NAME): return boto3.client(NAME)',
        'NAME = "s3"\ndef make(*, region=None, NAME: str) -> object:\n    return boto3.client(NAME)',
        'NAME = "s3"\ndef make(*NAME):\n    return boto3.client(NAME)',
        'NAME = "s3"\ndef make[T](NAME: T): return boto3.client(NAME)',
        'NAME = "s3"\nmake = lambda region, NAME: boto3.client(NAME)',
        'NAME = "s3"\nmake = lambda *NAME: boto3.client(*NAME)',
        'NAME = "s3"\nmake = (lambda region={}, NAME=None: boto3.client(NAME))',
        'class A:\n    NAME = "s3"\n    async def make(self, NAME): return boto3.client(NAME)',
        'name = "s3"\nname += suffix\nboto3.client(name)',
        'name = "s3"\nname, other = read()\nboto3.client(name)',
        'name = "s3"\nwith read() as name:\n    boto3.client(name)',
        'name = "s3"\nif name := read():\n    boto3.client(name)',
        'ALL = ["s3"]\nALL.append(read())\nfor name in ALL:\n    boto3.client(name)',
        'for number, name in enumerate(("s3",)):\n    boto3.client(name)',
        "make = boto3.client",
        'functools.partial(session.client, "s3")',
        'clients = {"a": boto3.client}',
        'getattr(boto3, "client")("s3")',
        "print(f\"{boto3.client('s3')}\")",
        "from settings import NAME\nboto3.client(NAME)",
    ],
)
def test_what_is_computed_is_told(asked, code):
    assert asked(f"import boto3, os, functools\n{code}\n") == [None]


@pytest.mark.parametrize(
    "code",
    [
        "# boto3.client(name)",
        '"""Call boto3.client(name)."""',
        "def use(client: boto3.client) -> boto3.client: ...",
        "client: Optional[boto3.client] = None",
        "self.client.put_object(name)",
        "session.client = made",
        "factory.client(region_name=region)",
        "def client(name): ...",
    ],
)
def test_what_asks_for_nothing_is_passed_over(asked, code):
    assert asked(f"import boto3\n{code}\n") in ([], [[]])


def test_a_constant_of_another_module_is_known(asked):
    code = "import boto3\nfrom settings import SERVICE as NAME\nboto3.client(NAME)"
    assert asked(code, settings='SERVICE = "s3"') == [["s3"]]


def test_an_object_may_be_handed_on_within_the_project(asked):
    assert asked("session.client('s3')\nsession.client(name)\nother.client(name)") == [["s3"], None, None]


def test_a_distribution_that_mentions_no_library_asks_for_nothing(asked):
    assert asked("connection.client(name)", distribution="web") == []


def test_of_a_distribution_a_file_that_does_not_mention_it_has_to_say_session(asked):
    code = "redis.client(name)\nself.session.client(name)\nanother.client('s3')"
    assert asked(code, distribution="dep", other="import boto3") == [None, ["s3"]]


def test_a_compiled_module_that_mentions_it_may_ask_for_anything(package):
    package.write(
        {"fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF\0boto3\0", "slow.so": b"\x7fELF\0about"}, None, project=True
    )
    (request,) = asks(libraries()["botocore"], package.tree, Texts())
    assert (request.names, request.path) == (None, "fast.cpython-313-x86_64-linux-gnu.so")


def test_its_own_code_does_not_count(asked):
    assert asked("import boto3\nboto3.client(name)", distribution="boto3") == []


def test_several_arguments_make_a_name(asked):
    code = 'from googleapiclient.discovery import build\nbuild("sheets", "v4")\nbuild("drive", version="v3")'
    code += "\nbuild(app)"
    assert asked(code, key="googleapiclient") == [["sheets.v4"], ["drive.v3"], []]


def test_code_of_any_version_is_cut_alike():
    """The f-string is one that Python has since 3.12, and the last line is none at all."""
    tokens = tokenize(b"x = f'{a}' if y else rb'\\d'\nz = 'it' \"'s\" # no\n'unfinished\n")
    kinds = [(token.kind, token.text) for token in tokens if token.kind in (Kind.STRING, Kind.COMPUTED)]
    assert kinds == [(Kind.COMPUTED, "{a}"), (Kind.COMPUTED, "\\d"), (Kind.STRING, "it"), (Kind.STRING, "'s")]
