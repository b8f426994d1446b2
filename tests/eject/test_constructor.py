"""Constructors: the text of a module or of a transform makes it again."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torchvision.ops import SqueezeExcitation, StochasticDepth
from torchvision.transforms import v2

from zoo.eject.constructor import constructor
from zoo.errors import ExportError

MODULES: tuple[nn.Module, ...] = (
    nn.Linear(3, 1, bias=False),
    nn.Conv2d(4, 8, (3, 5), stride=2, padding="valid", groups=2, padding_mode="zeros"),
    nn.ConvTranspose2d(3, 4, 2, 2),
    nn.BatchNorm1d(3, momentum=None),
    nn.LayerNorm([4, 5], bias=False),
    nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, dropout=0.5),
    nn.RNN(3, 4, nonlinearity="relu", batch_first=True),
    nn.EmbeddingBag(10, 3, mode="sum"),
    nn.MultiheadAttention(8, 2, bias=False, batch_first=True),
    nn.Threshold(0.1, 20.0),
    nn.Hardtanh(float("-inf"), 2.0),
    nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
    nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
    SqueezeExcitation(8, 2, activation=nn.SiLU),
    StochasticDepth(0.1, "row"),
    nn.TransformerEncoderLayer(8, 2, 16, 0.3, "gelu", norm_first=True, batch_first=True),
    nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, batch_first=True, bias=False), 2, nn.LayerNorm(8)),
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_a_constructor_makes_the_module_again(module: nn.Module) -> None:
    made = eval(constructor(module), {"nn": nn, "torch": torch, "torchvision": torchvision, "v2": v2})
    assert repr(made) == repr(module)
    sizes = [[(name, tensor.shape) for name, tensor in part.state_dict().items()] for part in (made, module)]
    assert sizes[0] == sizes[1]


def test_a_module_that_no_call_makes_is_refused() -> None:
    changed = nn.Linear(3, 1)
    changed.register_parameter("extra", nn.Parameter(torch.zeros(1)))
    with pytest.raises(ExportError, match="0: Linear cannot be written as a call of torch"):
        constructor(changed, name="0")
