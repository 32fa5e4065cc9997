"""With default settings, real packages work after slimming as they did before."""

from __future__ import annotations

import csv
import os
import posixpath
import shutil
import subprocess

import pytest
from packaging.utils import canonicalize_name

from hatch_lambda.model import File, Tree
from hatch_lambda.slimming import SlimPolicy, apply, plan

pytestmark = pytest.mark.registry

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

    def __init__(self, interpreter, folder, *requirements):
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
        self.decisions = plan(self.before, SlimPolicy())
        self.after, self.changes = apply(self.decisions)
        for file in self.after:
            target = self.folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.source, target)

    def run(self, program):
        """Run *program* with nothing to import but the slimmed package and the standard library."""
        done = subprocess.run(
            [
                *(self.interpreter, "-I", "-S", "-B", "-c"),
                f"import sys; sys.path.insert(0, {str(self.folder)!r})\n{program}",
            ],
            cwd=self.folder.parent,
            env={"PATH": os.defpath, "HOME": str(self.folder.parent), "MPLBACKEND": "agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

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
    return lambda *requirements: Package(interpreter, tmp_path, *requirements)


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
