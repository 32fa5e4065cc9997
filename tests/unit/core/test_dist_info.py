"""RECORD lists what is there, and is believed in nothing else."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_lambda.core.dist_info import DistInfoPath, Row, attribute_files, digest, read, renew
from hatch_lambda.core.model import File, Tree
from hatch_lambda.errors import InstallError


@pytest.fixture
def tree(tmp_path):
    def tree(contents, owners):
        files = []
        for number, (path, content) in enumerate(contents.items()):
            source = tmp_path / str(number)
            source.write_bytes(content)
            files.append(File(path=path, source=source, size=len(content), distribution=owners.get(path)))
        return Tree.of(files)

    return tree


def rows(tree, path):
    (file,) = (file for file in tree if file.path == path)
    assert file.size == file.source.stat().st_size
    with file.source.open(encoding="utf-8", errors="surrogateescape", newline="") as text:
        return list(csv.reader(text))


@pytest.mark.parametrize(
    ("path", "site", "distribution", "version", "rest"),
    [
        ("Foo.Bar-1.0.dist-info/RECORD", "", "foo-bar", "1.0", "RECORD"),
        ("foo_bar-1.0.dev0+x.dist-info/a/b", "", "foo-bar", "1.0.dev0+x", "a/b"),
        ("foo.dist-info/x", "", "foo", None, "x"),
        ("foo-bar-2.dist-info/x", "", "foo-bar", "2", "x"),
        ("foo-unknown.dist-info/x", "", "foo", None, "x"),
        ("foo-1.0-py3.11.egg-info/PKG-INFO", "", "foo", "1.0", "PKG-INFO"),
        ("python/foo-1.dist-info/METADATA", "python/", "foo", "1", "METADATA"),
        ("foo-1.dist-info/sboms/bar-2.dist-info/x", "", "foo", "1", "sboms/bar-2.dist-info/x"),
    ],
)
def test_a_path_in_a_metadata_folder_is_read_in_one_way(path, site, distribution, version, rest):
    """Eight expressions read it, and three of them took `foo-bar-2` for `foo`."""
    info = DistInfoPath.parse(path)
    assert (info.site, info.distribution, info.version, info.rest) == (site, distribution, version, rest)


@pytest.mark.parametrize("path", ["a.py", "foo-1.dist-info", "foo-1.dist-info/", "foo-1.dist-infos/x", ".dist-info/x"])
def test_another_path_is_none(path):
    assert DistInfoPath.parse(path) is None


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("odd/a.py", "listed"),
        ("listed-1.dist-info/RECORD", "listed"),
        ("google/cloud/storage/a.py", "google-cloud-storage"),
        ("google/cloud/other/a.py", None),
        ("yaml/a.py", "pyyaml"),
        ("yaml.libs/liba.so", "pyyaml"),
        ("_yaml.cpython-313-x86_64-linux-gnu.so", "pyyaml"),
        ("shared/a.py", None),
        ("New/deep/a.py", "declares"),
        ("google_cloud_storage.libs/a.so", "google-cloud-storage"),
        ("yaml/_vendor/six-1.dist-info/METADATA", "pyyaml"),
        ("yaml/_vendor/six.py", "pyyaml"),
        ("six/a.py", None),
        ("app.py", None),
    ],
)
@pytest.mark.parametrize("site", ["", "python/", "python/lib/python3.13/site-packages/", "package/"])
def test_one_answer_says_whose_each_file_is(tree, site, path, owner):
    """By RECORD, else by what the metadata calls the modules, else by the distribution's name."""
    files = {
        "odd/a.py": b"",
        "listed-1.dist-info/RECORD": b"odd/a.py,,\n",
        "google/cloud/storage/a.py": b"",
        "google/cloud/other/a.py": b"",
        "google_cloud_storage-1.dist-info/METADATA": b"Name: google-cloud-storage\n",
        "google_cloud_storage-1.dist-info/top_level.txt": b"google\n",
        "protos-1.dist-info/top_level.txt": b"google\nshared\n",
        "PyYAML-6.dist-info/top_level.txt": b"_yaml\nyaml\nshared\n",
        "declares-1.dist-info/METADATA": b"Import-Name: new\n\nImport-Name: app\n",
        "yaml/__init__.py": b"",
        "yaml/_vendor/six-1.dist-info/METADATA": b"Name: six\n",
        "yaml/_vendor/six-1.dist-info/RECORD": b"six.py,,\n../a.py,,\n",
        path: b"",
    } | {"listed-1.dist-info/RECORD": b"odd/a.py,,\n"}
    owned = {
        file.path: file.distribution for file in attribute_files(tree({site + k: v for k, v in files.items()}, {}))
    }
    assert owned[site + path] == owner


def test_the_digest_is_the_one_of_the_specification():
    assert digest(b"") == "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


def test_rows_are_read_however_their_names_are_quoted(tmp_path):
    record = tmp_path / "RECORD"
    record.write_bytes('a.py,sha256=x,1\r\n"b, ""c"".py",,\n\nd\né \x85.py,sha256=y,2\n'.encode())
    expected = [Row("a.py", "sha256=x"), Row('b, "c".py', ""), Row("d", ""), Row("é \x85.py", "sha256=y")]
    assert read(record) == expected


@pytest.mark.parametrize("content", [b'"' + b"a" * 200_000 + b'"', b"a\rb,,"])
def test_a_record_that_is_none_is_refused(tmp_path, content):
    record = tmp_path / "a-1.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_bytes(content)
    with pytest.raises(InstallError, match=r"a-1.dist-info/RECORD: not a readable list of files"):
        read(record)


def test_a_record_that_is_a_folder_is_refused(tmp_path):
    (tmp_path / "RECORD").mkdir()
    with pytest.raises(InstallError, match="not a readable list of files"):
        read(tmp_path / "RECORD")


def test_a_renewed_record_lists_what_is_left_of_its_distribution_alone(tree, tmp_path):
    contents = {
        "a/x.py": b"new content",
        "a-1.dist-info/METADATA": b"m",
        "a-1.dist-info/RECORD": b"a/x.py,sha256=old,1\na/gone.py,,\n",
        "b/y.py": b"y",
        "own.py": b"o",
    }
    owners = dict.fromkeys(["a/x.py", "a-1.dist-info/METADATA", "a-1.dist-info/RECORD"], "a") | {"b/y.py": "b"}
    before = tree(contents, owners)
    after = renew(before, tmp_path)
    assert rows(after, "a-1.dist-info/RECORD") == [
        ["a-1.dist-info/METADATA", digest(b"m"), "1"],
        ["a/x.py", digest(b"new content"), "11"],
        ["a-1.dist-info/RECORD", "", ""],
    ]
    assert [file for file in after if file.path != "a-1.dist-info/RECORD"] == [
        file for file in before if file.path != "a-1.dist-info/RECORD"
    ]


def test_a_renewed_record_is_a_new_file(tree, tmp_path):
    before = tree({"a-1.dist-info/RECORD": b"old"}, {})
    after = renew(before, tmp_path)
    assert after.files[0].source.read_bytes() == b"a-1.dist-info/RECORD,,\n"
    assert before.files[0].source.read_bytes() == b"old"
    assert after.files[0].source != before.files[0].source


def test_a_record_that_does_not_list_itself_takes_no_file_that_nobody_owns(tree, tmp_path):
    after = renew(tree({"a-1.dist-info/RECORD": b"", "own.py": b"o", "a.py": b"a"}, {"a.py": "a"}), tmp_path)
    assert [row[0] for row in rows(after, "a-1.dist-info/RECORD")] == ["a.py", "a-1.dist-info/RECORD"]


def test_a_tree_without_a_record_is_left_alone(tree, tmp_path):
    before = tree({"a.py": b"a", "x/a-1.dist-info/RECORD": b"vendored"}, {})
    assert renew(before, tmp_path) is before


@given(st.lists(st.text(st.characters(exclude_characters="/\0\r", codec="utf-8"), min_size=1), unique=True))
def test_any_name_comes_back_from_a_renewed_record(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("records")
    (folder / "content").write_bytes(b"x")
    names = [f"p/{name}" for name in names]
    files = [File(path=name, source=folder / "content", size=1, distribution="a") for name in names]
    record = File(path="a-1.dist-info/RECORD", source=folder / "content", size=1, distribution="a")
    renewed = renew(Tree.of([*files, record]), folder)
    (source,) = (file.source for file in renewed if file.path == record.path)
    assert sorted(row.path for row in read(source)) == sorted([*names, record.path])
