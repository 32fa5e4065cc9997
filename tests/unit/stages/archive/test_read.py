"""Any zip is read in bounded time and memory, and nothing of it lands outside of the folder."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive import read
from hatch_lambda.stages.archive import read as extract
from hatch_lambda.stages.archive.read import entries, unpack

END = struct.Struct("<4s4H2LH")
FILES = {
    "app.py": b"def handler(event, context): ...\n" * 100,
    "numpy/__init__.py": b"",
    "numpy/core.so": b"\x7fELF" + bytes(range(256)) * 20,
    "numpy-1.0.dist-info/RECORD": b"numpy/__init__.py,,\nnumpy/core.so,,\n../../bin/f2py,,\n",
    "numpy-1.0.dist-info/METADATA": b"Name: numpy\n",
    "licenses/\N{LATIN SMALL LETTER E WITH ACUTE}.txt": b"MIT",
}


def zipped(files=FILES, method=zipfile.ZIP_DEFLATED, **attributes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if name.endswith(".so") else 0o100644) << 16
            info.compress_type = method
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            archive.writestr(info, content)
    return stream.getvalue()


@pytest.fixture
def reading(tmp_path):
    """Unpack a zip that is given as bytes into a folder of its own, whose neighbours are watched."""

    def reading(data):
        path = tmp_path / "package.zip"
        path.write_bytes(data)
        try:
            return unpack(path, tmp_path / "inside" / "folder")
        finally:
            assert {entry.name for entry in tmp_path.iterdir()} <= {"package.zip", "inside"}
            assert {entry.name for entry in (tmp_path / "inside").glob("*")} <= {"folder"}

    return reading


def refusal(reading, data):
    with pytest.raises(ArchiveError) as caught:
        reading(data)
    assert len(caught.value.message.splitlines()) == 1
    assert len(caught.value.message) < 400
    return caught.value.message.partition("package.zip: ")[2]


def patched(data, signature, offset, form, *values):
    """Change a field of every header that begins with *signature*."""
    data, at = bytearray(data), data.find(signature)
    while at >= 0:
        struct.pack_into(form, data, at + offset, *values)
        at = data.find(signature, at + 1)
    return bytes(data)


def both(data, local, central, form, value):
    return patched(patched(data, b"PK\3\4", local, form, value), b"PK\1\2", central, form, value)


@pytest.fixture(params=["whole", "in pieces"])
def way(request, monkeypatch):
    """Unpack entries in both ways: as those of usual size are, and as the largest."""
    if request.param == "in pieces":
        monkeypatch.setattr(extract, "_LARGEST", -1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_package_comes_back_whole_with_its_modes_and_owners(reading, method):
    tree = reading(zipped(method=method))
    assert {file.path: file.source.read_bytes() for file in tree} == FILES
    assert all(file.size == len(FILES[file.path]) for file in tree)
    assert [file.path for file in tree if file.executable] == ["numpy/core.so"]
    assert {file.path: file.distribution for file in tree if file.distribution} == dict.fromkeys(
        ["numpy/__init__.py", "numpy/core.so", "numpy-1.0.dist-info/RECORD", "numpy-1.0.dist-info/METADATA"], "numpy"
    )


@pytest.mark.skipif(shutil.which("zip") is None, reason="there is no zip")
@pytest.mark.parametrize("options", [[], ["-fz"], ["-D"]], ids=["plain", "zip64", "without folders"])
def test_what_other_programs_make_is_read(tmp_path, options):
    (tmp_path / "site" / "pkg").mkdir(parents=True)
    (tmp_path / "site" / "pkg" / "a.py").write_text("x = 1\n" * 1000)
    subprocess.run(["zip", "-qr", *options, "../a.zip", "."], cwd=tmp_path / "site", check=True)
    tree = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [(file.path, file.source.read_text()) for file in tree] == [("pkg/a.py", "x = 1\n" * 1000)]


def test_entries_tell_what_the_directory_says(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"a.py": b"x" * 1000, "b/": b""}))
    file, folder = entries(path)
    assert (file.name, file.size, file.mode, file.method) == ("a.py", 1000, 0o100644, zipfile.ZIP_DEFLATED)
    assert file.compressed_size < 100
    assert not file.encrypted
    assert not file.is_directory
    assert folder.is_directory


def test_a_mode_is_unknown_only_where_the_zip_was_made_elsewhere(tmp_path):
    path = tmp_path / "a.zip"
    for system, mode in ((0, None), (3, 0)):
        path.write_bytes(patched(zipped({"a.py": b""}, create_system=system), b"PK\1\2", 38, "<L", 0))
        assert [entry.mode for entry in entries(path)] == [mode]


def test_links_are_listed_and_not_made(tmp_path, reading):
    data = patched(zipped({"link": b"/etc/passwd"}), b"PK\1\2", 38, "<L", (stat.S_IFLNK | 0o777) << 16)
    assert len(reading(data)) == 0
    assert [entry.is_symlink for entry in entries(tmp_path / "package.zip")] == [True]


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../up.py", "a/../../up.py", "a/..", "C:/x.py", "c:x.py", "..\\up.py", "a\\b.py", ".", "./"],
)
def test_a_name_that_leaves_the_package_is_refused(reading, name):
    assert "is a name that" in refusal(reading, zipped({name: b"x"}))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.py": b"", "./a.py": b""}, "'a.py' is there twice"),
        ({"a": b"", "a/b.py": b""}, "'a' is a file and a folder at once"),
        ({"a/" * 100 + "b.py": b""}, "more than 64 folders deep"),
    ],
)
def test_names_that_clash_or_never_end_are_refused(reading, files, told):
    assert told in refusal(reading, zipped(files))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f\x8b" + bytes(100), b"PKzip", b"PK\3\4" + bytes(100)])
def test_what_is_no_zip_is_named_so(reading, data):
    assert refusal(reading, data) == (
        "the zip is truncated: it has no end" if data.startswith(b"PK") else "this is not a zip"
    )


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_refused(reading, left):
    data = zipped()
    assert "truncated" in refusal(reading, data[: int(len(data) * left)])


def test_a_zip_that_lost_its_beginning_is_refused(reading):
    data = zipped()
    assert "truncated" in refusal(reading, b"PK" + data[data.find(b"PK\1\2") + 100 :])


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(ArchiveError, match=str(path)):
            entries(path)


def test_encryption_is_refused(reading):
    assert "is encrypted" in refusal(reading, both(zipped(), 6, 8, "<H", 1))


@pytest.mark.parametrize("method", [9, 12, 14, 93, 0xFFFF])
def test_other_methods_than_deflate_are_refused(reading, method):
    assert f"is compressed by method {method};" in refusal(reading, both(zipped(), 8, 10, "<H", method))


def test_a_claim_that_deflate_cannot_keep_is_refused(reading):
    assert "claims to be 1000000000 unpacked" in refusal(reading, both(zipped(), 22, 24, "<L", 10**9))


def test_more_than_can_be_unpacked_is_refused_before_anything_is(reading, tmp_path):
    block = zipped({"0": bytes(1 << 20)})
    one = (1 << 20, block[30 + 1 : block.find(b"PK\1\2")])
    assert "unpacked the zip would have" in refusal(reading, _joined(one, 1100))
    assert not (tmp_path / "inside").exists()


@pytest.mark.usefixtures("way")
def test_content_is_never_larger_than_its_header_says(reading):
    """Its size is in the header; the memory that reading takes does not depend on what the data would become."""
    data = both(zipped({"a": bytes(50 << 20)}), 22, 24, "<L", 1000)
    tracemalloc.start()
    try:
        refusal(reading, data)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_entries_that_share_bytes_are_refused(reading):
    """As in the bombs that a few bytes unpack to petabytes by (D. Fifield, "A better zip bomb")."""
    data = zipped({"a": b"x" * 1000})
    at = data.find(b"PK\1\2")
    header, end = data[at:-22], data[-22:]
    twice = header + header.replace(b"a", b"b")
    fields = list(END.unpack(end))
    fields[3:6] = [2, 2, len(twice)]
    assert "overlaps what follows it" in refusal(reading, data[:at] + twice + END.pack(*fields))


def test_a_million_entries_cost_little(reading):
    header = zipped({"a": b""})
    header = header[header.find(b"PK\1\2") : -22]
    directory = header * 500_000
    tracemalloc.start()
    try:
        data = directory + END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
        told = refusal(reading, data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(directory)
    finally:
        tracemalloc.stop()
    assert told == f"the zip has more than {read.MOST_ENTRIES} entries, or very long names"


def test_a_zip64_record_that_lies_is_refused(reading):
    data = zipped()
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(data) - 22, 1)
    assert "truncated" in refusal(reading, data[:-22] + record + locator + data[-22:])
    assert "not where it belongs" in refusal(reading, data[:-22] + locator + data[-22:])


def test_content_behind_an_empty_file_is_noticed(reading):
    """As other programs would unpack it."""
    data = both(both(zipped({"a": b"hidden" * 100}), 22, 24, "<L", 0), 14, 16, "<L", 0)
    assert refusal(reading, data) == "the zip is damaged: 'a' is not what was packed"


def test_many_files_come_back_in_their_order_whoever_unpacked_them(reading):
    files = {f"{number % 7}/{number}.py": b"%d\n" % number for number in range(1000)}
    assert [(file.path, file.source.read_bytes()) for file in reading(zipped(files))] == sorted(files.items())


@pytest.mark.parametrize(("at", "told"), [(0, "there is no header of"), (30, "has another name in its header")])
def test_a_header_that_differs_from_the_directory_is_noticed(reading, at, told):
    data = bytearray(zipped({"a": b"x"}))
    data[at] ^= 1
    assert told in refusal(reading, bytes(data))


def test_content_that_reaches_into_what_follows_is_refused(reading):
    """By a header with more behind its name than the directory knows of."""
    data = patched(zipped({"a": b"x" * 100, "b": b"y" * 100}, zipfile.ZIP_STORED), b"PK\3\4", 28, "<H", 60)
    assert refusal(reading, data).endswith("overlaps what follows it in the zip")


@pytest.mark.skipif(os.name != "posix", reason="there is no umask")
def test_files_are_readable_whatever_the_umask(reading):
    before = os.umask(0o077)
    try:
        tree = reading(zipped())
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.source.stat().st_mode) for file in tree} == {0o644, 0o755}


@pytest.mark.usefixtures("way")
def test_content_that_was_damaged_is_noticed(reading):
    data = bytearray(zipped(method=zipfile.ZIP_STORED))
    data[40] ^= 1
    assert "the zip is damaged" in refusal(reading, bytes(data))


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_whatever_happened_to_the_bytes_it_is_a_package_or_one_clear_line(flips, method, in_headers):
    """The larger part of the changes go where the headers are: there they matter."""
    data = bytearray(zipped({name: content[:50] for name, content in FILES.items()}, method))
    start = data.find(b"PK\1\2") if in_headers else 0
    for position, value in flips:
        data[start + position % (len(data) - start)] = value
    _survives(bytes(data))


@given(st.binary(max_size=200), st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_noise_with_an_end_is_a_package_or_one_clear_line(noise, end):
    _survives(noise + b"PK\5\6" + end + bytes(max(0, 18 - len(end))))


def _survives(data):
    for largest in (1 << 20, -1):
        with mock.patch.object(extract, "_LARGEST", largest):
            _survives_once(data)


def _survives_once(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data)
        try:
            told = [f"{len(unpack(path, Path(folder, 'out')))} files"]
        except ArchiveError as error:
            told = error.message.splitlines()
        assert len(told) == 1
        assert {entry.name for entry in Path(folder).iterdir()} <= {"a.zip", "out"}


def _joined(one, count):
    """Return a zip of *count* files, each with the content that is ready deflated in *one*."""
    size, content = one
    local, central = [], []
    offset = 0
    for number in range(count):
        name = b"%08d" % number
        common = struct.pack("<5H3L2H", 20, 0, 8, 0, 33, 0, len(content), size, len(name), 0)
        local.append(b"PK\3\4" + common + name + content)
        central.append(b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<3H2L", 0, 0, 0, 0, offset) + name)
        offset += len(local[-1])
    directory = b"".join(central)
    end = END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)
    return b"".join(local) + directory + end
