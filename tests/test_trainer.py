"""Trainer: what a training writes, and what it leaves alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torchvision.models import get_model

from conftest import REPOSITORY, linear, no_file_above
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import OutputError, StepRefused, UsageError
from zoo.progress import TrainingProgress
from zoo.run import Run, evaluate_run
from zoo.trainer import resume_run, train_run
from zoo.training import checkpoint, clock
from zoo.training.state import State

Write = Callable[..., str]


def trained(write: Write, **changes: object) -> Run:
    checked = check_file(write(linear(**changes)))
    return train_run(checked, "cpu", Destination(), TrainingProgress())


def test_a_run_directory_is_complete(write: Write) -> None:
    run = trained(write)
    assert sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()) == [
        "checkpoints/last.pt",
        "environment.json",
        "evaluation.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "spec.json",
    ]


def test_the_spec_of_a_run_is_the_resolved_one(write: Write) -> None:
    checked = check_file(write(linear()), ["train.epochs=1"])
    run = train_run(checked, "cpu", Destination(), TrainingProgress())
    assert run.checked.spec == checked.spec
    written = json.loads(run.spec_file.read_text())["train"]
    assert (written["epochs"], written["batch_size"], written["shuffle"], written["seed"]) == (1, 4, True, 0)
    assert written.keys() == checked.spec.train.document().keys()


def test_the_environment_names_the_machine_in_general_terms(write: Write) -> None:
    environment = trained(write).environment()
    assert {"started", "spec_sha256", "device", "threads", "system", "zoo", "python", "torch"} <= set(environment)
    assert str(Path.home()) not in json.dumps(environment)


def test_the_best_weights_become_the_runs(write: Write) -> None:
    run = trained(
        write,
        data__validation=0.3,
        train={"epochs": 3, "batch_size": 4, "early_stopping": {"patience": 5, "min_delta": 1e9}},
    )
    best, last = load_file(run.best_file), torch.load(run.checkpoint_file, weights_only=True)["model"]
    assert all(torch.equal(tensor, best[name]) for name, tensor in load_file(run.weights_file).items())
    assert not all(torch.equal(tensor, best[name]) for name, tensor in last.items())
    assert (run.measurements()["epoch"], run.rows()[-1]["epoch"]) == (1, 3)
    assert evaluate_run(run, "cpu")["test_loss"] == pytest.approx(run.measurements()["test_loss"])


def test_a_directory_that_cannot_be_made_is_an_output_error(write: Write, here: Path) -> None:
    (here / "file").touch()
    checked = check_file(write(linear()))
    with pytest.raises((OutputError, UsageError)):
        train_run(checked, "cpu", Destination(here / "file" / "run"), TrainingProgress())


def test_a_run_survives_an_overwrite_that_fails(write: Write) -> None:
    run = trained(write)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    checked = check_file(write(linear(train__epochs=3)))
    with pytest.raises(OutputError), no_file_above(600):
        train_run(checked, "cpu", Destination(overwrite=True), TrainingProgress())
    assert {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()} == before


def test_overwrite_replaces_a_run(write: Write) -> None:
    run = trained(write)
    (run.path / "export").mkdir()
    checked = check_file(write(linear()))
    again = train_run(checked, "cpu", Destination(run.path, overwrite=True), TrainingProgress())
    assert again.path == run.path
    assert not (run.path / "export").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_training_on_cuda_gives_the_same_run_directory(write: Write) -> None:
    files = []
    for device in ("cpu", "cuda"):
        checked = check_file(write(linear()))
        run = train_run(checked, device, Destination(Path(device)), TrainingProgress())
        files.append(sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*")))
        assert run.load_model()(torch.zeros(1, 2)).device.type == "cpu"
    assert files[0] == files[1]


def test_the_report_is_one_page_without_scripts_or_addresses(write: Write) -> None:
    page = trained(write, name="line", summary="a < b & c").report_file.read_text()
    assert "a &lt; b &amp; c" in page
    assert "<svg" in page
    assert "<script" not in page
    assert "://" not in page


def test_targets_that_torch_refuses_are_no_traceback_and_the_metrics_stay(write: Write, here: Path) -> None:
    layers = [{"type": "Linear", "out_features": 1}, {"type": "Sigmoid"}]
    with pytest.raises(StepRefused) as refused:
        trained(write, loss={"type": "BCELoss"}, model__layers=layers)
    message = "torch refuses a step of the training: all elements of target should be between 0 and 1"
    assert (refused.value.message, refused.value.exit_status) == (message, 2)
    assert refused.value.remedy == (
        "see whether the targets of data are what BCELoss takes, and write another loss if not"
    )
    assert Run(here / "runs" / "line").rows() == [{"epoch": 1, "error": message}]


def test_a_checkpoint_that_does_not_fit_leaves_the_last_good_one_to_go_on_from(
    write: Write, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "EVERY", 0.0)
    monkeypatch.setattr(clock, "SHARE", 0)
    checked, calls, whole = check_file(write(linear(train__epochs=4))), [0], checkpoint.save
    train_run(checked, "cpu", Destination(Path("undisturbed")), TrainingProgress())

    def save(path: Path, state: State) -> None:
        calls[0] += 1
        with no_file_above(600) if calls[0] == 3 else nullcontext():
            whole(path, state)

    with monkeypatch.context() as patch, ExitStack() as refused:
        patch.setattr(checkpoint, "save", save)
        error = refused.enter_context(pytest.raises(OutputError))
        train_run(checked, "cpu", Destination(Path("run")), TrainingProgress())
    assert error.value.message == "cannot write run/checkpoints/last.pt: File too large"
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ["last.pt"]
    run = resume_run(Run(Path("run")), "cpu", TrainingProgress())
    assert run.weights_file.read_bytes() == Path("undisturbed/model.safetensors").read_bytes()


def test_frozen_photographs_of_a_local_weights_file_are_learned_from(
    write: Write, here: Path, real_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "zoo")
    torch.manual_seed(0)
    torch.save(get_model("resnet18", weights=None).state_dict(), here / "resnet18.pth")
    document = json.loads((REPOSITORY / "specs" / "resnet50_finetune.json").read_text())
    document["model"] = {"type": "torchvision", "name": "resnet18", "classes": "classes"}
    document["init"] = {"from": "resnet18.pth", "match": ["*", "!fc.*"]}
    document["data"]["root"] = str(real_data / "hymenoptera")
    document["data"]["transforms"][:2] = [{"type": "Resize", "size": 36}, {"type": "CenterCrop", "size": 32}]
    run = train_run(check_file(write(document)), "cpu", Destination(), TrainingProgress())
    assert "the frozen layers up to flatten are computed once, for 243 rows" in caplog.text
    assert "frozen: 120 tensors" in caplog.text
    first, last = run.rows()[0]["train_loss"], run.rows()[-1]["train_loss"]
    assert last < 0.95 * first
    stored, given = load_file(run.weights_file), torch.load(here / "resnet18.pth", weights_only=True)
    assert [name for name in stored if not torch.equal(stored[name], given[name])] == ["fc.bias", "fc.weight"]
