"""Training: the Python text of a spec's loop, of its loss and of what is measured on the way."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.build import bare_model
from zoo.checked import CheckedSpec
from zoo.eject.augmentation import augments, finishes, mixes
from zoo.eject.constructor import constructor, keywords, literal
from zoo.eject.measuring import evaluate_source, objective_source
from zoo.eject.optimization import optimizer_call, scheduler_call

FOLLOWED = {
    "accumulation",
    "batch_size",
    "clip_grad_norm",
    "clip_grad_value",
    "compile",
    "deterministic",
    "drop_last",
    "early_stopping",
    "ema",
    "epochs",
    "precision",
    "sampler",
    "seed",
    "shuffle",
}
"""The options of the training that the loop follows; a spec that says another is refused."""


def training_source(checked: CheckedSpec) -> str:
    """Return the functions `objective`, `train` and `evaluate`.

    Raises:
        ExportError: a part of them cannot be written.
    """
    return "\n\n\n".join([objective_source(checked), "\n".join(_train(checked)), evaluate_source(checked)])


def _train(checked: CheckedSpec) -> list[str]:
    spec = checked.spec
    kept = "average.module" if spec.train.ema is not None else "model"
    best = spec.train.early_stopping is not None and spec.train.early_stopping.restore_best
    return [
        "def train(device: torch.device) -> nn.Module:",
        '    """Return the trained model; the seed fixes the weights, the order of the rows and dropout."""',
        *_prepared(checked),
        *_epoch(checked),
        *_measured(checked, kept),
        *([f"    {kept}.load_state_dict(best_weights)"] if best else []),
        f"    return {kept}",
    ]


def _prepared(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines before the first epoch."""
    spec, train = checked.spec, checked.spec.train
    pretrained = getattr(checked.layers[0].layer, "weights", None) is not None
    if train.deterministic:
        yield "    torch.use_deterministic_algorithms(True)"
    yield "    torch.manual_seed(SEED)"
    yield "    model = build_model()"
    if spec.init or pretrained:
        yield "    initialize(model)"
    yield "    model = model.to(device)"
    if train.compile:
        yield "    forward = torch.compile(model)"
    yield '    inputs, targets = data("train")'
    given = (
        "Augmented(inputs.to(device), targets.to(device))" if augments(spec.data) else "TensorDataset(inputs, targets)"
    )
    yield f"    rows = {given}"
    others = [split for split in spec.data.splits if split != "train"]
    yield f"    measured = {{split: [part.to(device) for part in data(split)] for split in {literal(tuple(others))}}}"
    yield from _loader(checked)
    yield f"    optimizer = {optimizer_call(checked)}"
    if spec.scheduler is not None:
        yield f"    scheduler = {scheduler_call(checked)}"
    yield f"    loss_function = {_loss(checked)}.to(device)"
    if train.precision == "fp16":
        yield "    scaler = torch.amp.GradScaler(device.type)"
    if train.ema is not None:
        yield f"    decay = get_ema_multi_avg_fn({train.ema!r})"
        yield "    average = AveragedModel(model, multi_avg_fn=decay, use_buffers=True)"
    if train.early_stopping is not None:
        yield f"    best, best_epoch = {'-' if train.early_stopping.mode == 'max' else ''}math.inf, 0"


def _loader(checked: CheckedSpec) -> Iterator[str]:
    train, classes = checked.spec.train, len(checked.example.classes)
    options = ["BATCH_SIZE", *([f"shuffle={train.shuffle}"] if train.sampler is None else ["sampler=sampler"])]
    options += ["drop_last=True"] if train.drop_last else []
    yield "    generator = torch.Generator().manual_seed(SEED)"
    if train.sampler is not None or checked.spec.loss.counts_classes:
        ignored = checked.spec.data.ignored
        outside = None if ignored in range(classes) else ignored
        known = "targets" if outside is None else f"targets[targets != {outside}]"
        yield f"    counts = torch.bincount({known}.flatten().cpu(), minlength={classes})  # rows of each class"
    if train.sampler is not None:
        chances = "(1 / counts.double())[targets.cpu()]"
        if outside is not None:
            yield f"    numbers = targets.cpu().masked_fill(targets.cpu() == {outside}, 0)"
            chances = f"torch.where(targets.cpu() == {outside}, 0.0, (1 / counts.double())[numbers])"
        yield f"    chances = {chances}"
        yield "    sampler = WeightedRandomSampler(chances, len(rows), generator=generator)"
    yield f"    loader = DataLoader(rows, {', '.join(options)}, generator=generator)"


def _loss(checked: CheckedSpec) -> str:
    loss = checked.spec.loss
    if not loss.counts_classes:
        return constructor(loss.build(), name="loss")
    fields = type(loss).model_fields
    said = {name: getattr(loss, name) for name in fields if name not in ("type", "weight")}
    others = {name: value for name, value in said.items() if value != fields[name].default}
    weight = "weight=class_weights(counts).float()"
    return f"nn.{type(loss).__name__}({', '.join([weight, *keywords(others)])})"


def _epoch(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines of an epoch up to its last step."""
    spec, train = checked.spec, checked.spec.train
    counted = train.accumulation > 1 or mixes(spec.data)
    yield "    for epoch in range(EPOCHS):"
    if augments(spec.data):
        yield "        rows.epoch = epoch"
    yield "        model.train()"
    if spec.freeze:
        yield "        for module in model.modules():  # a module whose tensors are all frozen stays in evaluation mode"
        yield "            if list(module.parameters()) and not any(p.requires_grad for p in module.parameters()):"
        yield "                module.eval()"
    if still(checked):
        yield "        # below these nothing is trained, so they stay in evaluation mode too"
        yield f"        for name in {literal(tuple(still(checked)))}:"
        yield "            model.get_submodule(name).eval()"
    yield f"        for {'step, (inputs, targets)' if counted else 'inputs, targets'} in " + (
        "enumerate(loader):" if counted else "loader:"
    )
    if not augments(spec.data):
        yield "            inputs, targets = inputs.to(device), targets.to(device)"
    if finishes(spec.data):
        yield "            inputs = FINISH(inputs)"
    if mixes(spec.data):
        yield '            with seeded(f"{(SEED * 2**32 + epoch) * len(loader) + step}/-1"):'
        yield "                inputs, targets = MIX(inputs, targets)"
    yield from (f"            {line}" for line in _step(checked))


def _step(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines of a step: forward, backward, and, when it is time, the move."""
    train, count = checked.spec.train, checked.spec.train.accumulation
    output = "forward(inputs)" if train.compile else "model(inputs)"
    forward = f"loss = objective(loss_function, {output}, targets)"
    if train.precision == "fp32":
        yield forward
    else:
        yield f"with torch.autocast(device.type, torch.{'bfloat16' if train.precision == 'bf16' else 'float16'}):"
        yield f"    {forward}"
    loss = "loss" if train.precision != "fp16" else "scaler.scale(loss)"
    if count == 1:
        yield "optimizer.zero_grad()"
        yield f"{loss}.backward()"
        yield from _move(checked)
        return
    yield f"first = step - step % {count}  # of the steps whose gradients are averaged"
    yield "if step == first:"
    yield "    optimizer.zero_grad()"
    yield f"loss = loss / min({count}, len(loader) - first)"
    yield f"{loss}.backward()"
    yield f"if step == first + {count - 1} or step == len(loader) - 1:"
    yield from (f"    {line}" for line in _move(checked))


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


def _measured(checked: CheckedSpec, kept: str) -> Iterator[str]:
    """Yield the lines at the end of an epoch."""
    scheduler, stopping = checked.spec.scheduler, checked.spec.train.early_stopping
    weights = ", class_weights(counts)" if checked.spec.loss.counts_classes else ""
    call = f"evaluate({kept}, loss_function, rows{weights})"
    yield f"        measurements = {{split: {call} for split, rows in measured.items()}}"
    yield '        print(f"epoch {epoch + 1}/{EPOCHS}", measurements)'
    if scheduler is not None and scheduler.interval == "epoch":
        watched = "" if scheduler.watched is None else f'measurements["validation"]["{scheduler.watched}"]'
        yield f"        scheduler.step({watched})"
    if stopping is not None:
        value = f'measurements["validation"]["{stopping.metric}"]'
        better = f"best - {value}" if stopping.mode == "min" else f"{value} - best"
        yield f"        if {better} > {stopping.min_delta!r}:"
        yield f"            best, best_epoch = {value}, epoch"
        yield from [f"            best_weights = copy.deepcopy({kept}.state_dict())"] if stopping.restore_best else []
        yield f"        if epoch - best_epoch > {stopping.patience}:"
        yield "            break"


def still(checked: CheckedSpec) -> list[str]:
    """Return the modules without tensors that stay in evaluation mode, as those with frozen tensors alone do."""
    modules = dict(bare_model(checked).named_modules()) if checked.spec.freeze else {}
    return [name for name in checked.frozen_layers if name in modules and not list(modules[name].parameters())]
