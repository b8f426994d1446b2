"""Training: the Python text of a spec's loop, of its loss and of what is measured on the way."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.checked import CheckedSpec
from zoo.eject.augmentation import augments
from zoo.eject.constructor import constructor, keywords, literal
from zoo.eject.course import course_lines, course_source
from zoo.eject.measuring import evaluate_source, objective_source
from zoo.eject.optimization import optimizer_call, scheduler_call
from zoo.errors import ExportError


def training_source(checked: CheckedSpec) -> str:
    """Return the functions `objective`, `train` and `evaluate`, and what they call.

    Raises:
        ExportError: a part of them cannot be written.
    """
    if not checked.spec.train.exact:
        message = "train.exact is false, and the ejected loop gives other last bits than such a training"
        raise ExportError(message, "eject it with --set train.exact=true")
    parts = [objective_source(checked), course_source(checked), "\n".join(_train(checked)), evaluate_source(checked)]
    return "\n\n\n".join(part for part in parts if part)


def _train(checked: CheckedSpec) -> list[str]:
    spec = checked.spec
    kept = "average.module" if spec.train.ema is not None else "model"
    best = spec.train.early_stopping is not None and spec.train.early_stopping.restore_best
    return [
        "def train(device: torch.device) -> nn.Module:",
        '    """Return the trained model; the seed fixes the weights, the order of the rows and dropout."""',
        *_prepared(checked),
        *course_lines(checked, kept),
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
        yield "    forward = torch.compile(model, dynamic=False)"
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
