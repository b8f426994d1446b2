"""Visible: what would show nothing in a table."""

from __future__ import annotations

import pytest

from zoo.console import print_table
from zoo.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("ankle boot", "ankle boot"),
        (" ", "␣"),
        ("   ", "␣␣␣"),
        (" to be ", "␣to be␣"),
        ("\n", r"\n"),
        ("a\tb\x00\u2028", r"a\tb\x00\u2028"),
        ("\\", "\\"),
        ("é", "é"),
    ],
)
def test_what_shows_nothing_is_written(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_table_has_a_line_for_each_row_and_no_cell_that_seems_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("true", " "), [("\n", "t"), (" ", "\r")])

    header, _, *rows = capsys.readouterr().out.strip("\n").splitlines()
    assert header.split() == ["true", "␣"]
    assert [row.split() for row in rows] == [[r"\n", "t"], ["␣", r"\r"]]
