"""Columns that fit."""

from __future__ import annotations

import pytest

from hatch_lambda.core.text import facts, hanging, table

ROWS = [("rule", "files", "saved"), ("type-stubs", "11", "67.0 kB"), ("a-rule-with-a-long-name", "1944", "1 B")]


def test_a_table_has_its_names_to_the_left_and_its_numbers_to_the_right():
    """Whatever is widest decides."""
    assert list(table(ROWS)) == [
        "rule                     files    saved",
        "type-stubs                  11  67.0 kB",
        "a-rule-with-a-long-name   1944      1 B",
    ]


@pytest.mark.parametrize("width", [30, 34, 38])
def test_a_table_is_not_wider_than_the_terminal(width):
    """Long names are folded, numbers stay whole and on the last line of their row."""
    lines = list(table(ROWS, width))

    assert max(map(len, lines)) <= width
    assert lines[-1].endswith("  1944      1 B")
    assert "".join(line[: width - 16].strip() for line in lines[2:]).startswith("a-rule-with-a-long-name")


def test_no_line_ends_with_spaces():
    """Not even where the last cell is empty."""
    assert list(table([("a", "b"), ("name", "")])) == ["a     b", "name"]
    assert list(facts([("name", "")])) == ["name"]


def test_facts_are_folded_below_themselves():
    """A digest is cut where it must be, words where they end."""
    assert list(facts([("SHA", "0123456789abcdef"), ("size", "10.6 MB, 21 %")], 18)) == [
        "SHA   0123456789ab",
        "      cdef",
        "size  10.6 MB, 21",
        "      %",
    ]


def test_without_a_width_nothing_is_folded():
    """Logs and pipes get whole lines."""
    assert list(facts([("SHA", "0" * 500)])) == ["SHA  " + "0" * 500]
    assert hanging("word " * 100, 4) == ["word " * 100]


def test_a_hanging_paragraph_keeps_its_indent_and_its_paths():
    """A path can be copied even where it is too long for a line."""
    assert hanging("    error: at /a/very/long/path/indeed it is so", 2, 20) == [
        "    error: at",
        "    /a/very/long/path/indeed",
        "    it is so",
    ]


def test_an_empty_table_has_no_lines():
    """Not even a heading, which is a row like the others."""
    assert list(table([])) == []
    assert list(facts([])) == []
