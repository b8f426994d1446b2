"""Errors: each carries a remedy, and other libraries' words are made fit to read."""

from __future__ import annotations

import pytest

from zoo.errors import Place, ProofFailed, UsageError, ZooError, reason


def test_an_error_says_what_to_do() -> None:
    assert str(UsageError("it is so", "do this")) == "error: it is so\n   remedy: do this"


def test_a_failed_proof_leaves_with_one_and_wrong_input_with_two() -> None:
    assert (ProofFailed.exit_status, ZooError.exit_status, UsageError.exit_status) == (1, 2, 2)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("one\n  two", "one two"),
        ("\x1b[96mblue\x1b[0m", "blue"),
        ("", "ValueError"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_another_librarys_error_is_one_short_plain_line(said: str, shown: str) -> None:
    assert reason(ValueError(said)) == shown


def test_an_origin_without_lines_is_its_own_place() -> None:
    assert (str(Place("--set a=1")), Place("--set a=1").excerpt()) == ("--set a=1", "")


def test_the_underline_never_leaves_the_line() -> None:
    excerpt = Place("a.json", 1, 5, "abcdefg", 100).excerpt()
    assert excerpt == "    1 │ abcdefg\n      │     ^^^\n"
