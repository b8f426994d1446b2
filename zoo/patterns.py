"""Patterns: which tensors of a model are meant, by their names in the state dict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Annotated

from zoo.strict import Field

Pattern = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^!?[^!]")]
"""A name in the state dict; `*` stands for any letters, `?` for one, `[ab]` for one of these. `!` in front excludes."""

Patterns = Pattern | Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=1000)]
"""One pattern or several: the last one that fits a name decides. If the first excludes, all else is meant."""


def matches(patterns: str | tuple[str, ...], name: str) -> bool:
    """Return whether a tensor of this name is meant."""
    several = (patterns,) if isinstance(patterns, str) else patterns
    meant = several[0].startswith("!")
    for pattern in several:
        if _regex(pattern).match(name):
            meant = not pattern.startswith("!")
    return meant


def selected(patterns: str | tuple[str, ...], names: Iterable[str]) -> list[str]:
    """Return the names that are meant, in their order; none where there is no pattern."""
    return [name for name in names if patterns and matches(patterns, name)]


def idle(patterns: tuple[str, ...], names: Sequence[str]) -> list[int]:
    """Return the positions of the patterns that fit none of the names."""
    return [index for index, pattern in enumerate(patterns) if not any(map(_regex(pattern).match, names))]


def powerless(patterns: tuple[str, ...], names: Sequence[str]) -> list[int]:
    """Return the positions of patterns without which the same names are meant; of two that say the same, the later.

    A single pattern is never among them, nor one that fits no name.
    """
    fits = [sum(1 << index for index, pattern in enumerate(patterns) if _regex(pattern).match(name)) for name in names]
    meant = [not pattern.startswith("!") for pattern in patterns]
    decided: list[set[int]] = [set() for _ in patterns]  # by each pattern, which others fit the names that it decides
    for fit in set(fits) - {0}:
        decided[fit.bit_length() - 1].add(fit)
    found: list[int] = []
    second = 0  # the first of those that are left, but for the one at 0
    for index in reversed(range(len(patterns))):
        if index == 0 and not (second and meant[0] and meant[second]):
            break  # a first "!" also means all that nothing fits
        before = {fit - (1 << index) for fit in decided[index]}
        fitting = any(fit >> index & 1 for fit in fits)
        if not fitting or any(_last(fit, meant) != meant[index] for fit in before):
            second = index
        else:
            found.append(index)
            for fit in before - {0}:
                decided[fit.bit_length() - 1].add(fit)
    return found[::-1]


def _last(fit: int, meant: Sequence[bool]) -> bool:
    """Return whether the last of the patterns that fit means a name; without any, the first one says it of all else."""
    return meant[fit.bit_length() - 1] if fit else not meant[0]


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    """Return what a pattern means, without its "!"; in time linear in a name, for fnmatch's stars never go back."""
    return re.compile(translate(pattern.removeprefix("!")))
