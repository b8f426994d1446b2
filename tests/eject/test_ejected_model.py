"""Models of ejected files: torchvision's own, with their trained weights, frozen in part."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_model_weights

from conftest import Document
from ejecting import FLOATS, assert_trains_alike


def spec(model: Document, **data: object) -> Document:
    """Return the spec of one epoch of a model of torchvision on noise."""
    images = {"type": "FakeImages", "size": 4, "image_size": [3, 64, 64], "num_classes": 3, "transforms": [FLOATS]}
    return {
        "name": "known",
        "data": images | data,
        "model": {"type": "torchvision", "classes": "classes", **model},
        "loss": {"type": "CrossEntropyLoss"},
        "optimizer": {"type": "SGD", "lr": 0.01},
        "train": {"epochs": 1, "batch_size": 2},
    }


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_a_segmenting_model_gives_what_torchvision_calls_out(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert_trains_alike(spec({"name": "lraspp_mobilenet_v3_large"}, masks=True), capfd)


def test_trained_weights_are_loaded_without_their_head(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here))
    (here / "checkpoints").mkdir()
    file = os.path.basename(get_model_weights("squeezenet1_1")["IMAGENET1K_V1"].url)
    torch.save(get_model("squeezenet1_1").state_dict(), here / "checkpoints" / file)
    document = spec({"name": "squeezenet1_1", "weights": "IMAGENET1K_V1"}) | {"freeze": ["*", "!classifier.*"]}
    assert "    model = torchvision.models.squeezenet1_1(num_classes=3)\n" in assert_trains_alike(document, capfd)
