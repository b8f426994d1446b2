"""The run directory: complete, found by name, and never half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from conftest import Outcome, linear
from zoo.check import check_file
from zoo.errors import OutputError, RunError, UsageError
from zoo.progress import TrainingProgress
from zoo.run import Destination, Run, evaluate_run, find_run, split_run, train_run

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


def trained(write: Write, **changes: object) -> Run:
    checked = check_file(write(linear(**changes)))
    return train_run(checked, "cpu", Destination(), TrainingProgress(checked.spec.train.epochs))


def test_a_run_directory_is_complete(write: Write) -> None:
    run = trained(write)
    assert sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()) == [
        "checkpoints/last.pt",
        "environment.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "spec.json",
    ]


def test_the_spec_of_a_run_is_the_resolved_one(write: Write) -> None:
    checked = check_file(write(linear()), ["train.epochs=1"])
    run = train_run(checked, "cpu", Destination(), TrainingProgress(1))
    assert run.checked.spec == checked.spec
    assert json.loads(run.spec_file.read_text())["train"] == {"epochs": 1, "batch_size": 4, "shuffle": True, "seed": 0}


def test_the_weights_are_those_of_the_model(write: Write) -> None:
    run = trained(write)
    state = run.load_model().state_dict()
    assert {name: tensor.tolist() for name, tensor in load_file(run.weights_file).items()} == {
        name: tensor.tolist() for name, tensor in state.items()
    }


def test_the_environment_names_the_machine_in_general_terms(write: Write) -> None:
    environment = trained(write).environment()
    assert {"started", "spec_sha256", "device", "threads", "system", "zoo", "python", "torch"} <= set(environment)
    assert str(Path.home()) not in json.dumps(environment)


def test_each_training_takes_the_next_free_directory(write: Write) -> None:
    assert [str(trained(write).path) for _ in range(3)] == ["runs/line", "runs/line-2", "runs/line-3"]


def test_the_newest_run_is_found_by_name_and_without(write: Write) -> None:
    trained(write)
    second = trained(write)
    other = trained(write, name="other")
    assert find_run("line").path == second.path
    assert find_run(None).path == other.path
    assert find_run("runs/line").path == Path("runs/line")


def test_a_spoiled_run_does_not_hide_the_others(write: Write) -> None:
    good, bad = trained(write), trained(write)
    bad.environment_file.write_text("{")
    assert find_run("line").path == good.path


@pytest.mark.parametrize(
    ("reference", "message", "remedy"),
    [
        ("lin", "no such run: lin", 'did you mean "line"?'),
        ("runs/lime", "no such run: runs/lime", 'did you mean "runs/line"?'),
        ("runs", "runs is no run: it has no spec.json", "name a directory that zoo train wrote"),
    ],
)
def test_an_absent_run_is_answered_with_the_nearest(write: Write, reference: str, message: str, remedy: str) -> None:
    trained(write)
    with pytest.raises(UsageError) as refused:
        find_run(reference)
    assert (refused.value.message, refused.value.remedy) == (message, remedy)


def test_without_any_run_training_comes_first(here: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run in runs/"):
        find_run(None)


def test_a_run_without_weights_is_resumed_first(write: Write) -> None:
    run = trained(write)
    run.weights_file.unlink()
    with pytest.raises(RunError, match=r"runs/line has no weights") as refused:
        run.load_model()
    assert refused.value.remedy == "finish it: zoo train --resume runs/line"


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_damaged_weights_are_refused(write: Write, content: bytes) -> None:
    run = trained(write)
    run.weights_file.write_bytes(content)
    with pytest.raises(RunError, match=r"model.safetensors is damaged or of another spec"):
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


def test_an_in_place_first_layer_leaves_the_data_alone(write: Write) -> None:
    layers = [{"type": "ReLU", "inplace": True}, {"type": "Linear", "out_features": 1}]
    run = trained(write, model__layers=layers, train__shuffle=False)
    assert evaluate_run(run, "cpu")["test_loss"] == run.rows()[-1]["test_loss"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x"), "out is a file, not a directory"),
        (lambda path: (path.mkdir(), (path / "mine").touch()), "out holds something else than a run"),
        (
            lambda path: (path.mkdir(), (path / "spec.json").touch(), (path / "environment.json").touch()),
            "out holds a run",
        ),
        (lambda path: (path.mkdir(), (path / "spec.json").touch()), "out holds something else than a run"),
    ],
    ids=["file", "other", "run", "project"],
)
def test_a_taken_directory_is_refused(here: Path, make: Callable[[Path], object], message: str) -> None:
    make(here / "out")
    with pytest.raises(UsageError) as refused:
        Destination(Path("out")).choose("line")
    assert refused.value.message == message


def test_a_directory_that_cannot_be_made_is_an_output_error(write: Write, here: Path) -> None:
    (here / "file").touch()
    checked = check_file(write(linear()))
    with pytest.raises((OutputError, UsageError)):
        train_run(checked, "cpu", Destination(here / "file" / "run"), TrainingProgress(2))


def test_overwrite_replaces_a_run(write: Write) -> None:
    run = trained(write)
    (run.path / "export").mkdir()
    checked = check_file(write(linear()))
    again = train_run(checked, "cpu", Destination(run.path, overwrite=True), TrainingProgress(2))
    assert again.path == run.path
    assert not (run.path / "export").exists()


def test_overwrite_never_touches_what_is_no_run(write: Write) -> None:
    run = trained(write)
    (run.path / "thesis.txt").touch()
    with pytest.raises(UsageError, match=r"runs/line holds something else than a run"):
        Destination(run.path, overwrite=True).claim("line")
    assert (run.path / "thesis.txt").exists()


def test_a_link_to_nowhere_is_an_output_error(here: Path) -> None:
    (here / "out").symlink_to(here / "nowhere")
    with pytest.raises(OutputError, match=r"cannot make out: something is in its way"):
        Destination(Path("out")).claim("line")


def test_two_trainings_at_once_take_two_directories(here: Path) -> None:
    assert [str(Destination().claim("line")) for _ in range(3)] == ["runs/line", "runs/line-2", "runs/line-3"]


@pytest.mark.parametrize("option", ["data.samples=5", "data.weights=[9,9]", "train.epochs=3"])
def test_a_run_keeps_its_spec(write: Write, option: str) -> None:
    trained(write)
    with pytest.raises(UsageError, match=r"a run keeps its spec"):
        find_run("line", [option])


def test_a_line_cut_off_by_a_crash_is_passed_over(write: Write) -> None:
    run = trained(write)
    with run.metrics_file.open("a") as lines:
        lines.write('{"epoch": 3, "lr')
    assert [row["epoch"] for row in run.rows()] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "run", "inputs"),
    [
        (("1,2",), "runs/line", ("1,2",)),
        (("line", "1,2", "3,4"), "runs/line", ("1,2", "3,4")),
        (("runs/line", "1,2"), "runs/line", ("1,2",)),
        (("-1,2", "3,4"), "runs/line", ("-1,2", "3,4")),
        (("-",), "runs/line", ("-",)),
    ],
)
def test_the_first_argument_is_a_run_where_there_is_one(
    write: Write, arguments: tuple[str, ...], run: str, inputs: tuple[str, ...]
) -> None:
    trained(write)
    found, given = split_run(arguments)
    assert (str(found.path), given) == (run, inputs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_training_on_cuda_gives_the_same_run_directory(write: Write) -> None:
    files = []
    for device in ("cpu", "cuda"):
        checked = check_file(write(linear()))
        run = train_run(checked, device, Destination(Path(device)), TrainingProgress(2))
        files.append(sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*")))
        assert run.load_model()(torch.zeros(1, 2)).device.type == "cpu"
    assert files[0] == files[1]


def test_the_report_is_one_page_without_scripts_or_addresses(write: Write) -> None:
    page = trained(write, name="line", summary="a < b & c").report_file.read_text()
    assert "a &lt; b &amp; c" in page
    assert "<svg" in page
    assert "<script" not in page
    assert "http" not in page
