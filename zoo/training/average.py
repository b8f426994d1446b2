"""Average: the running mean of the weights, as torch computes it, without a wait for the device in each step."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Average(AveragedModel):
    """The exponential moving mean of a model's weights and buffers.

    Args:
        model: on its device.
        decay: what the mean keeps of itself in a step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch gives it no types
        super().__init__(model, multi_avg_fn=self.move, use_buffers=True)

    def update_parameters(self, model: nn.Module) -> None:
        """Move the mean; torch's own would bring the number of steps to the device, which this mean does not need."""
        if self.n_averaged == 0:
            super().update_parameters(model)
            return
        pairs: dict[torch.dtype, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
        for mean, value in zip(_numbers(self.module), _numbers(model), strict=True):
            means, values = pairs.setdefault(mean.dtype, ([], []))
            means.append(mean)
            values.append(value)
        for means, values in pairs.values():
            self.move(means, values, None)
        self.n_averaged += 1


def _numbers(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in chain(model.parameters(), model.buffers())]
