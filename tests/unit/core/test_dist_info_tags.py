"""Reading ``dist-info/WHEEL``."""

from __future__ import annotations

import pytest

from hatch_lambda.core.dist_info import read_tags
from hatch_lambda.core.model import File


@pytest.fixture
def read(tmp_path):
    def read(text, path="thing-1.0.dist-info/WHEEL", distribution="thing"):
        source = tmp_path / "WHEEL"
        source.write_bytes(text)
        tags = read_tags([File(path=path, source=source, size=len(text), distribution=distribution)])
        return {name: sorted(map(str, found)) for name, found in tags.items()}

    return read


def test_each_line_and_each_compressed_tag_counts(read):
    """Some builders write one line for all, most write one for each."""
    text = b"Wheel-Version: 1.0\nTag: py2.py3-none-any\r\ntag:cp313-cp313-linux_x86_64\n"

    assert read(text) == {"thing": ["cp313-cp313-linux_x86_64", "py2-none-any", "py3-none-any"]}


@pytest.mark.parametrize("text", [b"", b"Tag: nonsense\n", b"\xff\xfe", b"Tag\n"])
def test_what_cannot_be_read_tells_nothing(text, read):
    """A damaged file is no reason to fail: the tags only help."""
    assert read(text) == {"thing": []}


def test_only_the_file_in_a_dist_info_is_read(read):
    """Others may be called so, too."""
    assert read(b"Tag: py3-none-any\n", path="thing/WHEEL") == {}
    assert read(b"Tag: py3-none-any\n", path="thing/x.dist-info/WHEEL") == {}


def test_a_folder_without_record_names_the_distribution(read):
    """No RECORD, no owner: the folder's name has to do."""
    assert set(read(b"Tag: py3-none-any\n", distribution=None)) == {"thing-1.0"}
