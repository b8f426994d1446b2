"""The time of `zoo check`: what it may cost, and what it never imports."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_check_of_any_spec_imports_nothing_heavy() -> None:
    assert len(SPECS) > 15
    checks = [f"try:\n    {CHECK.format(str(spec))}\nexcept SystemExit:\n    pass" for spec in SPECS]
    assert not imported("pass\n" + "\n".join(checks)) & set(HEAVY)


def test_the_watch_over_imports_sees_one() -> None:
    assert "hashlib" in imported(f"{BASE}, hashlib")


def test_the_ratio_is_of_medians_and_the_best_one_of_minima() -> None:
    timing = Timing(base=(1.0, 2.0, 9.0), check=(3.0, 4.0, 5.0))
    assert (timing.ratio, timing.best_ratio) == (2.0, 3.0)
