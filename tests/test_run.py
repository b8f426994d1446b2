"""The run directory: complete, found by name, and never half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from conftest import flipped, linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import RunError, SpecError
from zoo.finding import find_run
from zoo.prediction import predict_inputs
from zoo.progress import TrainingProgress
from zoo.run import Run, evaluate_run
from zoo.trainer import train_run

Write = Callable[..., str]


def trained(write: Write, **changes: object) -> Run:
    checked = check_file(write(linear(**changes)))
    return train_run(checked, "cpu", Destination(), TrainingProgress())


def test_the_weights_are_those_of_the_model(write: Write) -> None:
    run = trained(write)
    state = run.load_model().state_dict()
    assert {name: tensor.tolist() for name, tensor in load_file(run.weights_file).items()} == {
        name: tensor.tolist() for name, tensor in state.items()
    }


def test_each_training_takes_the_next_free_directory(write: Write) -> None:
    assert [str(trained(write).path) for _ in range(3)] == ["runs/line", "runs/line-2", "runs/line-3"]


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ({}, "runs/line: the last weights, of epoch 2"),
        ({"train__ema": 0.5}, "runs/line: the last weights, of epoch 2, their running mean"),
        ({"train__steps": 3, "train__epochs": None}, "runs/line: the last weights, of step 3"),
    ],
    ids=["epochs", "ema", "steps"],
)
def test_a_run_says_which_weights_it_kept(write: Write, train: dict[str, object], told: str) -> None:
    assert trained(write, **train).told() == told


def test_a_run_that_kept_its_best_weights_says_of_which_epoch(write: Write) -> None:
    diverging = {"optimizer__lr": 0.9, "train__early_stopping": {"patience": 1}, "data__validation": 0.3}
    run = trained(write, **diverging, train__epochs=9)
    best = min(run.rows(), key=lambda row: row["validation_loss"])["epoch"]
    assert best < run.rows()[-1]["epoch"]
    assert run.told() == f"runs/line: the best weights, of epoch {best}"


def test_weights_without_their_measurements_are_told_by_the_run_alone(write: Write) -> None:
    run = trained(write)
    run.metrics_file.write_text("no json\n")
    assert run.told() == "runs/line"


def test_a_run_without_weights_is_resumed_first(write: Write) -> None:
    run = trained(write)
    run.weights_file.unlink()
    with pytest.raises(RunError, match=r"runs/line has no weights") as refused:
        run.load_model()
    assert refused.value.remedy == "finish it: zoo train --resume runs/line"


def test_a_run_answers_where_rows_that_it_does_not_use_are_gone(write: Write) -> None:
    names = {"file": "rows.csv", "validation_file": "more.csv", "test_file": "test.csv"}
    for index, name in enumerate(names.values()):
        write("x,y\n" + "".join(f"{(index + row) / 10},{row / 20}\n" for row in range(8)), name)
    run = trained(write, data={"type": "TableFile", "target": "y", **names})
    measured = evaluate_run(run, "cpu")
    Path("more.csv").unlink()
    assert evaluate_run(Run(run.path), "cpu") == measured
    Path("test.csv").unlink()
    assert len(predict_inputs(Run(run.path), ("0.5",))) == 1
    with pytest.raises(SpecError) as refused:
        check_file(str(run.spec_file))
    assert [problem.path for problem in refused.value.problems] == [("data", "validation_file"), ("data", "test_file")]


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_damaged_weights_are_refused(write: Write, content: bytes) -> None:
    run = trained(write)
    run.weights_file.write_bytes(content)
    with pytest.raises(RunError, match=r"model.safetensors is damaged"):
        run.load_model()


def test_a_moved_run_gives_the_same_answers(write: Write, here: Path) -> None:
    run = trained(write)
    before = evaluate_run(run, "cpu")
    shutil.move(run.path, here / "elsewhere")
    assert evaluate_run(find_run("elsewhere"), "cpu") == before


def test_evaluation_repeats_the_last_measurement(write: Write) -> None:
    run = trained(write)
    last = run.rows()[-1]
    assert evaluate_run(run, "cpu") == {name: last[name] for name in ("test_loss", "test_mean_absolute_error")}


def test_a_line_cut_off_by_a_crash_is_passed_over(write: Write) -> None:
    run = trained(write)
    with run.metrics_file.open("a") as lines:
        lines.write('{"epoch": 3, "lr')
    assert [row["epoch"] for row in run.rows()] == [1, 2]


def test_weights_with_one_flipped_bit_are_refused(write: Write) -> None:
    run = trained(write)
    whole = run.weights_file.read_bytes()
    for place in (3, 8 * 40 + 1, len(whole) * 4, len(whole) * 8 - 7):
        run.weights_file.write_bytes(flipped(whole, place))
        with pytest.raises(RunError, match=r"model\.safetensors is damaged: .* sha256"):
            evaluate_run(run, "cpu")
    run.weights_file.write_bytes(whole)
    evaluate_run(run, "cpu")


def test_weights_that_carry_no_hash_are_refused(write: Write) -> None:
    run = trained(write)
    save_file(load_file(run.weights_file), run.weights_file)
    with pytest.raises(RunError, match=r"it carries no sha256 of its content"):
        run.load_model()
