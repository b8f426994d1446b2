"""Tuning: trials that are plain runs, ended early or cut off, gone on with, and the best of them as a spec."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Document, Outcome, linear
from forking import start

pytest.importorskip("optuna", reason="needs optuna: pip install 'zoo[tune]'")

import optuna
import torch

from zoo.errors import Interrupted, UsageError
from zoo.inheritance import read_spec
from zoo.run import Run
from zoo.searched import check_searched, goal_of
from zoo.tune import tune
from zoo.tuning import Ended, Found, Tuning

Write = Callable[..., str]
Zoo = Callable[..., Outcome]
RATE = {"search": "log_uniform", "low": 1e-4, "high": 0.05}


def searching(**changes: object) -> Document:
    return linear(**{"data__validation": 0.25, "optimizer__lr": RATE, **changes})


def tuning(name: str, trials: int, metric: str = "validation_loss", **how: Any) -> Tuning:
    searched = check_searched(read_spec(name))
    return Tuning(searched, goal_of(searched, metric), trials, **{"device": "cpu", "pruner": "none", **how})


def found(write: Write, trials: int, **changes: object) -> Found:
    return tune(tuning(write(searching(**changes)), trials), False, 1)


def drawn(trials: Sequence[Ended]) -> list[tuple[Any, float | None]]:
    return [(trial.parameters["optimizer.lr"], trial.value) for trial in trials]


def test_each_trial_is_a_plain_run(write: Write, here: Path) -> None:
    result = found(write, 2)
    assert sorted(path.name for path in (here / "runs" / "tune-line" / "trials").iterdir()) == ["0000", "0001"]
    for trial in result.trials:
        assert trial.run is not None
        run = Run(Path(trial.run))
        assert run.load_model()
        assert run.measurements()["validation_loss"] == trial.value
        assert run.checked.spec.optimizer.document()["lr"] == trial.parameters["optimizer.lr"]


def test_a_trial_has_as_many_threads_as_its_spec_by_itself(
    write: Write, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        (trial,) = found(write, 1).trials
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert trial.run is not None
    assert Run(Path(trial.run)).environment()["threads"] == 1


def test_the_best_spec_trains_to_the_trials_metrics_bit_for_bit(zoo: Zoo, write: Write, here: Path) -> None:
    layers = [{"type": "Linear", "out_features": {"search": "int", "low": 2, "high": 8, "step": 2}}]
    document = searching(model__layers=[*layers, {"type": "Linear", "out_features": 1}])
    done = zoo("tune", write(document), "--trials", "4", "--device", "cpu", "--json")
    assert done.status == 0, done.err
    best = json.loads(done.out)["best"]
    assert best["spec"] == "runs/tune-line/best.json"
    assert zoo("check", best["spec"]).status == 0
    assert zoo("train", best["spec"], "--device", "cpu").status == 0
    again, before = Run(here / "runs" / "line"), Run(Path(best["run"]))
    times = {"seconds"}
    strip = [[{k: v for k, v in row.items() if k not in times} for row in run.rows()] for run in (again, before)]
    assert strip[0] == strip[1]
    assert again.weights_file.read_bytes() == before.weights_file.read_bytes()


def test_the_best_trial_is_the_least_loss_or_the_largest_score(write: Write) -> None:
    less = found(write, 3)
    values = [trial.value for trial in less.trials if trial.value is not None]
    assert less.ranked()[0].value == min(values)
    name = write(searching(metrics=[{"type": "R2Score"}]))
    more = tune(tuning(name, 3, "validation_r2_score", out=Path("other")), False, 1)
    assert more.ranked()[0].value == max(trial.value for trial in more.trials if trial.value is not None)


def test_a_seed_draws_the_same_trials(write: Write) -> None:
    name = write(searching())
    several = [tune(tuning(name, 3, seed=seed, out=Path(f"{i}")), False, 1) for i, seed in enumerate((1, 1, 2))]
    assert drawn(several[0].trials) == drawn(several[1].trials) != drawn(several[2].trials)


def test_a_search_that_goes_on_draws_what_an_undisturbed_one_does(write: Write) -> None:
    name = write(searching())
    whole = tune(tuning(name, 4, out=Path("whole")), False, 1)
    tune(tuning(name, 2, out=Path("parts")), False, 1)
    rest = tune(tuning(name, 4, out=Path("parts")), True, 1)
    assert drawn(rest.trials) == drawn(whole.trials)


def test_a_search_that_is_there_wants_resume_and_one_that_is_not_refuses_it(write: Write, here: Path) -> None:
    name = write(searching())
    with pytest.raises(UsageError, match="no search to go on with"):
        tune(tuning(name, 1), True, 1)
    tune(tuning(name, 1), False, 1)
    with pytest.raises(UsageError, match="holds a search") as refused:
        tune(tuning(name, 2), False, 1)
    assert "--resume" in refused.value.remedy
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="something else than a search"):
        tune(tuning(name, 2, out=Path("mine")), False, 1)


def test_another_spec_does_not_go_on_with_a_search(write: Write) -> None:
    found(write, 1)
    other = write(searching(train__batch_size=2))
    with pytest.raises(UsageError, match="a search of another spec, or by another metric"):
        tune(tuning(other, 2), True, 1)


def test_trials_that_are_worse_are_pruned(write: Write) -> None:
    name = write(searching(train__epochs=6))
    result = tune(tuning(name, 10, pruner="median"), False, 1)
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert 0 < trial.measurements < 6
        assert len(Run(Path(trial.run or "")).rows()) == trial.measurements
    assert len([trial for trial in result.trials if trial.state == "complete"]) + len(pruned) == 10


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"epochs": 8}, 8),
        ({"steps": 30}, 8),  # of 15 rows: 4 in an epoch, and a rest
        ({"steps": 30, "evaluate_every": 3}, 10),
        ({"epochs": 8, "evaluate_every": 2}, 16),
        ({"epochs": {"search": "int", "low": 6, "high": 8}}, "auto"),
    ],
    ids=str,
)
def test_hyperband_knows_how_often_a_trial_is_measured(write: Write, train: Document, expected: int | str) -> None:
    name = write(searching(train={"batch_size": 4, **train}))
    with tuning(name, 1, pruner="hyperband").claimed(False) as study:
        assert isinstance(study.pruner, optuna.pruners.HyperbandPruner)
        assert study.pruner._max_resource == expected


def test_trials_of_so_many_steps_are_pruned_by_their_measurements(write: Write) -> None:
    name = write(searching(train={"batch_size": 4, "steps": 40, "evaluate_every": 5}))
    result = tune(tuning(name, 10, pruner="hyperband"), False, 1)
    rows = {trial.state: len(Run(Path(trial.run or "")).rows()) for trial in result.trials}
    assert rows["complete"] == 8
    assert rows["pruned"] < 8


def test_a_trial_that_diverges_does_not_end_the_search(write: Write) -> None:
    rates = {"search": "choice", "values": [1e30, 0.01]}
    result = found(write, 6, optimizer__lr=rates)
    states = {trial.parameters["optimizer.lr"]: trial.state for trial in result.trials}
    assert states == {1e30: "diverged", 0.01: "complete"}
    assert any("loss" in (trial.problem or "") for trial in result.trials)


def test_a_trial_whose_values_do_not_go_together_fails_alone(write: Write) -> None:
    first, second = {"search": "choice", "values": [1, 4]}, {"search": "choice", "values": [1, 6]}
    reshape = {"type": "Reshape", "shape": [first, second, -1]}
    layers = [{"type": "Linear", "out_features": 12}, reshape, {"type": "Flatten"}]
    document = linear(data__validation=0.25, model__layers=[*layers, {"type": "Linear", "out_features": 1}])
    result = tune(tuning(write(document), 8), False, 1)
    states = {tuple(trial.parameters.values()): trial.state for trial in result.trials}
    assert states.pop((4, 6)) == "failed"
    assert set(states.values()) == {"complete"}
    (problem,) = {trial.problem for trial in result.trials if trial.state == "failed"}
    assert "Reshape" in (problem or "")


def test_no_trial_that_ends_well_is_an_error(zoo: Zoo, write: Write) -> None:
    rates = {"search": "uniform", "low": 1e29, "high": 1e30}
    done = zoo("tune", write(searching(optimizer__lr=rates)), "--trials", "2", "--device", "cpu")
    assert done.status == 2
    assert "error: none of 2 trials: 2 diverged; the last one: " in done.err


def test_data_that_is_absent_ends_the_search_at_once(zoo: Zoo, write: Write, here: Path) -> None:
    data: Document = {"type": "MNIST", "root": str(here / "nowhere"), "download": False, "validation": 0.1}
    data["transforms"] = [{"type": "ToDtype", "dtype": "float32", "scale": True}]
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    document = searching(metrics=[], loss={"type": "CrossEntropyLoss"}, model__layers=layers)
    done = zoo("tune", write(document | {"data": data}), "--trials", "3", "--device", "cpu")
    assert done.status == 2
    assert "nowhere" in done.err
    assert "Traceback" not in done.err


class _Interrupting:
    """Sends a signal to this process in an epoch, as Ctrl-C does."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_trial_that_is_interrupted_goes_on_to_the_same_measurements(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo import tune as module

    name = write(searching(train__epochs=4))
    whole = tune(tuning(name, 3, out=Path("whole")), False, 1)
    interrupting = _Interrupting(6)  # in the second epoch of the second trial
    told = module._Reporter.on_row

    def on_row(self: module._Reporter, row: Any) -> None:
        told(self, row)
        interrupting()

    monkeypatch.setattr(module._Reporter, "on_row", on_row)
    with pytest.raises(Interrupted) as interrupted:
        tune(tuning(name, 3, out=Path("parts")), False, 1)
    assert interrupted.value.message == "1 of 3 trials have ended; they are in parts"
    assert (interrupted.value.remedy, interrupted.value.signal_number) == ("the same command with --resume", 2)
    assert Run(Path("parts/trials/0001")).checkpoint_file.is_file()
    with Run(Path("parts/trials/0001")).metrics_file.open("a") as lines:
        lines.write('{"epoch": 3, "error": "a row without the metric"}\n')
    rest = tune(tuning(name, 3, out=Path("parts")), True, 1)
    assert drawn(rest.trials)[:2] == drawn(whole.trials)[:2]
    assert (len(rest.trials), rest.trials[1].number, rest.trials[1].measurements) == (3, 2, 4)
    assert not Path("parts/trials/0001").exists()


def test_two_searches_do_not_write_into_one_directory(write: Write) -> None:
    name = write(searching())
    with tuning(name, 1).claimed(False), pytest.raises(UsageError, match="another zoo tune is at work"):
        tune(tuning(name, 1), True, 1)


def test_a_database_is_shared_and_goes_on_by_itself(zoo: Zoo, write: Write, here: Path) -> None:
    name, url = write(searching()), f"sqlite:///{here / 'shared.db'}"
    for out, trials in (("a", "1"), ("b", "3")):
        done = zoo("tune", name, "--storage", url, "--out", out, "--trials", trials, "--device", "cpu", "--json")
        assert done.status == 0, done.err
    record = json.loads(done.out)
    assert [trial["run"] for trial in record["trials"]] == [None, "b/trials/0001", "b/trials/0002"]
    assert not (here / "b" / "tune.db").exists()
    done = zoo("tune", name, "--storage", url, "--out", "b", "--resume")
    assert (done.status, "error: --resume does not go with --storage" in done.err) == (2, True)


@pytest.mark.parametrize("url", ["nonsense", "nosuchbase://host/name", "sqlite:////no/such/folder/x.db"])
def test_a_storage_that_cannot_be_used_is_an_error_without_its_address(zoo: Zoo, write: Write, url: str) -> None:
    done = zoo("tune", write(searching()), "--storage", url, "--trials", "1")
    assert done.status == 2
    assert "--storage" in done.err
    assert "Traceback" not in done.err
    assert url not in done.err


def test_a_damaged_file_of_trials_is_an_error(zoo: Zoo, write: Write, here: Path) -> None:
    found(write, 1)
    (here / "runs" / "tune-line" / "tune.db").write_bytes(b"no database" * 100)
    done = zoo("tune", "spec.json", "--resume", "--trials", "2")
    assert done.status == 2
    assert "tune.db cannot be used: " in done.err
    assert "Traceback" not in done.err


def test_without_optuna_the_remedy_is_told(zoo: Zoo, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = zoo("tune", write(searching()))
    assert (done.status, done.err) == (
        2,
        "error: zoo tune needs optuna, which is not here\n   remedy: pip install 'zoo[tune]'\n",
    )


def test_a_search_on_the_command_line_needs_no_change_of_the_spec(zoo: Zoo, write: Write) -> None:
    name = write(linear(data__validation=0.25))
    search = f"optimizer.lr={json.dumps(RATE)}"
    done = zoo("tune", name, "--set", search, "--trials", "2", "--device", "cpu")
    assert done.status == 0, done.err
    assert done.out.startswith("2 trials: 2 complete\n")
    assert "runs/tune-line/best.json" in done.out
    assert [line[:17] for line in done.err.splitlines()] == ["[1/2] trial 0000:", "[2/2] trial 0001:"]


def test_workers_share_the_trials_and_a_killed_search_goes_on(
    write: Write, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes train at a time; killed with kill -9, with what they did; the rest is trained by the next.

    The first search starts its workers as it does, the next forks them: that spares it the seconds of imports.
    """
    name = write(searching(data__samples=200, train__epochs=12, train__batch_size=1))
    arguments = ("tune", name, "--trials", "3", "--workers", "2", "--pruner", "none", "--json", "--device", "cpu")
    searching_ = start(*arguments)
    trials = here / "runs" / "tune-line" / "trials"
    deadline = time.monotonic() + 120
    while len(list(trials.glob("*/metrics.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(trials.glob("*/metrics.jsonl"))) >= 2, "no two trials at a time"
    searching_.send(signal.SIGKILL)
    assert searching_.ended().status == -signal.SIGKILL
    with (trials.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers end by themselves
    forking = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: forking)
    done = start(*arguments, "--resume").ended()
    assert done.status == 0, done.err
    record = json.loads(done.out)
    assert [trial["state"] for trial in record["trials"]] == ["complete"] * 3
    assert {trial["measurements"] for trial in record["trials"]} == {12}
    with sqlite3.connect(trials.parent / "tune.db") as database:
        ((running,),) = database.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchall()
    assert running == 0
