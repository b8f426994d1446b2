"""The written update: it looks at an optimizer, and leaves it as it was."""

from __future__ import annotations

import torch
from torch import nn, optim

from zoo.training.update import update_of


def test_writing_the_update_of_plain_sgd_leaves_its_state_empty() -> None:
    """An entry that the optimizer never makes would be refused when a checkpoint is gone on from."""
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    optimizer = optim.SGD([parameter], lr=0.1)
    optimizer.step()
    assert update_of(optimizer, {parameter: "gradient"}, lambda tensor: "tensor") is not None
    assert optimizer.state_dict()["state"] == {}
