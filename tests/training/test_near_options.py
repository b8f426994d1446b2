"""Options of a training whose last bits may be others: none of them is lost in its steps."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from test_exact import checked
from test_near import EACH_STEP, MLP, _small, begun

from conftest import Document, linear, noise

__all__ = ["_small"]  # a fixture
Outcome = tuple[list[float], torch.Tensor]
CLASSES = {"loss": {"type": "CrossEntropyLoss"}, "metrics": [], "optimizer": {"type": "SGD", "lr": 0.1}}
LINE: Document = linear(
    data__samples=126,
    data__validation=0.2,
    optimizer={"type": "SGD", "lr": 1e-3},
    train={"epochs": 3, "batch_size": 2},
)
NET: Document = linear(
    data=noise(330, [1, 14, 14], 10, validation=0.2),
    model__layers=MLP,
    train={"epochs": 3, "batch_size": 16},
    **CLASSES,
)


def changed(document: Document, changes: Document) -> Document:
    """Return the document with what a change says in place of its own; an object without a type adds to the old one."""
    merged = dict(document)
    for key, value in changes.items():
        adds = isinstance(value, dict) and "type" not in value and key in merged
        merged[key] = changed(merged[key], value) if adds else value
    return merged


def outcome(document: Document) -> Outcome:
    """Return what a training has measured, and its weights in a row."""
    training = begun(checked(document))
    rows = list(training.run())
    numbers = [float(value) for row in rows for key, value in row.items() if key not in ("seconds", "lr")]
    return numbers, torch.cat([p.detach().flatten() for p in training.state.measured.parameters()])


@cache
def without(name: str) -> Outcome:
    """Return the outcome of a document that says nothing of an option."""
    return outcome({"line": LINE, "net": NET}[name])


def near(one: Outcome, two: Outcome) -> bool:
    """Return whether two outcomes differ by rounding alone."""
    return one[0] == pytest.approx(two[0], rel=1e-4) and torch.allclose(one[1], two[1], rtol=1e-4, atol=1e-5)


# What a step, or what follows it, has to know; each changes what the training gives.
STEPS: list[Document] = [
    {"train": {"clip_grad_norm": 0.01}},
    {"train": {"clip_grad_value": 0.01}},
    {"train": {"ema": 0.9}},
    {"train": {"epochs": None, "steps": 33}},
    {"train": {"evaluate_every": 7}},
    {"train": {"drop_last": True}},
    {"train": {"shuffle": False}},
    {"train": {"seed": 3}},
    {"train": {"epochs": 9, "early_stopping": {"patience": 0, "min_delta": 100.0}}},
    {"scheduler": EACH_STEP},
    {"scheduler": {"type": "StepLR", "step_size": 1, "gamma": 0.5}},
    {"scheduler": {"type": "ReduceLROnPlateau", "patience": 0, "threshold": 0.9}},
    {"scheduler": {"type": "OneCycleLR", "max_lr": 0.01, "interval": "step"}, "optimizer": {"type": "SGD"}},
    {"scheduler": {"type": "StepLR", "step_size": 1}, "train": {"clip_grad_norm": 0.01, "ema": 0.5}},
    {"optimizer": {"momentum": 0.5}},
    {"optimizer": {"momentum": 0.5, "nesterov": True}},
    {"optimizer": {"momentum": 0.5, "dampening": 0.3}},
    {"optimizer": {"weight_decay": 0.1}},
    {"optimizer": {"weight_decay": 0.1, "decay": "matrices"}},
    {"optimizer": {"maximize": True, "lr": 1e-4}},
    {"optimizer": {"groups": [{"match": "*.bias", "lr": 0.01}]}},
    {"optimizer": {"type": "Adam", "lr": 0.01}},
    {"optimizer": {"type": "AdamW", "weight_decay": 0.5, "amsgrad": True}},
    {"optimizer": {"type": "RMSprop"}},
    {"freeze": ["*.bias"]},
    {"init": [{"match": "*.weight", "type": "constant_", "val": 0.01}]},
]
LINE_ONLY: list[Document] = [
    {"loss": {"reduction": "sum"}},
    {"loss": {"type": "L1Loss"}},
    {"loss": {"type": "HuberLoss"}},
]
NET_ONLY: list[Document] = [
    {"loss": {"label_smoothing": 0.2}},
    {"loss": {"weight": "balanced"}},
    {"loss": {"reduction": "sum"}, "optimizer": {"lr": 0.001}},
    {"train": {"sampler": "balanced"}},
    {"data": {"augmentation": [{"type": "MixUp"}]}},
    {"data": {"augmentation": [{"type": "CutMix"}]}},
    {"data": {"augmentation": [{"type": "RandomHorizontalFlip"}]}},
    {"freeze": ["1.*"]},
]


@pytest.mark.parametrize(
    ("name", "option"),
    [*(("line", option) for option in STEPS + LINE_ONLY), *(("net", option) for option in STEPS + NET_ONLY)],
    ids=str,
)
def test_an_option_has_its_effect(name: str, option: Document) -> None:
    document = changed({"line": LINE, "net": NET}[name], option)
    ours, plain = (outcome(changed(document, {"train": {"exact": exact}})) for exact in (False, True))
    assert near(ours, plain)
    assert not near(plain, without(name))
