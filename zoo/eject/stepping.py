"""Stepping: the Python text of one step of a training: forward, backward, and, when it is time, the move."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.checked import CheckedSpec
from zoo.eject.augmentation import augments, finishes, mixes


def step_lines(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines of a step, which works on the `inputs` and the `targets` of a batch."""
    spec, count = checked.spec, checked.spec.train.accumulation
    if not augments(spec.data):
        yield "inputs, targets = inputs.to(device), targets.to(device)"
    if finishes(spec.data):
        yield "inputs = FINISH(inputs)"
    if spec.data.mirrors and (augments(spec.data) or finishes(spec.data)):
        yield "targets = inputs"
    if mixes(spec.data):
        yield 'with seeded(f"{(SEED * 2**32 + epoch) * len(loader) + step}/-1"):'
        yield "    inputs, targets = MIX(inputs, targets)"
    yield from _forward(checked)
    loss = "loss" if spec.train.precision != "fp16" else "scaler.scale(loss)"
    if count == 1:
        yield "optimizer.zero_grad()"
        yield f"{loss}.backward()"
        yield from _move(checked)
        return
    steps = "len(loader)"
    if spec.train.steps is not None:
        yield "steps = min(len(loader), STEPS - epoch * len(loader))  # of this epoch"
        steps = "steps"
    yield f"first = step - step % {count}  # of the steps whose gradients are averaged"
    yield "if step == first:"
    yield "    optimizer.zero_grad()"
    yield f"loss = loss / min({count}, {steps} - first)"
    yield f"{loss}.backward()"
    yield f"if step == first + {count - 1} or step == {steps} - 1:"
    yield from (f"    {line}" for line in _move(checked))


def _forward(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines that compute the loss; and add it up, where it is logged."""
    train = checked.spec.train
    forward = f"loss = objective(loss_function, {'forward' if train.compile else 'model'}(inputs), targets)"
    if train.precision == "fp32":
        yield forward
    else:
        yield f"with torch.autocast(device.type, torch.{'bfloat16' if train.precision == 'bf16' else 'float16'}):"
        yield f"    {forward}"
    if train.log:
        yield f"losses += loss.detach().double(){' * len(inputs)' if checked.spec.loss.averaged else ''}"
        yield "seen += len(inputs)"


def _move(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines that move the weights by the gradients that have been added up."""
    train = checked.spec.train
    norm, value, scaled = train.clip_grad_norm, train.clip_grad_value, train.precision == "fp16"
    by_step = checked.spec.scheduler is not None and checked.spec.scheduler.interval == "step"
    if scaled and (norm is not None or value is not None):
        yield "scaler.unscale_(optimizer)"
    if norm is not None:
        yield f"nn.utils.clip_grad_norm_(model.parameters(), {norm!r})"
    if value is not None:
        yield f"nn.utils.clip_grad_value_(model.parameters(), {value!r})"
    if scaled:
        yield from ["scale = scaler.get_scale()"] if by_step else []
        yield "scaler.step(optimizer)"
        yield "scaler.update()"
    else:
        yield "optimizer.step()"
    if train.ema is not None:
        yield "average.update_parameters(model)"
    if by_step and scaled:
        yield "if scaler.get_scale() >= scale:  # a step whose gradients overflow is left out"
        yield "    scheduler.step()"
    elif by_step:
        yield "scheduler.step()"
