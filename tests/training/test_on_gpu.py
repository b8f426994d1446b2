"""A training on an accelerator: the same bits, nothing on two devices, no step that waits, captured steps proven."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Document, linear

PROGRAM = Path(__file__).parent / "on_gpu.py"
IMAGES = {
    "type": "FakeImages",
    "size": 88,
    "image_size": [1, 6, 6],
    "num_classes": 3,
    "validation": 0.1,
    "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}],
}
LAYERS = [
    {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
    {"type": "BatchNorm2d"},
    {"type": "ReLU"},
    {"type": "Flatten"},
    {"type": "Dropout", "p": 0.3},
    {"type": "Linear", "out_features": 3},
]


def images(**changes: Any) -> Document:
    document = {
        "data": IMAGES,
        "model__layers": LAYERS,
        "loss": {"type": "CrossEntropyLoss"},
        "metrics": [{"type": "Accuracy"}],
        "train": {"epochs": 2, "batch_size": 8},
    }
    return linear(**(document | changes))


def drawn(*transforms: str) -> Document:
    return {**IMAGES, "augmentation": [{"type": name} for name in transforms]}


UNCOUNTED = [*LAYERS[:1], {"type": "BatchNorm2d", "momentum": None}, *LAYERS[2:]]  # reads how many batches it has seen
STEP = {"type": "StepLR", "step_size": 7, "interval": "step"}
ALL = {
    "epochs": 2,
    "batch_size": 8,
    "accumulation": 2,
    "ema": 0.9,
    "clip_grad_norm": 1.0,
    "early_stopping": {"patience": 9},
}
WEIGHED = {"type": "CrossEntropyLoss", "weight": "balanced", "label_smoothing": 0.1}
TRAININGS: dict[str, Document] = {
    "linear": linear(),
    "everything": images(data=drawn("RandomHorizontalFlip"), train=ALL, scheduler=STEP),
    "mixed": images(data=drawn("MixUp"), optimizer={"type": "Adam", "lr": 0.01}),
    "balanced": images(loss=WEIGHED, train={"epochs": 2, "batch_size": 8, "sampler": "balanced"}),
    "measured": images(metrics=[{"type": "Accuracy", "top_k": 2}, {"type": "Precision"}, {"type": "F1Score"}]),
    "frozen": {**images(), "freeze": ["0.*", "1.*"]},
    "mean": images(train={"epochs": 2, "batch_size": 8, "ema": 0.9}, scheduler=STEP),
    "clipped": images(train={"epochs": 2, "batch_size": 8, "clip_grad_norm": 0.1}),
    "flipped": images(data=drawn("RandomHorizontalFlip")),
}
CAPTURED = ("linear", "mixed", "balanced", "frozen", "mean", "clipped", "flipped")
CASES = [
    *((name, "plain", document) for name, document in TRAININGS.items()),
    *((f"{name}, captured", "captured", TRAININGS[name]) for name in CAPTURED),
    ("asks for a number", "captured", images(model__layers=UNCOUNTED)),
    ("slow", "slow", images()),
    ("stale", "stale", images()),
]


@pytest.fixture(scope="module")
def found() -> dict[str, Document]:
    """What the program says of every case."""
    asked = json.dumps(CASES)
    done = subprocess.run(
        [sys.executable, PROGRAM], input=asked, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Document] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.parametrize("name", [name for name, *_ in CASES])
def test_the_run_is_that_of_the_cpu_to_the_bit(found: dict[str, Document], name: str) -> None:
    assert found[name]["same"]


@pytest.mark.parametrize("name", [name for name, *_ in CASES if name not in ("asks for a number", "stale")])
def test_no_step_waits_for_the_device(found: dict[str, Document], name: str) -> None:
    assert found[name]["waits"] == 0


def test_waits_are_counted(found: dict[str, Document]) -> None:
    assert found["asks for a number"]["waits"] > 10  # a step each


@pytest.mark.parametrize("name", CAPTURED)
def test_steps_are_captured(found: dict[str, Document], name: str) -> None:
    assert found[f"{name}, captured"]["captured"] > 0
    assert found[f"{name}, captured"]["said"] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("slow", "steps are not captured as a CUDA graph: it is not faster"),
        ("stale", "steps are not replayed, and take longer: replayed steps differ from plain ones in their bits"),
        (
            "asks for a number",
            "steps are not replayed, and take longer: CUDA cannot capture one: "
            "operation not permitted when stream is capturing",
        ),
    ],
)
def test_what_is_not_captured_stays_plain_aloud(found: dict[str, Document], name: str, said: str) -> None:
    assert found[name]["said"] == [said]
    assert found[name]["captured"] == 0
