"""Reproduction: the same bits pass, one other bit fails and is named, and the run is not touched."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from test_killed import in_a_child
from together import together, train

from conftest import Document, Outcome, linear
from forking import forked_workers
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import Interrupted
from zoo.progress import TrainingProgress
from zoo.reproduction import Weights, compared, reproduce
from zoo.run import Run
from zoo.seal import sealed_tensors
from zoo.trainer import resume_run, train_run
from zoo.training.stepper import Stepper
from zoo.training.watching import Moment, Row

__all__ = ["forked_workers"]  # a fixture

Write = Callable[..., str]
Zoo = Callable[..., Outcome]
WATCHER = TrainingProgress()


def document(**changes: object) -> Document:
    layers = [{"type": "Linear", "out_features": 4}, {"type": "Dropout"}, {"type": "Linear", "out_features": 1}]
    return linear(model__layers=layers, data__validation=0.2, **changes)


def trained(write: Write, **changes: object) -> Run:
    return train_run(check_file(write(document(**changes))), "cpu", Destination(), WATCHER)


def stopped(write: Write, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Train, and let a signal come at a step."""
    whole, calls = Stepper.step, [0]

    def step(stepper: Stepper, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(stepper, inputs, targets)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", step)
        with pytest.raises(Interrupted):
            trained(write)


def tampered(run: Run, changes: dict[str, float]) -> None:
    """Change the first number of a tensor, and seal the file again."""
    tensors = run.weights()
    for name, change in changes.items():
        tensors[name].flatten()[0] += change
    run.weights_file.write_bytes(sealed_tensors(save(tensors), {}))


@pytest.mark.parametrize(
    "train", [{}, {"ema": 0.9}, {"epochs": 9, "early_stopping": {"patience": 1, "min_delta": 1e9}}], ids=str
)
def test_the_same_spec_gives_the_same_bits(write: Write, train: Document) -> None:
    run = trained(write, train={"epochs": 2, "batch_size": 4} | train)
    made = reproduce(run, None, WATCHER)
    assert made.passed
    assert (made.weights, made.environment, made.rows) == (Weights(4), (), len(run.rows()))


def test_a_resumed_training_is_reproduced(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(write, monkeypatch, 6)
    run = resume_run(Run(Path("runs/line")), "cpu", WATCHER)
    assert reproduce(run, None, WATCHER).passed


def test_a_training_that_started_from_another_run_is_reproduced(write: Write) -> None:
    first = trained(write)
    run = train_run(check_file(write(document() | {"init": {"from": str(first.path)}})), "cpu", Destination(), WATCHER)
    assert reproduce(run, None, WATCHER).passed
    tampered(first, {"2.bias": 1.0})
    made = reproduce(run, None, WATCHER)
    assert not made.passed
    assert [change.name for change in made.environment] == ["warm_start_1"]


def test_the_run_is_not_touched_and_nothing_is_left_beside_it(write: Write) -> None:
    run = trained(write)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*") if path.is_file()}
    reproduce(run, None, WATCHER)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("runs").rglob("*") if path.is_file()}
    assert after == before


class Killer:
    """A watcher that kills its process at the first row."""

    def on_step(self, moment: Moment) -> None:
        pass

    def on_row(self, row: Row) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Second(Killer):
    """A watcher that lets another process reproduce the run at each row."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ended: list[int] = []

    def on_row(self, row: Row) -> None:
        self.ended.append(in_a_child(lambda: reproduce(self.run, None, WATCHER)))


def test_what_a_killed_one_left_goes_with_the_next_and_what_a_living_one_has_stays(write: Write) -> None:
    run = trained(write)
    assert in_a_child(lambda: reproduce(run, None, Killer())) == signal.SIGKILL
    assert len(list(Path("runs").iterdir())) == 2
    other = Second(run)
    assert reproduce(run, None, other).passed
    assert other.ended == [0, 0]
    assert list(Path("runs").iterdir()) == [run.path]


def test_another_weight_fails_and_is_named(write: Write, zoo: Zoo) -> None:
    tampered(trained(write), {"2.bias": 0.5, "2.weight": 0.25})
    done = zoo("reproduce")
    assert done.status == 1
    assert done.out.startswith(
        "not reproduced: runs/line: 2 of 4 tensors differ, first 2.bias, largest difference 0.5\n"
    )


def test_another_measurement_fails_and_is_named(write: Write, zoo: Zoo) -> None:
    run = trained(write)
    rows = [row | ({"test_loss": 7.0} if row["epoch"] == 2 else {"seconds": 1e9}) for row in run.rows()]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = zoo("reproduce", "line")
    assert done.status == 1
    assert "not reproduced: runs/line: row 2 of metrics.jsonl: test_loss was 7.0, is " in done.out


def test_a_row_too_few_fails(write: Write) -> None:
    run = trained(write)
    run.metrics_file.write_text(run.metrics_file.read_text().splitlines(keepends=True)[0])
    made = reproduce(run, None, WATCHER)
    assert made.deviation is not None
    assert (made.deviation.row, made.deviation.then, made.deviation.now) == (2, None, 2)


def test_what_is_another_now_is_named(write: Write, zoo: Zoo) -> None:
    run = trained(write)
    then = run.environment()
    run.environment_file.write_text(json.dumps(then | {"torch": "2.0", "cpu": "abacus", "zoo": "0.0"}))
    done = zoo("reproduce", "--json")
    assert done.status == 0
    made = json.loads(done.out)
    assert made["passed"] is True
    assert made["environment"] == [
        {"name": name, "then": was, "now": then[name]}
        for name, was in (("cpu", "abacus"), ("zoo", "0.0"), ("torch", "2.0"))
    ]
    assert "abacus" in zoo("reproduce").out


def test_as_many_threads_compute_as_did_for_the_run(write: Write) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        run = trained(write)
    finally:
        torch.set_num_threads(before)
    assert reproduce(run, None, WATCHER).environment == ()
    assert torch.get_num_threads() == before


def test_a_run_that_has_not_ended_is_refused(write: Write, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(write, monkeypatch, 3)
    done = zoo("reproduce")
    assert done.status == 2
    assert "runs/line has no weights: its training did not end" in done.err


@pytest.mark.usefixtures("forked_workers")
def test_a_run_of_two_processes_is_reproduced_by_two(
    write: Write, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(document(train={"epochs": 1, "batch_size": 4}))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert together(2, train, Path("run")) == [0, 0]
    run = Run(Path("run"))
    again = reproduce(run, None, WATCHER)
    assert (again.passed, again.environment) == (True, ()), again
    assert capfd.readouterr().out == ""
    run.environment_file.write_text(json.dumps(run.environment() | {"processes": 1}))
    assert not reproduce(run, None, WATCHER).passed  # dropout draws other numbers in one process
    torch.set_num_threads(threads)


def test_nan_is_nan_and_zero_is_not_minus_zero() -> None:
    nan, zero = torch.tensor([float("nan")]), torch.tensor(0.0)
    assert compared({"a": nan}, {"a": nan.clone()}).differing == ()
    assert compared({"a": zero}, {"a": -zero}).differing == ("a",)
