"""The time of `zoo check`: what it may cost, and what it never imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from check import BASE, CHECK, LARGEST_RATIO, REPOSITORY, SPEC, Timing, measure

HEAVY = ("torch", "torchvision", "numpy", "rich", "jsonschema", "pydantic.main", "importlib.metadata", "hashlib")
ROUNDS = 9
SPECS = sorted(path for path in SPEC.parent.glob("*.json") if path.name != "zoo.schema.json")


def imported(program: str) -> set[str]:
    """The modules that a program has imported when it ends."""
    ending = "import atexit, sys; atexit.register(lambda: print('\\n', *sys.modules)); "
    run = [sys.executable, "-c", ending + program]
    done = subprocess.run(run, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return set(done.stdout.rpartition("\n ")[2].split())


def test_a_check_costs_at_most_two_and_a_half_imports_of_pydantic_and_click() -> None:
    timing = measure(rounds=ROUNDS)
    if timing.best_ratio > LARGEST_RATIO:  # others may use the machine
        timing = measure(rounds=2 * ROUNDS)
    assert timing.best_ratio <= LARGEST_RATIO, timing


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_a_check_imports_nothing_heavy(spec: Path) -> None:
    assert not imported(CHECK.format(str(spec))) & set(HEAVY)


def test_the_watch_over_imports_sees_one() -> None:
    assert "hashlib" in imported(f"{BASE}, hashlib")


def test_the_ratio_is_of_medians_and_the_best_one_of_minima() -> None:
    timing = Timing(base=(1.0, 2.0, 9.0), check=(3.0, 4.0, 5.0))
    assert (timing.ratio, timing.best_ratio) == (2.0, 3.0)
