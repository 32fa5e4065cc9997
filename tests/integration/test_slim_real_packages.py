"""With default settings, real packages work after slimming as they did before."""

from __future__ import annotations

import csv
import os
import posixpath
import shutil
import subprocess

import pytest
from packaging.utils import canonicalize_name

from hatch_lambda.config.settings import SlimSettings
from hatch_lambda.core.model import File, Tree
from hatch_lambda.stages.slim.plan import apply, plan
from tests.support.shell import LEAVE

pytestmark = [pytest.mark.registry, pytest.mark.long]

PYTHON = "3.13"
PYENV_VERSION = "3.13.0:3.12.1:3.11.7:3.10.13"
"""What makes pyenv's shims answer; of no effect elsewhere."""


@pytest.fixture(scope="module")
def interpreter():
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not on PATH")
    found = subprocess.run(
        [uv, "python", "find", "--no-python-downloads", PYTHON],
        env={**os.environ, "PYENV_VERSION": PYENV_VERSION},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(f"no interpreter of Python {PYTHON} here: {found.stderr.strip()}")
    return found.stdout.strip()


class Package:
    """Distributions that were installed for the target, slimmed, and laid out for import."""

    def __init__(self, interpreter, folder, *requirements, **settings):
        self.interpreter = interpreter
        self.folder = folder / "slim"
        installed = folder / "installed"
        subprocess.run(
            [
                *("uv", "pip", "install", "--quiet", "--target", installed),
                *("--only-binary", ":all:", "--python-platform", "x86_64-manylinux_2_34"),
                *("--python-version", PYTHON, *requirements),
            ],
            env={**os.environ, "PYENV_VERSION": PYENV_VERSION},
            check=True,
        )
        self.before = read_tree(installed)
        self.decisions = plan(self.before, SlimSettings(**settings))
        self.after, self.changes = apply(self.decisions)
        for file in self.after:
            target = self.folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.source, target)

    def run(self, program):
        """Run *program* with nothing to import but the slimmed package and the standard library.

        It leaves as a function of Lambda does, which is never asked to clean up: untouched, pyarrow aborts at the
        interpreter's exit in one of six runs.
        """
        done = subprocess.run(
            [
                *(self.interpreter, "-I", "-S", "-B", "-c"),
                f"import sys; sys.path.insert(0, {str(self.folder)!r})\n{program}\n{LEAVE}",
            ],
            cwd=self.folder.parent,
            env={"PATH": os.defpath, "HOME": str(self.folder.parent), "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def gone(self, rule):
        """Return what *rule* removes."""
        return {change.path for change in self.changes if change.rule == rule}

    def kept(self, part, root=""):
        """Return the Python modules that stay below folders called *part*."""
        return {
            file.path
            for file in self.after
            if f"/{part}/" in file.path and file.path.startswith(root) and file.path.endswith(".py")
        }


def read_tree(folder):
    owners = {}
    for record in folder.glob("*.dist-info/RECORD"):
        name = canonicalize_name(record.parent.name.partition("-")[0])
        with record.open(newline="") as stream:
            owners |= {posixpath.normpath(row[0]): name for row in csv.reader(stream)}
    return Tree.of(
        File(path=path, source=source, size=source.stat().st_size, distribution=owners.get(path))
        for source in folder.rglob("*")
        if source.is_file() and (path := source.relative_to(folder).as_posix())
    )


@pytest.fixture
def install(interpreter, tmp_path):
    return lambda *requirements, **settings: Package(interpreter, tmp_path, *requirements, **settings)


def test_the_scientific_stack_works_without_its_tests(install):
    package = install("numpy", "scipy", "scikit-learn")
    assert not package.kept("tests", "scipy/")
    assert not package.kept("tests", "sklearn/")
    # numpy.testing reached one module of tests from 2.1 on (see below), and reaches none in newer releases.
    assert len(package.kept("tests", "numpy/")) <= 1
    assert package.after.size < package.before.size - 30_000_000
    package.run(
        "import numpy.testing, scipy.linalg, scipy.stats, scipy.special, sklearn.linear_model as m\n"
        "numpy.testing.assert_allclose(scipy.linalg.inv([[2.0]]), [[0.5]])\n"
        "m.LinearRegression().fit([[0], [1]], [0, 1])"
    )


def test_numpy_testing_keeps_the_one_module_that_it_reaches(install):
    package = install("numpy==2.2.6")
    assert package.kept("tests") == {"numpy/_core/tests/_natype.py"}
    package.run("import numpy.testing")


def test_pandas_works(install):
    package = install("pandas")
    assert not package.kept("tests", "pandas/")
    package.run(
        "import pandas as pd, pandas.testing as t, io\n"
        "df = pd.read_csv(io.StringIO('a,b\\n1,2\\n3,4')); t.assert_frame_equal(df, df.copy())\n"
        "assert df.groupby('a').sum()['b'].tolist() == [2, 4]"
    )


def test_email_addresses_are_validated(install):
    install("pydantic[email]").run(
        "from pydantic import BaseModel, EmailStr\nclass M(BaseModel): mail: EmailStr\nM(mail='a@example.com')"
    )


def test_aws_clients_are_made(install):
    install("boto3").run(
        "import boto3\n"
        "s = boto3.Session('a', 'b', region_name='eu-west-1')\n"
        "[s.client(n) for n in ('s3', 'dynamodb', 'sqs')]; s.resource('dynamodb').Table('t')"
    )


def test_lazy_loaders_find_their_stubs(install):
    package = install("scikit-image")
    assert any(file.path == "skimage/__init__.pyi" for file in package.after)
    package.run(
        "import skimage, numpy as np\n"
        "skimage.filters.gaussian(skimage.data.astronaut()[..., 0]); skimage.measure.label(np.eye(3))"
    )


def test_databases_are_reached(install):
    install("sqlalchemy").run(
        "import sqlalchemy as s\n"
        "with s.create_engine('sqlite://').connect() as c: assert c.scalar(s.text('select 2')) == 2"
    )


def test_figures_are_drawn(install):
    install("matplotlib").run(
        "import io, matplotlib.pyplot as p\n"
        "p.plot([1, 2]); p.title('$x^2$'); [p.savefig(io.BytesIO(), format=f) for f in ('png', 'svg', 'pdf')]"
    )


def test_google_apis_are_discovered(install):
    install("google-api-python-client").run(
        "from googleapiclient.discovery import build\nbuild('drive', 'v3', developerKey='k').files()"
    )


def test_metadata_and_entry_points_are_found(install):
    install("opentelemetry-sdk", "jsonschema").run(
        "from importlib.metadata import version, entry_points; version('jsonschema')\n"
        "import jsonschema, opentelemetry.context as c, opentelemetry.sdk.trace as t\n"
        "jsonschema.validate({'a': 1}, {'type': 'object'}); t.TracerProvider().get_tracer('x')\n"
        "assert entry_points(group='opentelemetry_context'); c.get_current()"
    )


def test_pyarrow_works_with_one_of_the_copies_of_its_libraries(install):
    package = install("pyarrow")
    copies = package.gone("library-copies")
    assert {path.partition(".so")[0] for path in copies} >= {"pyarrow/libarrow_python"}
    package.run(
        "import pyarrow as pa, pyarrow.parquet as pq, pyarrow.dataset, pyarrow.compute as c, pyarrow.flight, io\n"
        "import pyarrow.substrait, pyarrow.csv, pyarrow.feather\n"
        "sink = io.BytesIO(); pq.write_table(pa.table({'a': [1, 2]}), sink); sink.seek(0)\n"
        "assert c.sum(pq.read_table(sink)['a']).as_py() == 3"
    )


def test_pyarrow_works_without_what_nobody_mentions(install):
    """Substrait's library is linked, so only its Python part can go; Flight goes whole, by demand."""
    package = install("pyarrow", aggressive=True)
    assert any(path.startswith("pyarrow/libarrow_flight.so") for path in package.gone("pyarrow-flight"))
    assert not any(".so." in path for path in package.gone("pyarrow-substrait"))
    assert package.after.size < package.before.size - 30_000_000
    package.run(
        "import pyarrow as pa, pyarrow.parquet as pq, pyarrow.dataset, pyarrow.compute as c, io\n"
        "sink = io.BytesIO(); pq.write_table(pa.table({'a': [1, 2]}), sink); sink.seek(0)\n"
        "assert c.sum(pq.read_table(sink)['a']).as_py() == 3"
    )


def test_botocore_works_without_examples_and_without_the_services_that_were_left_out(install):
    """It fails with its own error for those, which names the others; credentials have what they need."""
    package = install("boto3", data={"botocore": ("s3", "dynamodb")})
    assert package.after.size < 6_000_000
    package.run(
        "import boto3, botocore.exceptions as e\n"
        "s = boto3.Session('x', 'x', region_name='eu-west-1')\n"
        "assert set(s.get_available_services()) == {'s3', 'dynamodb', 'sts', 'sso', 'sso-oidc', 'signin'}\n"
        "s.client('s3').generate_presigned_url('get_object', Params={'Bucket': 'b', 'Key': 'k'})\n"
        "s.resource('dynamodb').Table('t'); s.client('s3').get_paginator('list_objects_v2')\n"
        "s.client('dynamodb').get_waiter('table_exists'); s.client('sts').meta.endpoint_url\n"
        "str(s.client('s3').get_object.__doc__)\n"
        "try: s.client('ec2')\n"
        "except e.UnknownServiceError as error: assert 'dynamodb' in str(error)\n"
        "else: raise SystemExit('ec2 is there')"
    )


def test_all_of_botocore_works_without_its_examples(install):
    package = install("boto3")
    assert len(package.gone("service-examples")) > 100
    package.run(
        "import boto3\n"
        "s = boto3.Session('x', 'x', region_name='eu-west-1')\n"
        "[s.client(name) for name in ('ec2', 's3', 'lambda')]\n"
        "assert len(str(s.client('ec2').run_instances.__doc__)) > 1000"
    )


def test_babel_works_with_the_locales_that_were_chosen(install):
    package = install("babel", data={"babel": ("de_AT", "en_GB", "nb_NO", "zh_Hant_MO", "pt_AO")})
    assert package.after.size < package.before.size - 20_000_000
    package.run(
        "from babel import Locale, dates, numbers, UnknownLocaleError\nimport datetime\n"
        "for name in ('de_AT', 'de', 'en_GB', 'nb_NO', 'zh_Hant_MO', 'pt_AO', 'en_US'):\n"
        "    assert Locale.parse(name).languages['de'] and dates.format_date(datetime.date(2026, 1, 2), locale=name)\n"
        "assert numbers.format_decimal(1234.5, locale='de') == '1.234,5'\n"
        "try: Locale.parse('fr_FR')\n"
        "except UnknownLocaleError: pass\n"
        "else: raise SystemExit('French is there')"
    )


def test_django_translates_without_the_sources_of_its_catalogues(install):
    package = install("django", data={"django": ("de", "fr")})
    assert package.gone("message-sources")
    package.run(
        "import django.conf as c; c.settings.configure(USE_I18N=True, LANGUAGE_CODE='en', INSTALLED_APPS=[\n"
        "    'django.contrib.admin', 'django.contrib.auth', 'django.contrib.contenttypes', 'django.contrib.sessions',\n"
        "    'django.contrib.messages'])\n"
        "import django; django.setup()\n"
        "from django.utils import translation as t, formats\n"
        "for code, yes in (('de', 'Ja'), ('fr', 'Oui'), ('en', 'Yes'), ('ja', 'Yes'), ('de-at', 'Ja')):\n"
        "    with t.override(code): assert t.gettext('Yes') == yes; formats.get_format('DATE_FORMAT')"
    )


def test_matplotlib_draws_without_its_sample_data(install):
    package = install("matplotlib")
    assert package.gone("sample-data")
    package.run("import matplotlib.pyplot as p, io; p.plot([1, 2]); p.savefig(io.BytesIO())")
