"""Patterns: the last that fits decides, and one that decides nothing is found."""

from __future__ import annotations

from itertools import product

import pytest

from zoo.patterns import idle, powerless, selected

NAMES = ("body.weight", "body.bias", "fc.weight", "fc.bias")


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (("*", "!fc.*"), []),
        (("!fc.*",), []),
        (("fc.*",), []),
        (("fc.*", "fc.*"), [1]),
        (("fc.*", "fc.*", "fc.*"), [1, 2]),
        (("fc.weight", "fc.*"), [0]),
        (("*", "fc.*"), [1]),
        (("body.*", "!fc.*"), [1]),
        (("!fc.*", "fc.bias"), []),
        (("!fc.*", "body.*"), [1]),
        (("*", "!*.bias", "fc.*"), []),
        (("gone.*", "fc.*"), []),
        ((), []),
    ],
)
def test_a_pattern_that_changes_nothing_is_found(patterns: tuple[str, ...], found: list[int]) -> None:
    assert powerless(patterns, NAMES) == found


PARTS = ("*", "fc.*", "*.bias", "fc.bias", "gone")


def test_the_same_names_are_meant_without_those_that_are_found() -> None:
    for patterns in product([*PARTS, *(f"!{part}" for part in PARTS)], repeat=3):
        found = set(powerless(patterns, NAMES))
        left = tuple(pattern for index, pattern in enumerate(patterns) if index not in found)
        assert selected(left, NAMES) == selected(patterns, NAMES), patterns
        assert not found & set(idle(patterns, NAMES)), patterns
        needed = set() if found else set(range(1, 3)) - set(idle(patterns, NAMES))
        fewer = [patterns[:index] + patterns[index + 1 :] for index in needed]
        assert all(selected(some, NAMES) != selected(patterns, NAMES) for some in fewer), patterns
