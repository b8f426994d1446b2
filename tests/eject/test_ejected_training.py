"""The loop of ejected files: every option of the training, optimizer, scheduler, loss, metric and initializer."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import test_initializers
import test_losses
import test_optimizers
import test_schedulers
from conftest import Document, linear
from ejecting import FLOATS, assert_trains_alike, write_arrays
from zoo.check import check_file
from zoo.eject import source
from zoo.errors import ExportError
from zoo.initializers import INITIALIZERS
from zoo.losses import LOSSES
from zoo.metrics import METRICS
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS
from zoo.train import Train
from zoo.transforms import AUGMENTATIONS

Capture = pytest.CaptureFixture[str]
WIDE: Document = {"type": "Linear", "out_features": 8, "id": "wide"}
LAST: Document = {"type": "Linear", "out_features": 1, "id": "last"}
DROPPED: list[Document] = [WIDE, {"type": "BatchNorm1d"}, {"type": "Dropout", "p": 0.25}, LAST]
SLOWER: Document = {"type": "StepLR", "step_size": 1, "gamma": 0.5}
STOPPED: Document = {"patience": 0, "min_delta": 0.05}


def trained(train: Document, **changes: Any) -> Document:
    """Return the spec of a small training of dropout and of running statistics."""
    document = linear(model__layers=DROPPED, data__validation=0.3, data__noise=0.5, **changes)
    return document | {"train": {"epochs": 3, "batch_size": 4, "seed": 7, **train}}


def sorted_out(train: Document, **changes: Any) -> Document:
    """Return the spec of a small training on images of classes."""
    layers = [{"type": "Flatten"}, {**WIDE}, {"type": "ReLU"}, {"type": "Linear", "out_features": "classes"}]
    data = {"type": "FakeImages", "size": 22, "image_size": [3, 8, 8], "num_classes": 4, "transforms": [FLOATS]}
    return {
        "name": "classes",
        "data": data | {"validation": 0.25} | changes.pop("data", {}),
        "model": {"layers": layers},
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.5},
        "train": {"epochs": 2, "batch_size": 4, **train},
        **changes,
    }


TRAINED: dict[str, Document] = {
    "accumulation": trained({"accumulation": 2}),
    "batch_size": trained({"batch_size": 5}),
    "clip_grad_norm": trained({"clip_grad_norm": 0.5}),
    "clip_grad_value": trained({"clip_grad_value": 0.1}),
    "deterministic": trained({"deterministic": True}),
    "drop_last": trained({"drop_last": True, "batch_size": 3}),
    "early_stopping": trained({"early_stopping": STOPPED, "epochs": 9}),
    "ema": trained({"ema": 0.75}),
    "epochs": trained({"epochs": 1}),
    "precision": trained({"precision": "bf16"}),
    "sampler": sorted_out({"sampler": "balanced"}),
    "seed": trained({"seed": 11}),
    "shuffle": trained({"shuffle": False}),
    "precision fp16": trained({"precision": "fp16", "clip_grad_norm": 1.0}),
    "fp16 by steps": trained({"precision": "fp16"}, scheduler={"type": "StepLR", "step_size": 2, "interval": "step"}),
    "a mean of accumulated steps": trained({"accumulation": 3, "ema": 0.5, "early_stopping": STOPPED, "epochs": 5}),
    "the last weights": trained({"early_stopping": STOPPED | {"restore_best": False}, "epochs": 9}),
    "an accuracy": sorted_out(
        {"early_stopping": {"metric": "accuracy", "patience": 1}, "epochs": 6},
        metrics=[{"type": "Accuracy"}],
    ),
    "balanced weights": sorted_out(
        {"early_stopping": STOPPED, "epochs": 4}, loss={"type": "CrossEntropyLoss", "weight": "balanced"}
    ),
    "weights that leave a class out": sorted_out(
        {"early_stopping": STOPPED, "epochs": 4},
        loss={"type": "CrossEntropyLoss", "weight": [0.0, 0.1, 0.7, 2.0], "ignore_index": 2},
    ),
    "groups": trained(
        {},
        optimizer={
            "type": "AdamW",
            "groups": [{"match": ["*.bias", "!last.*"], "weight_decay": 0.0}, {"match": "last.*", "lr": 0.1}],
        },
    ),
    "decay of matrices": trained({}, optimizer={"type": "AdamW", "lr": 0.1, "decay": "matrices"}),
    "decay of matrices in groups under a cycle": trained(
        {},
        optimizer={
            "type": "SGD",
            "momentum": 0.9,
            "groups": [{"match": "last.*", "weight_decay": 0.1}],
            "decay": "matrices",
        },
        scheduler={"type": "OneCycleLR", "max_lr": [0.01, 0.1], "cycle_momentum": False, "interval": "step"},
    ),
    "groups of what is not frozen": trained(
        {}, optimizer={"type": "SGD", "groups": [{"match": "last.bias", "lr": 0.1, "momentum": 0.5}]}
    )
    | {"freeze": ["wide.*"]},
    "what is still below frozen layers": linear(
        model__layers=[WIDE, {"type": "Dropout", "id": "still"}, {"type": "Linear", "out_features": 8}, LAST]
    )
    | {"freeze": ["wide.*"]},
    "steps": trained({"epochs": None, "steps": 7, "accumulation": 2}, scheduler=SLOWER),
    "evaluate_every": trained({"evaluate_every": 2, "early_stopping": STOPPED, "epochs": 4}, scheduler=SLOWER),
    "steps measured between epochs": trained(
        {"epochs": None, "steps": 11, "evaluate_every": 2, "early_stopping": {"patience": 2}},
        scheduler={"type": "ReduceLROnPlateau", "interval": "evaluation", "patience": 0, "threshold": 5.0},
    ),
    "a plateau of a training that ends within an epoch": trained(
        {"epochs": None, "steps": 15}, scheduler={"type": "ReduceLROnPlateau", "patience": 0, "threshold": 5.0}
    ),
    "a cycle of accumulated steps": trained(
        {"epochs": None, "steps": 13, "accumulation": 3, "evaluate_every": 4, "ema": 0.5},
        optimizer={"type": "SGD", "weight_decay": 0.1},
        scheduler={"type": "OneCycleLR", "cycle_momentum": False, "max_lr": 0.1, "interval": "step"},
    ),
    "frozen in the middle of an epoch": trained({"evaluate_every": 1, "epochs": 2}) | {"freeze": ["wide.*", "1.*"]},
    "mixed and augmented steps": sorted_out(
        {"epochs": None, "steps": 7, "evaluate_every": 3},
        data={"augmentation": [{"type": "RandomHorizontalFlip"}, {"type": "MixUp", "alpha": 0.5}]},
    ),
    "warm start": trained({}) | {"init": {"from": "some.safetensors", "match": "wide.*"}},
    "warm start by other names": trained({})
    | {"init": {"from": "other.pt", "match": "wide.*", "rename": {"a.*": "wide.*"}}},
    "warm start in order": trained({}) | {"init": [{"from": "order.pt", "match": "*.weight", "by": "order"}]},
}


@pytest.fixture
def weights(here: Path) -> None:
    """Files of weights in the current folder."""
    generator = torch.Generator().manual_seed(0)
    tensors = {"wide.weight": torch.randn(8, 2, generator=generator), "wide.bias": torch.zeros(8)}
    save_file(tensors | {"last.weight": torch.ones(1, 8)}, "some.safetensors")
    torch.save({name.replace("wide", "a"): tensor for name, tensor in tensors.items()}, "other.pt")
    sizes = {"x": (8, 2), "y": (8,), "z": (1, 8)}
    torch.save({name: torch.randn(size, generator=generator) for name, size in sizes.items()}, "order.pt")


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("name", TRAINED)
def test_a_training_goes_to_the_same_bits(name: str, capfd: Capture) -> None:
    assert_trains_alike(TRAINED[name], capfd)


def test_a_compiled_training_goes_to_the_same_bits(here: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: Callable[..., Any] = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **how: compiled(model, backend="eager", **how))
    assert "    forward = torch.compile(model, dynamic=False)\n" in assert_trains_alike(
        trained({"compile": True}), capfd
    )


def test_every_option_of_the_training_is_tried() -> None:
    assert {*TRAINED, "compile", "exact", "log", "strategy"} >= set(Train.model_fields)


def test_a_training_of_other_last_bits_is_not_ejected(write: Callable[..., str]) -> None:
    with pytest.raises(ExportError, match=r"train\.exact is false, and the ejected loop gives other last bits"):
        source(check_file(write(trained({"exact": False}))))


def test_a_strategy_of_several_processes_says_nothing_in_one(here: Path, capfd: Capture) -> None:
    text = assert_trains_alike(trained({}), capfd)
    Path("spec.json").write_text(json.dumps(trained({"strategy": "fsdp"})), encoding="utf-8")
    shared = ast.parse(source(check_file("spec.json")))
    assert "train.strategy fsdp" in " ".join((ast.get_docstring(shared) or "").split())
    assert ast.dump(ast.Module(shared.body[1:], [])) == ast.dump(ast.Module(ast.parse(text).body[1:], []))


@pytest.mark.parametrize("train", [{"accumulation": 2}, {"steps": 7, "epochs": None, "evaluate_every": 3}], ids=str)
def test_a_log_holds_what_zoos_holds(train: Document, here: Path, capfd: Capture) -> None:
    assert_trains_alike(trained({"log": ["csv", "tensorboard"], **train}), capfd)
    texts = (Path(name).read_text(encoding="utf-8") for name in ("run/metrics.csv", "metrics.csv"))
    own, found = (list(csv.DictReader(text.splitlines())) for text in texts)
    assert [list(row) for row in found] == [list(row) for row in own]
    for theirs, row in zip(found, own, strict=True):
        for name in set(row) - {"seconds"}:
            assert float(theirs[name]) == pytest.approx(float(row[name]), rel=1e-12 if name == "train_loss" else 0.0)
    assert curves("tensorboard") == curves("run/tensorboard")


def curves(folder: str) -> dict[str, list[tuple[int, float]]]:
    """Return the steps and the values, in float32, of each curve of an event file."""
    events = EventAccumulator(folder).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.names))
def test_an_optimizer_is_zoos_with_all_its_options(name: str, here: Path, capfd: Capture) -> None:
    options = test_optimizers.HONOURED[name] | {"lr": 1e-4}  # some of them climb
    options = {option: value for option, value in options.items() if (name, option) != ("SGD", "dampening")}
    text = assert_trains_alike(trained({}, optimizer={"type": name, **options}), capfd)
    assert all(f"{option}=" in text for option in options)


PLATEAU: Document = {
    "metric": "mean_absolute_error",
    "mode": "min",
    "patience": 0,
    "cooldown": 0,
    "threshold": 5.0,
    "min_lr": 0.005,
}
INNER: list[Document] = [{"type": "ConstantLR", "total_iters": 2}, {"type": "ExponentialLR", "gamma": 0.75}]
SCHEDULED: dict[str, Document] = {
    **{name: {"type": name, **options} for name, options in test_schedulers.HONOURED.items()},
    "OneCycleLR as long as the training": {"type": "OneCycleLR", "max_lr": 0.1},
    "CosineAnnealingLR": {"type": "CosineAnnealingLR", "T_max": 6, "eta_min": 0.125},
    "ReduceLROnPlateau": {"type": "ReduceLROnPlateau"} | test_schedulers.HONOURED["ReduceLROnPlateau"] | PLATEAU,
    "SequentialLR": {"type": "SequentialLR", "milestones": [3], "schedulers": INNER},
    "ChainedScheduler": {"type": "ChainedScheduler", "schedulers": INNER},
}


@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("name", SCHEDULED)
def test_a_scheduler_is_zoos_with_all_its_options(name: str, interval: str, here: Path, capfd: Capture) -> None:
    if (name, interval) == ("ReduceLROnPlateau", "step"):
        pytest.skip("there is one measurement in each epoch")
    document = trained({"epochs": 6, "accumulation": 4 if interval == "step" else 1, "clip_grad_value": 0.1})
    document["scheduler"] = SCHEDULED[name] | {"interval": interval}
    if name.startswith(("CyclicLR", "OneCycleLR")):
        document["scheduler"].pop("cycle_momentum", None)
        document["optimizer"] = {"type": "SGD"}
    assert_trains_alike(document, capfd)


def test_every_scheduler_is_tried() -> None:
    assert {document["type"] for document in SCHEDULED.values()} == set(SCHEDULERS.names)


LAYERS: dict[str, list[Document]] = {
    "BCELoss": [{"type": "Sigmoid"}],
    "NLLLoss": [{"type": "LogSoftmax", "dim": -1}],
    "KLDivLoss": [{"type": "LogSoftmax", "dim": -1}],
    "GaussianNLLLoss": [{"type": "Softplus"}],
    "PoissonNLLLoss": [{"type": "Softplus"}],
}


def compared(name: str, options: Document) -> Document:
    """Return the spec of a small training with a loss, on what it compares."""
    targets = {"MultiLabelMarginLoss": "labels", **dict.fromkeys(test_losses.CLASSIFICATIONS, "classes")}
    size = 8 if name == "GaussianNLLLoss" else 4
    data: Document = {"type": "ArrayFile", "file": "rows.npz", "targets": targets.get(name, "numbers")}
    data |= {} if data["targets"] == "numbers" else {"classes": 4}
    last = [{"type": "Linear", "out_features": size}, *LAYERS.get(name, [])]
    return trained({"early_stopping": {"patience": 1}}) | {
        "data": data | {"validation": 0.3},
        "model": {"layers": last},
        "loss": {"type": name, **options},
        "metrics": [],
    }


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "with all its options"])
@pytest.mark.parametrize("name", sorted(LOSSES.names))
def test_a_loss_is_zoos(name: str, plain: bool, here: Path, capfd: Capture) -> None:
    draw = np.random.default_rng(0)
    rows = {"inputs": draw.random((20, 5)), "numbers": draw.random((20, 4))}
    labels = {"labels": draw.integers(0, 2, (20, 4)), "classes": draw.integers(0, 4, 20)}
    np.savez("rows.npz", **rows, **labels)  # type: ignore[arg-type]  # numpy's types know no names of arrays
    assert_trains_alike(compared(name, {} if plain else test_losses.HONOURED[name]), capfd)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"])
@pytest.mark.parametrize("sequence", [True, False], ids=["tokens", "pixels"])
def test_a_loss_of_many_classes_in_a_row_is_zoos(name: str, sequence: bool, here: Path, capfd: Capture) -> None:
    Path("text.txt").write_text("abcd dcba " * 9)
    text: Document = {"type": "TextFile", "file": "text.txt", "tokens": "character", "context": 4, "validation": 0.3}
    masks: Document = {"type": "FakeImages", "size": 8, "image_size": [3, 8, 8], "num_classes": 3, "masks": True}
    embedding = {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 5}
    given = {"metrics": [{"type": "Accuracy"}, {"type": "F1Score"}], "loss": {"type": name}}
    layers = [embedding] if sequence else [{"type": "Conv2d", "out_channels": 3, "kernel_size": 1}]
    document = trained({"early_stopping": STOPPED}) | given | {"model": {"layers": layers}}
    masks |= {"transforms": [FLOATS], "validation": 0.5}
    assert_trains_alike(document | {"data": text if sequence else masks}, capfd)


AVERAGES = ({"average": average} for average in ("macro", "micro", "weighted"))
OF_CLASSES: list[Document] = [
    {"type": "Accuracy"},
    {"type": "Accuracy", "top_k": 2},
    {"type": "Perplexity"},
    *({"type": kind, **average} for average in AVERAGES for kind in ("Precision", "Recall", "F1Score")),
]
OF_NUMBERS: list[Document] = [
    {"type": "MeanAbsoluteError"},
    {"type": "MeanSquaredError"},
    {"type": "MeanSquaredError", "squared": False},
    {"type": "R2Score"},
]


def test_every_metric_is_zoos(here: Path, capfd: Capture) -> None:
    assert {metric["type"] for metric in OF_CLASSES + OF_NUMBERS} == set(METRICS.names)
    assert_trains_alike(sorted_out({}, metrics=OF_CLASSES), capfd)
    assert_trains_alike(trained({}, metrics=OF_NUMBERS), capfd)


@pytest.mark.parametrize("name", sorted(set(INITIALIZERS.names) - {"WarmStart"}))
def test_an_initializer_is_zoos_with_all_its_options(name: str, here: Path, capfd: Capture) -> None:
    filling = {"type": name, "match": ["*.weight", "!1.*"], **test_initializers.HONOURED[name]}
    filling |= {"nonlinearity": "leaky_relu"} if "nonlinearity" in filling else {}
    document = trained({}) | {"init": filling}
    if name == "dirac_":
        first = {"type": "Unflatten", "dim": 1, "unflattened_size": [2, 1]}
        convolution = {"type": "Conv1d", "out_channels": 4, "kernel_size": 1, "id": "wide"}
        document["model"]["layers"] = [first, convolution, {"type": "Flatten"}, LAST]
        document["init"] = filling | {"match": "wide.weight"}
    assert_trains_alike(document, capfd)


RANDOM: dict[str, Document] = {
    "CenterCrop": {"size": 6},
    "ColorJitter": {"brightness": 0.5, "contrast": [0.5, 1.5], "hue": 0.25},
    "ElasticTransform": {"alpha": 5.0, "sigma": 1.0},
    "GaussianBlur": {"kernel_size": [3, 5], "sigma": [0.1, 2.0]},
    "Pad": {"padding": 1},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0},
    "RandomAffine": {"degrees": 30.0, "translate": [0.1, 0.2], "scale": [0.5, 2.0], "shear": [1.0, 5.0]},
    "RandomApply": {"transforms": [{"type": "RandomHorizontalFlip"}, {"type": "ColorJitter", "hue": 0.5}], "p": 0.75},
    "RandomChoice": {"transforms": [{"type": "RandomCrop", "size": 6}, {"type": "CenterCrop", "size": 6}]},
    "RandomCrop": {"size": [6, 6], "padding": 1},
    "RandomErasing": {"p": 1.0, "value": 3.0},
    "RandomOrder": {"transforms": [{"type": "RandomVerticalFlip"}, {"type": "RandomInvert"}]},
    "RandomPosterize": {"bits": 3},
    "RandomResize": {"min_size": 7, "max_size": 9},
    "RandomResizedCrop": {"size": [6, 6], "interpolation": "nearest"},
    "RandomRotation": {"degrees": [-10.0, 90.0], "interpolation": "bilinear", "fill": 3.0},
    "RandomShortestSize": {"min_size": 7},
    "RandomSolarize": {"threshold": 100.0},
    "Resize": {"size": [6, 6]},
    "ScaleJitter": {"target_size": [20, 20]},
    "Grayscale": {"num_output_channels": 3},
    "AutoAugment": {"policy": "svhn"},
}
ODD = {"Pad", "RandomResize", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"}
"""What gives images of other sizes, which a crop makes alike again."""


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS.names) - {"Normalize", "ToDtype"}))
def test_an_augmentation_is_zoos(name: str, here: Path, capfd: Capture) -> None:
    drawn: list[Document] = [{"type": name, **RANDOM.get(name, {})}]
    drawn += [{"type": "RandomCrop", "size": 6, "pad_if_needed": True}] if name in ODD else []
    cut = drawn[-1].get("size") or name == "RandomChoice"
    fixed: list[Document] = [FLOATS, {"type": "Resize", "size": [6, 6]}] if cut else [FLOATS]
    data = {"augmentation": drawn, "transforms": fixed, "size": 12}
    document = sorted_out({"shuffle": name != "RandomInvert", "epochs": 1}, data=data)
    assert_trains_alike(document, capfd)


MIXED: dict[str, list[Document]] = {
    "after a flip": [{"type": "RandomHorizontalFlip"}, {"type": "MixUp", "alpha": 0.5}],
    "one of two": [{"type": "RandomChoice", "transforms": [{"type": "MixUp"}, {"type": "CutMix"}], "p": [1.0, 3.0]}],
}


@pytest.mark.parametrize("name", MIXED)
def test_batches_are_mixed_as_zoo_mixes_them(name: str, here: Path, capfd: Capture) -> None:
    assert_trains_alike(sorted_out({"sampler": "balanced"}, data={"augmentation": MIXED[name]}), capfd)


def test_a_last_batch_that_is_left_out_is_not_counted(here: Path, capfd: Capture) -> None:
    write_arrays(Path("rows.npz"), "uint8", "uint8", rows=21)
    data = {"type": "ArrayFile", "file": "rows.npz", "augmentation": [{"type": "CutMix"}], "transforms": [FLOATS]}
    document = sorted_out({"drop_last": True, "batch_size": 5}) | {"data": data}
    assert_trains_alike(document, capfd)
