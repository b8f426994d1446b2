"""Journal: metrics.csv and TensorBoard's event file say what metrics.jsonl says."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import Outcome, linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import Interrupted, UsageError
from zoo.finding import find_run
from zoo.journal import Journal
from zoo.progress import TrainingProgress
from zoo.run import Run
from zoo.trainer import resume_run, train_run
from zoo.training import clock
from zoo.training.watching import Row

Zoo = Callable[..., Outcome]
Write = Callable[..., str]
LONG = {"epochs": 4, "batch_size": 4, "log": ["csv", "tensorboard"]}


def curve(run: Run, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run.events_file.parent))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def table(run: Run) -> list[dict[str, float]]:
    with run.csv_file.open(newline="", encoding="utf-8") as lines:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


def require_alike(run: Run, rows: int) -> None:
    assert len(run.rows()) == rows
    assert table(run) == run.rows()
    for tag, name in {"train/loss": "train_loss", "test/loss": "test_loss", "lr": "lr"}.items():
        expected = [(row.get("step", row["epoch"]), pytest.approx(row[name])) for row in run.rows()]
        found: object = curve(run, tag)
        assert found == expected


@pytest.mark.parametrize("changes", [{}, {"evaluate_every": 2}])
def test_all_logs_say_the_same(write: Write, changes: dict[str, int]) -> None:
    checked = check_file(write(linear(train=LONG | changes)))
    run = train_run(checked, "cpu", Destination(), TrainingProgress())
    require_alike(run, checked.spec.train.plan(len_of(run)).evaluations)


def len_of(run: Run) -> int:
    rows = run.checked.example.training_rows
    assert rows is not None
    return rows


class Stopping(TrainingProgress):
    """Ends a training after its second measurement and checkpoint, as a signal would."""

    def on_row(self, row: Row) -> None:
        if row["epoch"] == 2:
            raise Interrupted("cut off", "zoo train --resume", 15)


def test_a_resumed_training_doubles_no_row(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    checked = check_file(write(linear(train=LONG)))
    with pytest.raises(Interrupted):
        train_run(checked, "cpu", Destination(), Stopping())
    run = find_run("line")
    Journal(run, run.rows()).add(run.rows()[-1])  # a measurement behind the checkpoint
    for file in (run.csv_file, run.events_file):
        file.write_bytes(file.read_bytes()[:-3])  # torn
    resume_run(run, "cpu", TrainingProgress())
    require_alike(run, 4)


def test_the_environment_of_a_logged_run_is_in_no_file_name(write: Write) -> None:
    run = train_run(check_file(write(linear(train=LONG))), "cpu", Destination(), TrainingProgress())
    assert [path.name for path in run.events_file.parent.iterdir()] == ["events.out.tfevents"]
    train_run(run.checked, "cpu", Destination(run.path, overwrite=True), TrainingProgress())
    require_alike(run, 4)


def test_tensorboard_that_is_absent_is_told_before_the_training(
    zoo: Zoo, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    path = write(linear(train=LONG))
    with pytest.raises(UsageError, match=r"zoo\[tensorboard\]"):
        train_run(check_file(path), "cpu", Destination(), TrainingProgress())
    done = zoo("train", path)
    assert (done.status, "pip install 'zoo[tensorboard]'" in done.err) == (2, True)


def test_a_log_that_is_named_twice_is_refused(zoo: Zoo, write: Write) -> None:
    done = zoo("check", write(linear(train={"epochs": 1, "batch_size": 4, "log": ["csv", "csv"]})))
    assert (done.status, "log names one of its words twice" in done.out) == (2, True)


def test_a_run_without_log_has_no_such_file(write: Write) -> None:
    run = train_run(check_file(write(linear())), "cpu", Destination(), TrainingProgress())
    assert not run.csv_file.exists()
    assert not run.events_file.parent.exists()
    assert json.loads(run.spec_file.read_text())["train"]["log"] == []
