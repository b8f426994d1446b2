"""The language is enough: known architectures written in JSON are torchvision's own, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from conftest import REPOSITORY
from zoo.build import fresh_model
from zoo.check import CheckedSpec, check, check_file
from zoo.source import Source

WITHOUT_WEIGHTS: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "densenet121": {},
    "efficientnet_b0": {},
    "googlenet": {"aux_logits": False, "init_weights": False},
    "mobilenet_v2": {},
    "resnet18": {},
    "resnet50": {},
    "vgg11_bn": {"init_weights": False},
    "vit_b_16": {},
}
"""What torchvision's builders need beside weights=None to give the plain architecture."""

LINES = {"fashion_mlp": 20, "resnet50_finetune": 15, "gpt_mini": 30, "resnet50": 45}
"""How long a spec may be."""


def randomized(name: str) -> nn.Module:
    """Return torchvision's model in evaluation mode, with statistics that a training could have left."""
    torch.manual_seed(0)
    model: nn.Module = getattr(torchvision.models, name)(weights=None, **WITHOUT_WEIGHTS[name]).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)  # ViT's head and tokens, and biases, begin at zero
    return model


def started_from(name: str, weights: Path) -> CheckedSpec:
    """Return a spec of the zoo that loads its tensors from a file, by order."""
    text = (REPOSITORY / "specs" / f"{name}.json").read_text()
    document = json.loads(text) | {"init": {"from": str(weights), "by": "order"}}
    return check(Source(f"{name}.json", text, document))


@pytest.mark.parametrize("name", sorted(WITHOUT_WEIGHTS))
def test_the_spec_gives_torchvisions_outputs_bit_for_bit(name: str, tmp_path: Path) -> None:
    theirs = randomized(name)
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    checked = started_from(name, tmp_path / "weights.safetensors")
    ours = fresh_model(checked)
    (tmp_path / "weights.safetensors").unlink()
    images = torch.rand(1, *checked.input.row, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", sorted(WITHOUT_WEIGHTS))
def test_the_spec_has_torchvisions_parameter_count(name: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(weights=None, **WITHOUT_WEIGHTS[name])
    expected = sum(parameter.numel() for parameter in theirs.parameters())
    assert sum(check_file(name).parameter_counts) == expected


def test_one_wrong_eps_would_be_seen(tmp_path: Path) -> None:
    theirs = randomized("resnet18")
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    ours = fresh_model(started_from("resnet18", tmp_path / "weights.safetensors"))
    next(module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)).eps = 1.1e-5
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert not torch.equal(ours(images), theirs(images))


@pytest.mark.parametrize("name", LINES)
def test_the_spec_is_short(name: str) -> None:
    lines = (REPOSITORY / "specs" / f"{name}.json").read_text().splitlines()
    assert len(lines) <= LINES[name]
    assert max(map(len, lines)) <= 120


def test_gpt2_has_the_published_number_of_parameters() -> None:
    assert sum(check_file("gpt2").parameter_counts) == 124_439_808
