"""The order of a state dict, found again from sorted names and the model."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from zoo.tensor_order import Kind, restored


def kinds(module: nn.Module) -> dict[str, Kind]:
    return {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in module.state_dict().items()}


def renamed(theirs: dict[str, Kind]) -> dict[str, Kind]:
    """Return the same tensors with each module named by its position, as a spec without ids names it."""
    modules = {name.rpartition(".")[0]: None for name in theirs}
    numbers = {module: str(index) for index, module in enumerate(modules)}
    return {f"{numbers[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": kind for name, kind in theirs.items()}


def order_of(theirs: dict[str, Kind], ours: dict[str, Kind]) -> list[str] | None:
    """Return the order that is found from the names backwards, so that nothing can follow from where they stand."""
    return restored(dict(sorted(theirs.items(), reverse=True)), ours)


@pytest.mark.parametrize(
    "name",
    [
        "alexnet",
        "vgg11_bn",
        "resnet18",
        "resnet50",
        "resnet152",
        "densenet121",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "googlenet",
        "vit_b_16",
        "swin_t",
        "convnext_tiny",
        "shufflenet_v2_x1_0",
        "squeezenet1_0",
        "mnasnet1_0",
    ],
)
def test_the_order_of_a_known_architecture_is_found(name: str) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        theirs = kinds(torchvision.models.get_model(name, weights=None, **options))
    found = order_of(theirs, renamed(theirs))
    assert found is not None
    position = {kind: [n for n in theirs if theirs[n] == kind] for kind in theirs.values()}
    assert {kind: [n for n in found if theirs[n] == kind] for kind in theirs.values()} == position


def test_a_tensor_that_is_alone_in_its_sizes_may_stand_elsewhere() -> None:
    theirs = kinds(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4)))
    ours = {"token": theirs.pop("1.weight"), **theirs}
    assert order_of({**theirs, "9.token": ours["token"]}, ours) is not None


def test_more_than_ten_siblings_stand_in_the_order_of_their_numbers() -> None:
    theirs = kinds(nn.Sequential(*(nn.Linear(2, 2) for _ in range(600))))
    assert order_of(theirs, renamed(theirs)) == list(theirs)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["a.weight", "a.bias"], ["x.gain", "x.bias"]),
        (["a.weight", "b.bias"], ["x.weight", "x.bias"]),
        (["a.weight", "a.c.weight"], ["x.weight", "y.bias"]),
        (["q.weight", "k.weight", "v.weight"], ["x.weight", "y.weight", "z.weight"]),
    ],
    ids=str,
)
def test_other_modules_have_no_order_nor_have_modules_that_cannot_be_told_apart(
    theirs: list[str], ours: list[str]
) -> None:
    kind = ((2,), "float32")
    assert order_of(dict.fromkeys(theirs, kind), dict.fromkeys(ours, kind)) is None
