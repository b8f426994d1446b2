"""Course: the Python text of a training's loop, and of what is measured, noted and decided between its steps.

A training that is measured after each of its epochs has the loop of the tutorials, one in the other. One that counts
its steps, because it ends or is measured within an epoch, has one loop over the batches of all epochs.
"""

from __future__ import annotations

from collections.abc import Iterator

from zoo.build import bare_model
from zoo.checked import CheckedSpec
from zoo.eject.augmentation import augments, mixes
from zoo.eject.constructor import literal
from zoo.eject.stepping import step_lines

LOG_ROW = '''
def log_row(row: dict[str, float]) -> None:
    """Write a measurement into metrics.csv, under the names of its columns where it is the first."""
    with open("metrics.csv", "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(row)
'''
SET_MODES = '''
def set_modes(model: nn.Module) -> None:
    """Put the model into training mode, but not a module whose tensors are all frozen."""
    model.train()
    for module in model.modules():
        if list(module.parameters()) and not any(p.requires_grad for p in module.parameters()):
            module.eval()
'''
_BATCHES = '''
def batches(loader: DataLoader, total: int) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Yield so many batches, each with its epoch and its step in it, counted from 0."""
    for epoch in range(math.ceil(total / len(loader))):
AUGMENTED        for step, (inputs, targets) in enumerate(islice(loader, total - epoch * len(loader))):
            yield epoch, step, inputs, targets
'''


def counts_steps(checked: CheckedSpec) -> bool:
    """Return whether the training ends, or is measured, within an epoch."""
    return checked.spec.train.steps is not None or checked.spec.train.evaluate_every is not None


def course_source(checked: CheckedSpec) -> str:
    """Return the functions that the loop calls; empty where it calls none."""
    parts = []
    if checked.spec.freeze:
        names = still(checked)
        below = ["    # below these nothing is trained", f"    for name in {literal(tuple(names))}:"]
        below += ["        model.get_submodule(name).eval()"]
        parts.append("\n".join([SET_MODES.strip("\n"), *(below if names else [])]))
    if counts_steps(checked):
        augmented = "        loader.dataset.epoch = epoch\n" if augments(checked.spec.data) else ""
        parts.append(_BATCHES.replace("AUGMENTED", augmented).strip("\n"))
    if "csv" in checked.spec.train.log:
        parts.append(LOG_ROW.strip("\n"))
    return "\n\n\n".join(parts)


def course_lines(checked: CheckedSpec, kept: str) -> Iterator[str]:
    """Yield the lines of the loop, in a function.

    Args:
        checked: the spec.
        kept: what the model is called that is measured and kept.
    """
    yield from _begun(checked)
    yield from (f"    {line}" for line in (_by_steps if counts_steps(checked) else _by_epochs)(checked, kept))
    if "tensorboard" in checked.spec.train.log:
        yield "    writer.close()"


def _begun(checked: CheckedSpec) -> Iterator[str]:
    train = checked.spec.train
    if train.early_stopping is not None:
        yield f"    best, waited = {'-' if train.early_stopping.mode == 'max' else ''}math.inf, 0"
    if "csv" in train.log:
        yield '    Path("metrics.csv").write_text("")'
    if "tensorboard" in train.log:
        yield "    from torch.utils.tensorboard import SummaryWriter  # which takes seconds"
        yield ""
        yield '    writer = SummaryWriter("tensorboard")'


def _by_epochs(checked: CheckedSpec, kept: str) -> Iterator[str]:
    counted = checked.spec.train.accumulation > 1 or mixes(checked.spec.data)
    yield "for epoch in range(EPOCHS):"
    if augments(checked.spec.data):
        yield "    rows.epoch = epoch"
    yield from (f"    {line}" for line in _stretch(checked))
    yield f"    for {'step, (inputs, targets)' if counted else 'inputs, targets'} in " + (
        "enumerate(loader):" if counted else "loader:"
    )
    yield from (f"        {line}" for line in step_lines(checked))
    yield from (f"    {line}" for line in _measured(checked, kept))


def _by_steps(checked: CheckedSpec, kept: str) -> Iterator[str]:
    train, scheduler = checked.spec.train, checked.spec.scheduler
    yield f"total = {'EPOCHS * len(loader)' if train.steps is None else 'STEPS'}"
    yield from _stretch(checked)
    yield "for done, (epoch, step, inputs, targets) in enumerate(batches(loader, total), 1):"
    yield from (f"    {line}" for line in step_lines(checked))
    every = f"done % {train.evaluate_every}" if train.evaluate_every is not None else "done % len(loader)"
    yield f"    if {every} == 0 or done == total:"
    yield from (f"        {line}" for line in _measured(checked, kept))
    yield from (f"        {line}" for line in _stretch(checked))
    if scheduler is not None and scheduler.interval == "epoch" and scheduler.watched is None:
        yield "    if step == len(loader) - 1:"
        yield "        scheduler.step()"


def _stretch(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines before the first step, and before the first one behind a measurement."""
    if checked.spec.train.log:
        yield "losses, seen = 0.0, 0"
    if "csv" in checked.spec.train.log:
        yield "started = time.perf_counter()"
    yield "set_modes(model)" if checked.spec.freeze else "model.train()"


def _measured(checked: CheckedSpec, kept: str) -> Iterator[str]:
    """Yield the lines of a measurement."""
    scheduler, by_steps = checked.spec.scheduler, counts_steps(checked)
    weights = ", class_weights(counts)" if checked.spec.loss.counts_classes else ""
    call = f"evaluate({kept}, loss_function, rows{weights})"
    yield f"measurements = {{split: {call} for split, rows in measured.items()}}"
    yield f'print(f"{"step {done}/{total}" if by_steps else "epoch {epoch + 1}/{EPOCHS}"}", measurements)'
    yield from _logged(checked)
    if scheduler is not None and scheduler.watched is not None:
        at_ends = (
            by_steps and str(scheduler.interval) == "epoch"
        )  # the last measurement may come before the epoch's end
        yield from ["if step == len(loader) - 1:"] if at_ends else []
        yield f'{"    " if at_ends else ""}scheduler.step(measurements["validation"]["{scheduler.watched}"])'
    elif scheduler is not None and scheduler.interval == "epoch" and not by_steps:
        yield "scheduler.step()"
    yield from _stopped(checked, kept)


def _logged(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines that write a measurement into files."""
    log, by_steps = checked.spec.train.log, counts_steps(checked)
    if not log:
        return
    yield 'row = {"epoch": epoch + 1, "step": done}' if by_steps else 'row = {"epoch": epoch + 1}'
    yield 'row |= {"lr": optimizer.param_groups[0]["lr"], "train_loss": float(losses) / seen}'
    yield "for split, values in measurements.items():"
    yield '    row |= {f"{split}_{name}": value for name, value in values.items()}'
    if "csv" in log:
        yield 'log_row(row | {"seconds": round(time.perf_counter() - started, 4)})'
    if "tensorboard" in log:
        yield "for name, value in row.items():"
        yield '    if name not in ("epoch", "step"):'
        tag = 're.sub("^(train|validation|test)_", r"\\1/", name)'
        yield f"        writer.add_scalar({tag}, value, {'done' if by_steps else 'epoch + 1'})"


def _stopped(checked: CheckedSpec, kept: str) -> Iterator[str]:
    """Yield the lines that keep the best weights, and end the training when they are no longer bettered."""
    stopping = checked.spec.train.early_stopping
    if stopping is None:
        return
    value = f'measurements["validation"]["{stopping.metric}"]'
    better = f"{value} - best" if stopping.mode == "max" else f"best - {value}"
    yield "waited += 1"
    yield f"if {better} > {stopping.min_delta!r}:"
    yield f"    best, waited = {value}, 0"
    yield from [f"    best_weights = copy.deepcopy({kept}.state_dict())"] if stopping.restore_best else []
    yield f"if waited > {stopping.patience}:"
    yield "    break"


def still(checked: CheckedSpec) -> list[str]:
    """Return the modules without tensors that stay in evaluation mode, as those with frozen tensors alone do."""
    modules = dict(bare_model(checked).named_modules()) if checked.spec.freeze else {}
    return [name for name in checked.frozen_layers if name in modules and not list(modules[name].parameters())]
