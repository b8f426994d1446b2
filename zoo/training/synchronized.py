"""Synchronized: BatchNorm over the whole batch where several processes hold its shares, on the CPU and on GPUs.

Torch's own SyncBatchNorm does not work on the CPU, counts the rows of a share that is empty, and is another module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from zoo.errors import UsageError
from zoo.training.distributed import World


@dataclass
class Share:
    """What the layers know of this process' share of a batch."""

    world: World
    empty: bool = False
    """Whether its rows only stand in, because there are fewer rows than processes."""


def synchronize(model: nn.Module, share: Share) -> None:
    """Let each BatchNorm of the model take its statistics, in training, of the shares of all processes.

    Raises:
        UsageError: a layer keeps statistics of the batch in another way.
    """
    for name, module in model.named_modules():
        if isinstance(module, _InstanceNorm) and module.track_running_stats:
            message = f"{type(module).__name__} {name} keeps running statistics, which several processes do not share"
            raise UsageError(message, "remove its track_running_stats, or train with one process")
        if isinstance(module, _BatchNorm):
            # Its own forward is hidden by this one, and nothing else of it: names, modes and tensors stay.
            module.forward = partial(_normalized, module, share)  # type: ignore[method-assign]


def _normalized(module: _BatchNorm, share: Share, inputs: Tensor) -> Tensor:
    """Return what the module gives for this share of the batch, (N, C, …)."""
    if not module.training:
        evaluated: Tensor = type(module).forward(module, inputs)
        return evaluated
    rows = inputs.float()
    axes = [axis for axis in range(rows.ndim) if axis != 1]
    shape = [1, -1, *[1] * (rows.ndim - 2)]
    counted = 0.0 if share.empty else 1.0
    numbers = torch.tensor([rows.numel() / rows.shape[1] * counted], dtype=torch.float64, device=rows.device)
    count = float(share.world.total(numbers))
    mean = _Total.apply(rows.sum(axes) * counted, share.world) / count  # (C,)
    centred = rows - mean.view(shape)
    variance = _Total.apply(centred.square().sum(axes) * counted, share.world) / count  # (C,)
    _remember(module, mean.detach(), variance.detach() * (count / max(1.0, count - 1)))
    normal: Tensor = centred * (variance + module.eps).rsqrt().view(shape)
    if module.weight is not None:
        normal = normal * module.weight.view(shape)
    if module.bias is not None:
        normal = normal + module.bias.view(shape)
    return normal.to(inputs.dtype)


def _remember(module: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics as torch does."""
    if module.running_mean is None or module.running_var is None or module.num_batches_tracked is None:
        return
    module.num_batches_tracked.add_(1)
    momentum = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
    module.running_mean.lerp_(mean, momentum)
    module.running_var.lerp_(variance, momentum)


class _Total(torch.autograd.Function):
    """The sum of a tensor over all processes, whose gradient is the sum of theirs."""

    # Any: torch gives the context no type.
    @staticmethod
    def forward(context: Any, tensor: Tensor, world: World) -> Tensor:
        context.world = world
        return world.total(tensor.clone())

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total: Tensor = context.world.total(gradients[0].clone())
        return total, None
