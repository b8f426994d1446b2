"""Progress: which measurements a piped log shows, and what a bar says."""

from __future__ import annotations

import os
import pty
import select
import sys
from io import TextIOWrapper

import pytest

from zoo.plan import Plan
from zoo.progress import TrainingProgress
from zoo.training.watching import Moment

ROW = {"epoch": 1, "lr": 0.1, "train_loss": 0.5, "test_loss": 0.25, "test_accuracy": 0.875}


def course(total: int, every: int, counts_steps: bool = False) -> Plan:
    """A training of epochs of 10 rows in 5 steps."""
    return Plan(10, 2, 5, total, every, counts_steps=counts_steps)


def moment(plan: Plan, done: int) -> Moment:
    epoch = -(-done // plan.steps)
    return Moment(plan, epoch, done - (epoch - 1) * plan.steps, 0.5, 0.1, 1234.5)


def shown(plan: Plan, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with TrainingProgress() as progress:
        for number in range(plan.evaluations):
            progress.on_step(moment(plan, plan.stretch(number)[1]))
            progress.on_row({"epoch": 1, "lr": 0.1, "train_loss": 0.5})
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(("epochs", "kept"), [(1, [1]), (20, list(range(1, 21))), (40, [1, *range(2, 41, 2)])])
def test_few_epochs_are_shown_and_always_the_first_and_the_last(
    epochs: int, kept: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in shown(course(5 * epochs, 5), capsys) if line.startswith("epoch ")]
    assert lines == [f"epoch {epoch}/{epochs}  train_loss 0.5  1,234 rows/s" for epoch in kept]


def test_measurements_between_epochs_are_told_with_their_step(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(course(12, 5, counts_steps=True), capsys)
    assert [line.partition("  ")[0] for line in lines] == ["step 5/12", "step 10/12", "step 12/12"]


def test_many_measurements_are_announced(capsys: pytest.CaptureFixture[str]) -> None:
    announced = "every 2th of 40 measurements is shown; all are in metrics.jsonl"
    assert shown(course(40, 1, counts_steps=True), capsys)[0] == announced


def test_a_bar_says_place_loss_rate_metric_and_what_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = pty.openpty()
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    plan = course(20, 5)
    with open(writer, "wb", buffering=0) as raw, TextIOWrapper(raw, write_through=True) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with TrainingProgress() as progress:
            for done in (5, 7):
                progress.on_step(moment(plan, done))
                if done == 5:
                    progress.on_row(dict(ROW))
        monkeypatch.undo()
        written = ""
        while select.select([reader], [], [], 0.2)[0]:
            written += os.read(reader, 100_000).decode()
    os.close(reader)
    assert "epoch 2/4  loss 0.5  lr 0.1  test_accuracy 0.875" in written
    for part in ("35 %", "1,234 rows/s", ":"):
        assert part in written
