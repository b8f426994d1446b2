"""Plan: what an epoch, a measurement and the end are, counted in steps."""

from __future__ import annotations

import pytest

from zoo.plan import Plan
from zoo.train import Train


def plan(**options: object) -> Plan:
    return Train.model_validate({"batch_size": 4, **options}).plan(10)  # rows


def test_an_epoch_is_measured_at_its_end() -> None:
    made = plan(epochs=2)
    assert (made.steps, made.total, made.evaluations, made.epochs) == (3, 6, 2, 2)
    assert [made.stretch(number) for number in range(3)] == [(0, 3), (3, 6), (6, 6)]


def test_steps_may_end_within_an_epoch() -> None:
    made = plan(steps=5)
    assert (made.total, made.epochs, made.evaluations) == (5, 2, 2)
    assert [made.stretch(number) for number in range(2)] == [(0, 3), (3, 5)]
    assert [made.steps_of(epoch) for epoch in range(2)] == [3, 2]


def test_a_measurement_every_so_many_steps_has_one_more_at_the_end() -> None:
    made = plan(epochs=3, evaluate_every=4)
    assert [made.stretch(number) for number in range(made.evaluations)] == [(0, 4), (4, 8), (8, 9)]


@pytest.mark.parametrize(("steps", "moves"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (6, 4)])
def test_each_epoch_moves_by_what_it_leaves_over(steps: int, moves: int) -> None:
    assert plan(steps=steps, accumulation=2).moves == moves


@pytest.mark.parametrize(("done", "rows"), [(0, 0), (1, 4), (2, 8), (3, 10), (4, 14), (6, 20)])
def test_the_last_step_of_an_epoch_takes_fewer_rows(done: int, rows: int) -> None:
    assert plan(epochs=2).rows_after(done) == rows


def test_a_step_left_out_is_not_counted() -> None:
    made = plan(epochs=2, drop_last=True)
    assert (made.rows, made.steps, made.rows_after(4)) == (8, 2, 16)


@pytest.mark.parametrize(
    ("options", "remedy"), [({}, "write epochs, or steps"), ({"epochs": 2, "steps": 3}, "remove one, or write null")]
)
def test_a_training_has_one_length(options: dict[str, object], remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        plan(**options)
