"""State: all that a training is at a step, and its checkpoint, which loads without running code.

The sampler draws as `DataLoader(shuffle=True, generator=g)` does, the numbers that go unused included, so that the same
seed gives the same batches.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn, optim

from zoo.build import build_model, build_optimizer
from zoo.check import CheckedSpec
from zoo.errors import RunError, reason
from zoo.files import replacing


@dataclass
class State:
    """Model, optimizer, scheduler, generators, and how far the training has come."""

    model: nn.Module
    optimizer: optim.Optimizer
    scheduler: optim.lr_scheduler.LRScheduler | None
    sampler: torch.Generator
    """Draws the order of the rows; on the CPU whatever the device."""
    device: torch.device
    epoch: int = 0
    """Whole epochs done."""
    step: int = 0
    """Steps done in the epoch that has begun."""
    losses: torch.Tensor | None = None
    """The loss of each step of the epoch that has begun, (steps,); those not yet done are 0."""
    last_loss: float | None = None
    """The last finite loss that was read."""
    sampler_before: torch.Tensor | None = None
    """The sampler's state before the order of the epoch that has begun was drawn."""

    def draw_order(self, rows: int) -> torch.Tensor:
        """Return the epoch's order of the rows, (rows,), on the device."""
        self.sampler_before = self.sampler.get_state()
        torch.empty((), dtype=torch.int64).random_(generator=self.sampler)  # DataLoader's seed for its workers
        order = torch.randperm(rows, generator=self.sampler)
        torch.randperm(rows, generator=self.sampler)  # RandomSampler's order of the remainder, which is empty
        return order.to(self.device)

    def begin_losses(self, steps: int) -> torch.Tensor:
        """Return the buffer for the epoch's losses; after a resume it holds those of the steps already done."""
        if self.losses is None:
            self.losses = torch.zeros(steps, device=self.device)
        return self.losses

    def next_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch, self.step, self.losses, self.sampler_before = self.epoch + 1, 0, None, None


def begin(checked: CheckedSpec, device: torch.device) -> State:
    """Return the state before the first step, as `torch.manual_seed(seed)` followed by building gives it."""
    seed = checked.spec.train.seed
    torch.manual_seed(seed)
    model = build_model(checked).to(device)
    optimizer, scheduler = build_optimizer(checked, model.parameters())
    return State(model, optimizer, scheduler, torch.Generator().manual_seed(seed), device)


def save(path: Path, state: State) -> None:
    """Write the training as it stands between two steps, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    record = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict() if state.scheduler is not None else {},
        "sampler": state.sampler.get_state() if state.sampler_before is None else state.sampler_before,
        "generator": torch.get_rng_state(),
        "cuda_generator": torch.cuda.get_rng_state(state.device) if state.device.type == "cuda" else None,
        "epoch": state.epoch,
        "step": state.step,
        "losses": None if state.losses is None else state.losses.cpu(),
        "last_loss": state.last_loss,
    }
    content = BytesIO()
    torch.save(record, content)
    with replacing(path) as temporary:
        # As bytes: torch's own file writer reports a full disk as a RuntimeError.
        temporary.write_bytes(content.getvalue())


def resume(path: Path, checked: CheckedSpec, device: torch.device) -> State:
    """Return the state that a checkpoint holds; torch's global generators are set to it.

    Raises:
        RunError: the checkpoint is absent, damaged, or of another spec.
    """
    state = begin(checked, device)
    remedy = "train again: a training that is not resumed starts from its seed"
    if not path.is_file():
        raise RunError(f"there is no checkpoint at {path}", remedy)
    try:
        # Any: torch.load has no better type; every value is checked by the load_state_dict that takes it.
        record: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state.model.load_state_dict(record["model"])
        state.optimizer.load_state_dict(record["optimizer"])
        if state.scheduler is not None:
            state.scheduler.load_state_dict(record["scheduler"])
        state.sampler.set_state(record["sampler"])
        torch.set_rng_state(record["generator"])
        if device.type == "cuda" and record["cuda_generator"] is not None:
            torch.cuda.set_rng_state(record["cuda_generator"], device)
        state.epoch, state.step, state.last_loss = int(record["epoch"]), int(record["step"]), record["last_loss"]
        state.losses = None if record["losses"] is None else record["losses"].to(device)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(f"the checkpoint {path} is damaged or of another spec: {reason(error)}", remedy) from error
    return state
