"""Cut: head and tail give together what the model gives; the place is behind the last step that never changes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from zoo.training.cut import cut
from zoo.training.frozen import still_modules

NAMES = [("resnet18", "fc", 64), ("mobilenet_v2", "classifier", 64), ("efficientnet_b0", "classifier", 64)]
NAMES += [("vgg11", "classifier.6", 32), ("densenet121", "classifier", 64), ("vit_b_32", "heads", 224)]


def frozen_but(name: str, head: str) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = get_model(name, weights=None)
    model.requires_grad_(False).get_submodule(head).requires_grad_(True)
    for module in still_modules(model, []):
        module.eval()
    return model


@pytest.mark.parametrize(("name", "head", "side"), NAMES)
def test_both_parts_give_together_what_the_model_gives(name: str, head: str, side: int) -> None:
    model = frozen_but(name, head)
    found = cut(model)
    assert found is not None
    assert not any(parameter.requires_grad for parameter in found.head.parameters())
    trained = {id(parameter) for parameter in model.get_submodule(head).parameters()}
    assert {id(parameter) for parameter in found.tail.parameters()} >= trained
    rows = torch.randn(2, 3, side, side)
    model.eval()
    assert torch.equal(found.tail(found.head(rows)), model(rows))


def test_the_cut_stays_above_what_draws_in_training() -> None:
    found = cut(frozen_but("efficientnet_b0", "classifier.1"))
    assert found is not None
    assert found.name == "flatten"


def test_there_is_no_cut_without_frozen_layers_above_the_trained_ones() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert cut(model) is None
    model[1].requires_grad_(False)
    assert cut(model) is None
    model[0].requires_grad_(False)
    model[1].requires_grad_(True)
    found = cut(model)
    assert found is not None
    assert found.name == "0"


def test_a_batch_norm_that_moves_is_not_frozen() -> None:
    model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2))
    found = cut(model.train())
    assert found is not None
    assert found.name == "0"
    found = cut(model.eval())
    assert found is not None
    assert found.name == "1"


class Around(nn.Module):
    """A trained layer beside the frozen one, and both are joined."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.trained = nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        joined: torch.Tensor = self.frozen(x) + self.trained(x)
        return joined


def test_there_is_no_cut_where_the_input_goes_around_the_frozen_layers() -> None:
    assert cut(Around()) is None
