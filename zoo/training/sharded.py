"""Sharded: weights, gradients and optimizer state shared out over several processes by FSDP2 (fully_shard).

The state before it stays as the whole one, on the CPU: it is brought up to date where something is written, so that a
checkpoint is the same file whatever the strategy and the number of processes.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from zoo.build import build_optimizer
from zoo.check import CheckedSpec
from zoo.training.distributed import World
from zoo.training.state import State


def shard(checked: CheckedSpec, state: State, rows: int, world: World) -> State:
    """Return the state with its tensors shared out; the one given is kept in it as the whole.

    Args:
        checked: the spec.
        state: as it begins, or as a checkpoint has it.
        rows: how many an epoch has.
        world: the processes.
    """
    state.model.to("cpu")
    model = copy.deepcopy(state.model)
    mesh = init_device_mesh(state.device.type, (world.size,))
    tied = len(dict(model.named_parameters(remove_duplicate=False))) > len(dict(model.named_parameters()))
    for child in () if tied else model.children():
        if any(parameter.requires_grad for parameter in child.parameters()):
            fully_shard(child, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to(state.device)  # buffers
    optimizer, scheduler = build_optimizer(checked, model.named_parameters(), rows)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    record = state.optimizer.state_dict()
    shares = {index: _shared(values, parameters[index]) for index, values in record["state"].items()}
    optimizer.load_state_dict({**record, "state": shares})
    if scheduler is not None and state.scheduler is not None:
        scheduler.load_state_dict(state.scheduler.state_dict())
    return replace(state, model=model, optimizer=optimizer, scheduler=scheduler, whole=state)


def gathered(state: State) -> State:
    """Return the state with all its tensors whole; every process takes part."""
    whole = state.whole
    if whole is None:
        return state
    whole.model.load_state_dict(_whole(state.model.state_dict()))
    whole.optimizer.load_state_dict(_whole(state.optimizer.state_dict()))
    return replace(state, model=whole.model, optimizer=whole.optimizer, whole=None)


# Any: a state dict, and what it holds.
def _whole(value: Any) -> Any:
    """Return the value with whole tensors on the CPU in the place of shares."""
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, dict):
        return {key: _whole(member) for key, member in value.items()}
    return value.cpu() if isinstance(value, torch.Tensor) else value


# Any: what an optimizer remembers of a tensor.
def _shared(values: dict[str, Any], parameter: nn.Parameter) -> dict[str, Any]:
    """Return what an optimizer remembers of a tensor, shared out as the tensor is."""
    if not isinstance(parameter, DTensor):
        return values
    mesh, placements = parameter.device_mesh, parameter.placements
    return {
        name: distribute_tensor(value.to(parameter.device), mesh, placements)
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape and value.dim()
        else value
        for name, value in values.items()
    }
