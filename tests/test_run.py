"""The run directory: complete, found by name, and never half-written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from conftest import flipped, linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import RunError, UsageError
from zoo.finding import find_run, split_run
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


def test_the_newest_run_is_found_by_name_and_without(write: Write) -> None:
    trained(write)
    second = trained(write)
    other = trained(write, name="other")
    assert find_run("line").path == second.path
    assert find_run(None).path == other.path
    assert find_run("runs/line").path == Path("runs/line")


def test_a_run_that_waits_to_be_replaced_is_not_found(write: Write) -> None:
    run = trained(write)
    run.path.rename(run.path.with_name(".line.replaced-1"))
    with pytest.raises(UsageError, match=r"no such run: line"):
        find_run("line")


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


@pytest.mark.parametrize("option", ["data.samples=5", "data.weights=[9,9]", "train.epochs=3"])
def test_a_run_keeps_its_spec(write: Write, option: str) -> None:
    trained(write)
    with pytest.raises(UsageError, match=r"a run keeps its spec"):
        find_run("line", [option])


def test_the_files_of_a_table_may_lie_elsewhere(write: Write, here: Path) -> None:
    write("\n".join(["a,b", *[f"{i},{2 * i}" for i in range(20)]]), "table.csv")
    run = trained(write, data={"type": "TableFile", "file": "table.csv", "target": "b"})
    before = evaluate_run(run, "cpu")
    (here / "table.csv").rename(here / "moved.csv")
    assert evaluate_run(find_run("line", ["data.file=moved.csv"]), "cpu") == before


@pytest.mark.parametrize(
    ("data", "allowed"),
    [
        ({"type": "TableFile"}, "only data.file and data.validation_file and data.test_file"),
        ({"type": "MNIST"}, "only data.root and data.download"),
        ({"type": "LinearFunction"}, "nothing of it"),
        ("spoiled", "nothing of it"),
    ],
)
def test_what_may_differ_on_another_machine_is_the_sources_to_say(
    data: object, allowed: str, write: Write, here: Path
) -> None:
    write(json.dumps({"data": data}), "spec.json")
    with pytest.raises(UsageError) as refused:
        find_run(str(here), ["data.target=a"])
    assert refused.value.remedy == f"{allowed} may differ on another machine; train again for the rest"


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
