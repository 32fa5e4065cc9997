"""The records are those of the format, and say nothing of this machine."""

from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatch_lambda.errors import ArchiveError
from hatch_lambda.stages.archive.zipformat import (
    DEFLATED,
    MAX_ENTRIES,
    MAX_OFFSET,
    Entry,
    Timestamp,
    central_header,
    end_record,
    local_header,
    local_of,
)

LOWEST = Timestamp.of(None)


def entry(name):
    return Entry(name=name, executable=False, method=DEFLATED, crc32=1, size=2, compressed_size=3, sha256="")


def unpacked(timestamp):
    return dt.datetime(  # noqa: DTZ001 - as the format has it, without a zone
        (timestamp.date >> 9) + 1980,
        timestamp.date >> 5 & 15,
        timestamp.date & 31,
        timestamp.time >> 11,
        timestamp.time >> 5 & 63,
        (timestamp.time & 31) * 2,
    )


@pytest.mark.parametrize("epoch", [None, 0, 1, -1, -(10**30), 315_532_799])
def test_there_is_no_date_before_1980(epoch):
    assert unpacked(Timestamp.of(epoch)) == dt.datetime(1980, 1, 1)  # noqa: DTZ001 - as above


@given(st.integers(315_532_800, 4_354_819_199))
def test_a_date_is_kept_to_two_seconds_in_utc(epoch):
    exact = dt.datetime.fromtimestamp(epoch, dt.UTC).replace(tzinfo=None)
    assert unpacked(Timestamp.of(epoch)) == exact - dt.timedelta(seconds=epoch % 2)


@pytest.mark.parametrize("epoch", [4_354_819_200, 10**12, 10**30])
def test_a_date_after_2107_is_refused(epoch):
    with pytest.raises(ArchiveError, match=f"SOURCE_DATE_EPOCH={epoch}"):
        Timestamp.of(epoch)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone cannot be changed here")
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York", "UTC-14"])
def test_the_zone_of_this_machine_does_not_matter(monkeypatch, zone):
    before = Timestamp.of(1_700_000_000)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert Timestamp.of(1_700_000_000) == before
    finally:
        monkeypatch.undo()
        time.tzset()


def test_names_in_ascii_bear_no_flag_and_others_do():
    assert local_header(entry("a.py"), LOWEST)[6:8] == b"\0\0"
    assert local_header(entry("é.py"), LOWEST)[6:8] == b"\x00\x08"
    assert central_header(entry("é.py"), LOWEST, 0)[8:10] == b"\x00\x08"
    assert local_header(entry("é.py"), LOWEST).endswith("é.py".encode())


@pytest.mark.parametrize("name", ["\udcff.py", "\ud800"])
def test_a_name_that_is_not_unicode_is_refused(name):
    with pytest.raises(ArchiveError, match="not Unicode"):
        local_header(entry(name), LOWEST)


def test_what_only_zip64_could_hold_is_refused():
    end_record(MAX_ENTRIES, 0, MAX_OFFSET)
    with pytest.raises(ArchiveError, match="65536 entries"):
        end_record(MAX_ENTRIES + 1, 0, 0)
    with pytest.raises(ArchiveError, match="4294967296 bytes"):
        end_record(0, 0, MAX_OFFSET + 1)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 1 << 31))
def test_both_headers_of_an_entry_say_the_same(name, offset):
    central = central_header(entry(name), LOWEST, offset)
    assert local_of(central) == local_header(entry(name), LOWEST)
