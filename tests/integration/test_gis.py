"""The geographic stack finds its own PROJ and GDAL data after slimming, with nothing set in the environment."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.support.shell import run_handler, unpack

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.long]

CASES = {
    "pyproj": """
        import pyproj
        def handler(event, context):
            transform = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform
            return [round(value) for value in transform(7.0, 0.0)]
        """,
    "rasterio": """
        import rasterio
        from rasterio.crs import CRS
        from rasterio.warp import transform
        def handler(event, context):
            with rasterio.MemoryFile() as memory:
                options = {"driver": "GTiff", "width": 1, "height": 1, "count": 1, "dtype": "uint8"}
                with memory.open(crs=CRS.from_epsg(4326), **options) as raster:
                    (x,), (y,) = transform(raster.crs, CRS.from_epsg(3857), [7.0], [0.0])
            return [round(x), round(y)]
        """,
    "fiona": """
        import fiona
        from fiona.crs import CRS
        from fiona.transform import transform
        def handler(event, context):
            assert fiona.supported_drivers["GeoJSON"]
            (x,), (y,) = transform(CRS.from_epsg(4326), CRS.from_epsg(3857), [7.0], [0.0])
            return [round(x), round(y)]
        """,
    "geopandas": """
        import os, tempfile
        import geopandas
        from shapely.geometry import Point
        def handler(event, context):
            path = os.path.join(tempfile.mkdtemp(), "point.gpkg")
            geopandas.GeoDataFrame(geometry=[Point(7, 0)], crs=4326).to_file(path)
            point = geopandas.read_file(path).to_crs(3857).geometry[0]
            return [round(point.x), round(point.y)]
        """,
}
"""Each library is asked for what it looks up in its data. All four together are larger than Lambda takes."""


@pytest.mark.parametrize("name", CASES)
def test_it_imports_and_finds_its_data(shell, python313, tmp_path, name):
    """Data files of a wheel are no leftovers, wherever they are."""
    root = tmp_path / "service"
    root.mkdir()
    (root / "app.py").write_text(textwrap.dedent(CASES[name]), encoding="utf-8")
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.13"\ndependencies = ["{name}"]\n'
        '[tool.lambda-slim]\nruntime = "python3.13"\nhandler = "app.handler"\n',
        encoding="utf-8",
    )
    done = shell.hatch_lambda("build", "--json", cwd=root, HATCH_LAMBDA_CACHE_DIR=str(tmp_path / "cache"))
    task = unpack(json.loads(done.stdout)["zip"], tmp_path / "task")
    assert json.loads(run_handler(python313, task, "app.handler")) == [779236, 0]
