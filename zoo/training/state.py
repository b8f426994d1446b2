"""State: all that a training is at a step, and its checkpoint, which loads without running code.

The sampler draws as `DataLoader(shuffle=True, generator=g)` does, the numbers that go unused included, so that the same
seed gives the same batches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn, optim

from zoo.build import build_model, build_optimizer, initialized_model
from zoo.check import CheckedSpec
from zoo.device import generator_states, set_generators
from zoo.errors import RunError, reason
from zoo.files import replacing
from zoo.plan import Plan
from zoo.seal import require_seal, sealed_archive
from zoo.training.average import Average
from zoo.training.form import described, is_number, is_whole, require_form
from zoo.warm_start import UNREADABLE

FORMAT = 2  # of what a checkpoint holds; counted up when that changes. The first one did not say its number


@dataclass
class State:
    """Model, optimizer, scheduler, generators, and how far the training has come."""

    model: nn.Module
    optimizer: optim.Optimizer
    scheduler: optim.lr_scheduler.LRScheduler | None
    sampler: torch.Generator
    """Draws the order of the rows; on the CPU whatever the device."""
    device: torch.device
    spec_sha256: str
    """Of which spec the training is."""
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
    scaler: torch.amp.GradScaler | None = None
    """Scales the loss, where the precision needs it."""
    average: Average | None = None
    """The running mean of the weights, where the spec keeps one."""
    best: float | None = None
    """The best measurement so far, where the spec stops early."""
    best_evaluation: int = 0
    """Which measurement it was, counted from 1."""
    evaluations: int = 0
    """Measurements done."""
    carried: float = 0.0
    """The losses of the rows since the last measurement, summed over the epochs that have ended since."""
    drawn: torch.Tensor | None = None
    """The order of the epoch that has begun, once it is drawn; a checkpoint holds what it is drawn from."""
    others: list[dict[str, torch.Tensor]] = field(default_factory=list)
    """The generators of the other processes, in the order of their ranks."""
    whole: State | None = None
    """Where the tensors are shared out over processes: what is brought up to date for writing, on the CPU."""

    @property
    def measured(self) -> nn.Module:
        """Return the model that is measured and kept: the mean of the weights, or the weights."""
        module: nn.Module = self.model if self.average is None else self.average.module
        return module

    def order(self, rows: int, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the order of the epoch that has begun, as `draw_order` gives it."""
        if self.drawn is None:
            self.drawn = self.draw_order(rows, weights)
        return self.drawn

    def draw_order(self, rows: int, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the epoch's order of the rows, (rows,), on the device; with weights, rows drawn with replacement."""
        self.sampler_before = self.sampler.get_state()
        torch.empty((), dtype=torch.int64).random_(generator=self.sampler)  # DataLoader's seed for its workers
        if weights is not None:
            return torch.multinomial(weights, rows, replacement=True, generator=self.sampler).to(self.device)
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
        self.epoch, self.step = self.epoch + 1, 0
        self.losses = self.sampler_before = self.drawn = None


def begin(checked: CheckedSpec, device: torch.device, rows: int | None = None) -> State:
    """Return the state before the first step, as `torch.manual_seed(seed)` followed by building gives it.

    Args:
        checked: the spec.
        device: where the training runs.
        rows: how many an epoch has; by default as many as the data declares.

    Raises:
        RunError: tensors that the spec loads are not there.
    """
    torch.manual_seed(checked.spec.train.seed)
    return _state(checked, initialized_model(checked), device, rows)


def _state(checked: CheckedSpec, model: nn.Module, device: torch.device, rows: int | None) -> State:
    model = model.to(device)
    expected = checked.example.training_rows or 1 if rows is None else rows
    optimizer, scheduler = build_optimizer(checked, model.named_parameters(), expected)
    train = checked.spec.train
    sampler = torch.Generator().manual_seed(train.seed)
    state = State(model, optimizer, scheduler, sampler, device, checked.spec.sha256())
    if train.precision == "fp16":
        state.scaler = torch.amp.GradScaler(device.type)
    if train.ema is not None:
        state.average = Average(model, train.ema)
    return state


def save(path: Path, state: State) -> None:
    """Write the training as it stands between two steps, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_record(path, _record(state))


# Any: tensors, numbers, and dictionaries of them.
def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write what a checkpoint holds, sealed with its sha256.

    Raises:
        OutputError: the file cannot be written.
    """
    content = BytesIO()
    torch.save(record, content)
    with replacing(path) as temporary:
        # As bytes: torch's own file writer reports a full disk as a RuntimeError.
        temporary.write_bytes(sealed_archive(content.getvalue()))


# Any: tensors, numbers, and dictionaries of them.
def _record(state: State) -> dict[str, Any]:
    """Return what a checkpoint holds."""
    return {
        "format": FORMAT,
        "spec_sha256": state.spec_sha256,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scheduler": state.scheduler.state_dict() if state.scheduler is not None else {},
        "sampler": state.sampler.get_state() if state.sampler_before is None else state.sampler_before,
        "cuda_generator": None,
        **generator_states(state.device),
        "epoch": state.epoch,
        "step": state.step,
        "losses": None if state.losses is None else state.losses.cpu(),
        "last_loss": state.last_loss,
        "scaler": {} if state.scaler is None else state.scaler.state_dict(),
        "average": {} if state.average is None else state.average.state_dict(),
        "best": state.best,
        "best_evaluation": state.best_evaluation,
        "evaluations": state.evaluations,
        "carried": state.carried,
        "others": state.others,
    }


def resume(path: Path, checked: CheckedSpec, device: torch.device, rows: int) -> State:
    """Return the state that a checkpoint holds; torch's global generators are set to it.

    Args:
        path: the checkpoint.
        checked: the spec that it must be of.
        device: where the training goes on.
        rows: how many an epoch has.

    Raises:
        RunError: the checkpoint is absent, damaged, of another spec, or written by another version of zoo.
    """
    torch.manual_seed(checked.spec.train.seed)
    state = _state(checked, build_model(checked), device, rows)  # what the spec loads is in the checkpoint
    remedy = "train again: a training that is not resumed starts from its seed"
    if not path.is_file():
        raise RunError(f"there is no checkpoint at {path}", remedy)
    try:
        require_seal(path)
        # Any: torch.load has no better type; _require looks at every value.
        record: Any = torch.load(path, map_location="cpu", weights_only=True)
        _require_format(record, path)
        another = isinstance(record, dict) and "spec_sha256" in record and not checked.is_of(record["spec_sha256"])
        if not another:
            _require(record, state, checked, rows)
            _restore(state, record)
    except UNREADABLE as error:
        raise RunError(f"the checkpoint {path} is damaged: {reason(error)}", remedy) from error
    if another:
        raise RunError(f"the checkpoint {path} is of another spec", remedy)
    return state


# Any: what was found in a file.
def _require_format(record: Any, path: Path) -> None:
    """Refuse a checkpoint that another version of zoo wrote.

    Raises:
        RunError: it is one.
    """
    if not isinstance(record, dict) or not {"spec_sha256", "model"} <= record.keys():
        return  # damaged
    found = record.get("format", 1)
    if is_whole(found) and found != FORMAT:
        message = (
            f"the checkpoint {path} was written by another version of zoo (format {found}, this one reads {FORMAT})"
        )
        remedy = f'go on with that version; or train anew from its weights: "init": {{"from": "{path}"}} in the spec'
        raise RunError(message, remedy)


def _restore(state: State, record: dict[str, Any]) -> None:
    state.model.load_state_dict(record["model"])
    state.optimizer.load_state_dict(record["optimizer"])
    if state.scheduler is not None:
        state.scheduler.load_state_dict(record["scheduler"])
    state.sampler.set_state(record["sampler"])
    set_generators(state.device, record)
    state.spec_sha256 = record["spec_sha256"]  # as spec.json was written: the same from begin to end of a run
    state.epoch, state.step, state.last_loss = record["epoch"], record["step"], record["last_loss"]
    state.losses = None if record["losses"] is None else record["losses"].to(state.device)
    state.best, state.best_evaluation, state.others = record["best"], record["best_evaluation"], record["others"]
    state.evaluations, state.carried = record["evaluations"], record["carried"]
    if state.scaler is not None:
        state.scaler.load_state_dict(record["scaler"])
    if state.average is not None:
        state.average.load_state_dict(record["average"])


# Any: what was found in a file.
def _require(record: Any, state: State, checked: CheckedSpec, rows: int) -> None:
    """Refuse a record that is not what `save` writes for this spec.

    Raises:
        ValueError: with what is wrong.
    """
    pattern = _record(state)
    if not isinstance(record, dict) or record.keys() != pattern.keys():
        raise ValueError(f"it is {described(record)}")
    _require_progress(record, checked.spec.train.plan(rows))
    skipped = state.scaler is not None and not _held(record["optimizer"])  # every step so far overflowed
    if (record["epoch"] or record["step"]) and not skipped:
        pattern["optimizer"] = _stepped(checked, state.model, rows)
    for name in ("model", "optimizer", "scheduler", "sampler", "generator", "scaler", "average"):
        require_form(record[name], pattern[name], name)
    if pattern["cuda_generator"] is not None and record["cuda_generator"] is not None:
        require_form(record["cuda_generator"], pattern["cuda_generator"], "cuda_generator")
    several = len(record["others"]) if isinstance(record["others"], list) else 1
    for other in record["others"] if several else ():
        cuda = (
            {"cuda_generator": other["cuda_generator"]} if isinstance(other, dict) and "cuda_generator" in other else {}
        )
        require_form(other, {"generator": pattern["generator"], **cuda}, "others")


def _held(optimizer: object) -> bool:
    """Return whether an optimizer's state dict holds anything of its steps."""
    return not isinstance(optimizer, dict) or bool(optimizer.get("state"))


def _require_progress(record: dict[str, Any], plan: Plan) -> None:
    """Refuse a record that is not between two steps of the training.

    Raises:
        ValueError: with what is wrong.
    """
    ends = {"epoch": plan.epochs, "step": plan.steps, "evaluations": plan.evaluations}
    for name, end in (*ends.items(), ("best_evaluation", record["evaluations"])):
        if not is_whole(record[name]) or not 0 <= record[name] <= end:
            raise ValueError(f"{name} is {described(record[name])}, not a whole number from 0 to {end}")
    first, last = plan.stretch(record["evaluations"])
    done = record["epoch"] * plan.steps + record["step"]
    if not first <= done <= last:
        raise ValueError(f"{done} steps are done, and not {first} to {last}")
    for name in ("last_loss", "best", "carried"):
        optional = record[name] is None and name != "carried"
        if not optional and not (is_number(record[name]) and math.isfinite(record[name])):
            raise ValueError(f"{name} is {described(record[name])}, not a finite number")
    losses = record["losses"]
    if losses is not None:
        require_form(losses, torch.zeros(plan.steps), "losses")
        if not losses.isfinite().all():
            raise ValueError("losses are not finite")
    elif record["step"]:
        raise ValueError("losses are absent")


def _stepped(checked: CheckedSpec, model: nn.Module, rows: int) -> dict[str, Any]:
    """Return the state of the spec's optimizer after a step on such a model: its form shows only then."""
    parameters = {
        name: nn.Parameter(torch.zeros_like(p, device="cpu"), p.requires_grad) for name, p in model.named_parameters()
    }
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer, _ = build_optimizer(checked, parameters.items(), rows)
    optimizer.step()
    return optimizer.state_dict()
