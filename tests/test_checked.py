"""CheckedSpec: a later zoo, which has more options, knows the hash that a training kept of its spec."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from conftest import Document, Outcome
from test_reproduction import stopped, trained
from zoo.run import Run
from zoo.seal import sealed_tensors
from zoo.spec import meaning_sha256
from zoo.training.checkpoint import write_record

Write = Callable[..., str]
Zoo = Callable[..., Outcome]


def aged(run: Run) -> str:
    """Make a run one of a zoo that had no train.accumulation yet, in its spec and its hashes; its hash comes back."""
    document = json.loads(run.spec_file.read_text())
    del document["train"]["accumulation"]
    run.spec_file.write_text(json.dumps(document))
    old = meaning_sha256(document, ())
    assert old != Run(run.path).checked.spec.sha256()
    run.environment_file.write_text(json.dumps(run.environment() | {"spec_sha256": old}))
    record = torch.load(run.checkpoint_file, weights_only=True)
    write_record(run.checkpoint_file, record | {"spec_sha256": old})
    if run.weights_file.is_file():
        run.weights_file.write_bytes(sealed_tensors(save(load_file(run.weights_file)), {"spec_sha256": old}))
    return old


def test_a_stopped_run_of_an_older_zoo_goes_on_to_the_same_bits(
    write: Write, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {name: tensor.tolist() for name, tensor in trained(write).weights().items()}
    stopped(write, monkeypatch, 6)
    run = Run(Path("runs/line-2"))
    old = aged(run)
    done = zoo("train", "--resume", run.path)
    assert done.status == 0, done.err
    assert {name: tensor.tolist() for name, tensor in run.weights().items()} == whole
    with safe_open(run.weights_file, "pt") as file:
        assert file.metadata()["spec_sha256"] == old  # of spec.json as it is: the next zoo knows it too
    assert torch.load(run.checkpoint_file, weights_only=True)["spec_sha256"] == old


@pytest.mark.parametrize("change", [{"seed": 7}, {"accumulation": 2}], ids=str)
def test_a_stopped_run_whose_spec_was_changed_is_still_refused(
    change: Document, write: Write, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(write, monkeypatch, 6)
    run = Run(Path("runs/line"))
    aged(run)
    document = json.loads(run.spec_file.read_text())
    document["train"] |= change
    run.spec_file.write_text(json.dumps(document))
    done = zoo("train", "--resume", run.path)
    assert done.status == 2
    assert "last.pt is of another spec" in done.err


def test_a_run_of_an_older_zoo_is_measured_asked_and_reproduced(write: Write, zoo: Zoo) -> None:
    aged(trained(write))
    assert zoo("evaluate").status == 0
    assert zoo("predict", "1,2").status == 0
    done = zoo("reproduce", "--json")
    assert (done.status, json.loads(done.out)["environment"]) == (0, [])


def test_a_changed_spec_is_named_where_it_is_reproduced(write: Write, zoo: Zoo) -> None:
    run = trained(write)
    document = json.loads(run.spec_file.read_text())
    document["summary"], document["train"]["seed"] = "Other words.", 7
    run.spec_file.write_text(json.dumps(document))
    done = zoo("reproduce", "--json")
    assert done.status == 1
    assert [change["name"] for change in json.loads(done.out)["environment"]] == ["spec_sha256"]
