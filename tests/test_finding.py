"""The run directory: complete, found by name, and never half-written."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import REPOSITORY, Outcome, linear
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import UsageError
from zoo.finding import find_run, find_trained, split_run
from zoo.progress import TrainingProgress
from zoo.run import Run, evaluate_run
from zoo.trainer import train_run

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


def trained(write: Write, **changes: object) -> Run:
    checked = check_file(write(linear(**changes)))
    return train_run(checked, "cpu", Destination(), TrainingProgress())


def test_the_newest_run_is_found_by_name_and_without(write: Write) -> None:
    trained(write)
    second = trained(write)
    other = trained(write, name="other")
    assert find_run("line").path == second.path
    assert find_run(None).path == other.path
    assert find_run("runs/line").path == Path("runs/line")


def test_a_run_is_found_by_the_name_of_its_directory(write: Write) -> None:
    first, second = trained(write), trained(write)
    third = trained(write, name="line-2")
    assert find_run("line").path == second.path != first.path
    assert find_run("line-2").path == third.path  # a spec has this name
    assert find_run("line-2-2").path == third.path == Path("runs/line-2-2")
    with pytest.raises(UsageError, match=r"no such run: line-3"):
        find_run("line-3")


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
        ("kept", "kept is no run: it has no spec.json", "put it back: it says what the weights are of"),
    ],
)
def test_an_absent_run_is_answered_with_the_nearest(write: Write, reference: str, message: str, remedy: str) -> None:
    trained(write)
    Path("kept").mkdir()
    Path("kept/model.safetensors").touch()
    with pytest.raises(UsageError) as refused:
        find_run(reference)
    assert (refused.value.message, refused.value.remedy) == (message, remedy)


def test_without_any_run_training_comes_first(here: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no run in runs/"):
        find_run(None)


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
        (
            {"type": "TableFile"},
            "only data.file and data.validation_file and data.test_file may differ on another machine; ",
        ),
        ({"type": "MNIST"}, "only data.root and data.download may differ on another machine; "),
        ({"type": "LinearFunction"}, ""),
        ("spoiled", ""),
    ],
)
def test_what_may_differ_on_another_machine_is_the_sources_to_say(
    data: object, allowed: str, write: Write, here: Path
) -> None:
    write(json.dumps({"data": data}), "spec.json")
    with pytest.raises(UsageError) as refused:
        find_run(str(here), ["data.target=a"])
    begin = f"""to begin with its weights, also --set 'init={{"from": "{here}"}}'"""
    assert refused.value.remedy == f"{allowed}train anew: zoo train {here}/spec.json --set data.target=a; {begin}"


def test_the_remedy_for_a_change_of_a_run_trains_it_anew_from_its_weights(zoo: Zoo, write: Write) -> None:
    first = trained(write)
    remedy = zoo("train", "--resume", "line", "--set", "train.epochs=3").err.partition("train anew: zoo ")[2]
    done = zoo(*shlex.split(remedy.replace("; to begin with its weights, also", "")))
    assert done.status == 0, done.err
    run = find_run("line")
    assert (run.path.name, len(run.rows()), len(first.rows())) == ("line-2", 3, 2)
    assert run.checked.spec.init


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


UNKNOWN = (
    ["evaluate", "nosuchrun"],
    ["reproduce", "nosuchrun"],
    ["report", "nosuchrun"],
    ["predict", "nosuchrun", "1,2"],
    ["export", "nosuchrun", "--onnx"],
    ["train", "--resume", "nosuchrun"],
)
WITHOUT_TORCH = f"""
import sys
import cli
from zoo.errors import UsageError
sys.modules["torch"] = None
for command in {UNKNOWN}:
    try:
        cli.zoo.main(command, standalone_mode=False)
    except UsageError as error:
        assert error.message == "no such run: nosuchrun", error
"""


def test_a_wrong_name_is_told_before_torch_is_imported(here: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_file_of_a_run_is_not_read_as_a_spec(here: Path) -> None:
    (here / "run").mkdir()
    (here / "run" / "spec.json").write_text("{}")
    (here / "run" / "model.safetensors").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"run/model\.safetensors is a file of a run") as refused:
        find_trained("run/model.safetensors")
    assert refused.value.remedy == "name the run: run"
