"""Checkpoint: the state of a training in a file, which is written whole, and loads without running code."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.build import build_model, build_optimizer
from zoo.check import CheckedSpec
from zoo.device import generator_states, set_generators
from zoo.errors import RunError, reason
from zoo.files import replacing
from zoo.plan import Plan
from zoo.seal import require_seal, sealed_archive
from zoo.training.form import described, is_number, is_whole, require_form
from zoo.training.state import State, prepared
from zoo.warm_start import UNREADABLE

FORMAT = 2  # of what a checkpoint holds; counted up when that changes. The first one did not say its number


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
    state = prepared(checked, build_model(checked), device, rows)  # what the spec loads is in the checkpoint
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
