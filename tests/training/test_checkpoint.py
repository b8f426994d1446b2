"""Checkpoint: it loads without running code, and a damaged one is refused."""

from __future__ import annotations

import math
import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import flipped, linear
from zoo.check import check
from zoo.data import Rows
from zoo.errors import RunError
from zoo.source import Source
from zoo.training.checkpoint import resume, save, write_record
from zoo.training.loop import Training
from zoo.training.state import begin
from zoo.training.watching import Moment, Row
from zoo.warm_start import read_tensors

CPU = torch.device("cpu")
SPEC = check(Source("spec.json", "", linear()))
ADAM = check(Source("spec.json", "", linear(optimizer={"type": "Adam"}, scheduler={"type": "StepLR", "step_size": 1})))
ROWS, STEPS = 20, 5

Record = dict[str, Any]
"""What is in the file."""


class Nobody:
    """A watcher that does not look."""

    def on_step(self, moment: Moment) -> None:
        pass

    def on_row(self, row: Row) -> None:
        pass


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    write_record(tmp_path / "last.pt", {"model": Trap(tmp_path / "mark")})
    with pytest.raises(RunError, match=r"is damaged"):
        resume(tmp_path / "last.pt", SPEC, CPU, ROWS)
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(Trap(tmp_path / "mark")))  # the trap works where it is let
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -200])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "last.pt"
    save(path, begin(SPEC, CPU))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RunError, match=r"is damaged") as refused:
        resume(path, SPEC, CPU, ROWS)
    assert "\n" not in refused.value.message


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "last.pt", begin(SPEC, CPU))
    other = check(Source("spec.json", "", linear(model__layers=[{"type": "Linear", "out_features": 1, "id": "head"}])))
    with pytest.raises(RunError, match=r"last\.pt is of another spec\n"):
        resume(tmp_path / "last.pt", other, CPU, ROWS)


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "last.pt", begin(SPEC, CPU))
    other = check(Source("spec.json", "", linear(optimizer__lr=0.02)))
    with pytest.raises(RunError, match=r"last\.pt is of another spec\n"):
        resume(tmp_path / "last.pt", other, CPU, ROWS)


def half_way(path: Path) -> Record:
    """A checkpoint after an epoch and two steps, as it is in the file."""
    state = begin(ADAM, CPU)
    rows = Rows(torch.zeros(ROWS, 2), torch.zeros(ROWS, 1))
    next(iter(Training(state, ADAM, {"train": rows, "test": rows}, Nobody(), lambda state: None).run()))
    state.step, state.losses = 2, torch.zeros(STEPS)
    save(path, state)
    record: Record = torch.load(path, weights_only=True)
    return record


def put(record: Record, dotted: str, value: object) -> None:
    """Change a value deep in a record; the keys of the model have dots of their own."""
    first, *rest = dotted.split(".", 1 if dotted.startswith("model") else -1)
    keys = [first, *(int(key) if key.isdecimal() else key for key in rest)]
    here: Any = record  # a tree of dictionaries and lists
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = value


def test_a_checkpoint_half_way_is_taken(tmp_path: Path) -> None:
    half_way(tmp_path / "last.pt")
    state = resume(tmp_path / "last.pt", ADAM, CPU, ROWS)
    assert (state.epoch, state.step) == (1, 2)


def test_a_checkpoint_of_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    half_way(tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"losses is a tensor \(5,\) of float32, not a tensor \(6,\) of float32"):
        resume(tmp_path / "last.pt", ADAM, CPU, ROWS + 1)


PLACES = (
    "model",
    "model.0.weight",
    "optimizer",
    "optimizer.state",
    "optimizer.state.0",
    "optimizer.state.0.exp_avg",
    "optimizer.state.0.step",
    "optimizer.param_groups",
    "optimizer.param_groups.0",
    "optimizer.param_groups.0.lr",
    "optimizer.param_groups.0.betas",
    "optimizer.param_groups.0.params",
    "optimizer.param_groups.0.amsgrad",
    "scheduler",
    "scheduler.last_epoch",
    "scheduler.step_size",
    "scheduler._last_lr",
    "sampler",
    "generator",
    "epoch",
    "step",
    "losses",
    "last_loss",
)
WRONG: tuple[object, ...] = (
    "x",
    True,
    -1.5j,
    10**400,
    [],
    {},
    {"x": 1},
    torch.zeros(2, 2),
    torch.zeros((), dtype=torch.int64),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: str(value)[:12])
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, place: str, value: object) -> None:
    path = tmp_path / "last.pt"
    record = half_way(path)
    put(record, place, value)
    write_record(path, record)
    with pytest.raises(RunError, match=rf"^error: the checkpoint \S+ is damaged: .*{place.split('.')[0]}") as refused:
        resume(path, ADAM, CPU, ROWS)
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("epoch", -1, "epoch is -1, not a whole number from 0 to 2"),
        ("epoch", 3, "epoch is 3, not a whole number from 0 to 2"),
        ("epoch", 1.0, "epoch is 1.0, not a whole number from 0 to 2"),
        ("step", STEPS + 1, "step is 6, not a whole number from 0 to 5"),
        ("last_loss", math.nan, "last_loss is nan, not a finite number"),
        ("losses", None, "losses are absent"),
        ("losses", torch.full((STEPS,), math.inf), "losses are not finite"),
        ("losses", torch.zeros(STEPS, dtype=torch.int64), "losses is a tensor (5,) of int64, not"),
        ("optimizer.state", {}, "optimizer.state is a dictionary of nothing, not a dictionary of 0, 1"),
        ("model.0.weight", torch.zeros(2), "model.0.weight is a tensor (2,) of float32, not a tensor (1, 2)"),
        ("sampler", torch.zeros(5056, dtype=torch.uint8), "mt19937"),
    ],
)
def test_the_message_says_what_is_wrong(tmp_path: Path, place: str, value: object, message: str) -> None:
    path = tmp_path / "last.pt"
    record = half_way(path)
    put(record, place, value)
    write_record(path, record)
    with pytest.raises(RunError, match=re.escape(message)):
        resume(path, ADAM, CPU, ROWS)


@pytest.mark.parametrize("key", ["spec_sha256", "model", "sampler", "cuda_generator", "losses"])
def test_a_key_that_is_absent_is_told(tmp_path: Path, key: str) -> None:
    path = tmp_path / "last.pt"
    record = half_way(path)
    del record[key]
    write_record(path, record)
    with pytest.raises(RunError, match=r"is damaged: it is a dictionary of "):
        resume(path, ADAM, CPU, ROWS)


@pytest.mark.parametrize(("changes", "found"), [({"format": 3}, 3), ({"format": None}, 1)])
def test_a_checkpoint_of_another_version_is_called_so_and_gives_its_weights(
    tmp_path: Path, changes: Record, found: int
) -> None:
    path = tmp_path / "last.pt"
    record = {key: value for key, value in (half_way(path) | changes | {"newer": 1}).items() if value is not None}
    write_record(path, record)
    with pytest.raises(RunError, match=rf"another version of zoo \(format {found}, this one reads 2\)\n.*init"):
        resume(path, ADAM, CPU, ROWS)
    weights = read_tensors(str(path))
    assert {name: tensor.tolist() for name, tensor in weights.items()} == {
        name: tensor.tolist() for name, tensor in record["model"].items()
    }


@pytest.mark.parametrize("record", [None, 1, "x", [], {}, torch.zeros(2)], ids=repr)
def test_a_checkpoint_that_is_no_record_is_refused(tmp_path: Path, record: Any) -> None:
    write_record(tmp_path / "last.pt", record)
    with pytest.raises(RunError, match=r"is damaged: it is "):
        resume(tmp_path / "last.pt", ADAM, CPU, ROWS)


def test_an_absent_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no checkpoint at .*last\.pt"):
        resume(tmp_path / "last.pt", SPEC, CPU, ROWS)


@pytest.mark.parametrize("part", range(16))
def test_a_flipped_bit_anywhere_is_refused(tmp_path: Path, part: int) -> None:
    path = tmp_path / "last.pt"
    save(path, begin(SPEC, CPU))
    whole = path.read_bytes()
    for place in range(part * 8, len(whole) * 8, 16 * 8 * 61 + 1):
        path.write_bytes(flipped(whole, place))
        with pytest.raises(RunError, match=r"last\.pt is damaged: (its content is not what its|it carries no) sha256"):
            resume(path, SPEC, CPU, ROWS)
    path.write_bytes(whole)
    resume(path, SPEC, CPU, ROWS)


def test_a_checkpoint_without_its_hash_is_refused(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"is damaged: it carries no sha256"):
        resume(tmp_path / "last.pt", SPEC, CPU, ROWS)
