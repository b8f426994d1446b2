"""Agreement: what the model gives held against what the data, the loss and the metrics want."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.checked import CheckedSpec
from zoo.data.reconstruction import Reconstructable
from zoo.errors import Path, Problem, ShapeError
from zoo.layers.layer import kind
from zoo.layers.linear import IMAGES, Linear
from zoo.losses import Loss
from zoo.losses.loss import Pairwise
from zoo.metrics import Metric
from zoo.placed import THE_INPUT, PlacedLayer
from zoo.shapes import class_axis


def agreement(checked: CheckedSpec) -> list[Problem]:
    """Return the problems of a model with its targets, and of what changes the one or the other."""
    unflattened = _unflattened(checked)
    if unflattened is not None:  # other shapes would follow from it
        problems = [*_flattening(checked, unflattened), *_logit_problems(checked)]
    else:
        problems = list(_judge_problems(checked)) or [*_size_problems(checked), *_logit_problems(checked)]
    for judge in (_token_problems, _augmentation_problems):
        problems += judge(checked)
    return problems


def _judge_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield where loss or metrics cannot compare the model's output with the targets."""
    source, spec, target = checked.source, checked.spec, checked.example.target
    judges: list[tuple[Path, Loss | Metric]] = [(("loss",), spec.loss)]
    judges += [(("metrics", index), metric) for index, metric in enumerate(spec.metrics)]
    for path, judge in judges:
        try:
            judge.require(checked.output, target)
        except ShapeError as error:
            yield source.problem((*path, "type"), error.message, error.remedy + _mirroring(checked, judge))
    names = [metric.name for metric in spec.metrics]
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"the metric {type(spec.metrics[index]).__name__} stands twice"
            yield source.problem(("metrics", index, "type"), message, "keep one of them")


def _unflattened(checked: CheckedSpec) -> PlacedLayer | None:
    """Return the first Linear that is given images, where the model gives them too, for targets that are none."""
    if checked.output.rank < IMAGES or checked.example.target.rank >= IMAGES - 1:
        return None
    linear = (placed for placed in checked.layers if isinstance(placed.layer, Linear))
    return next((placed for placed in linear if placed.input.rank >= IMAGES), None)


def _flattening(checked: CheckedSpec, placed: PlacedLayer) -> list[Problem]:
    """Return the problem of a Linear that is given images, unless it was told already that in_features is another."""
    if _told_its_size(checked, placed):
        return []
    message = f"Linear works along the last axis of {placed.input} alone, and the model gives {checked.output}"
    return [checked.source.problem((*placed.path, "type"), message, 'put {"type": "Flatten"} above it')]


def _told_its_size(checked: CheckedSpec, placed: PlacedLayer) -> bool:
    """Return whether a Linear was told already that in_features is another."""
    here: Any = checked.source.value  # JSON values, walked by key
    for step in placed.path:
        here = here[step]
    return bool(here.get("in_features", placed.input.dims[-1]) != placed.input.dims[-1])


def _mirroring(checked: CheckedSpec, judge: Loss | Metric) -> str:
    """Return what else may be meant where a model gives as many numbers as it is given, to a loss of numbers."""
    given, data = checked.input, checked.spec.data
    forgotten = isinstance(data, Reconstructable) and not data.reconstruct and isinstance(judge, Pairwise)
    if not forgotten or given.dtype != "float32" or checked.output.row_size != given.row_size:
        return ""
    return '; an autoencoder, which gives back its input, needs "reconstruct": true in data'


SHAPING = {"Flatten", "Identity", "Permute", "Reshape", "Select", "Squeeze", "Transpose", "Unflatten", "Unsqueeze"}
"""Layers that only lay numbers out anew."""
SPOILED = {
    "CrossEntropyLoss": {"Softmax", "Softmax2d", "Softmin", "Sigmoid"},
    "BCEWithLogitsLoss": {"Sigmoid", "Softmax"},
}
"""Losses that take logits, with the layers that make them something else."""


def _logit_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield where the loss takes other numbers than the last layer gives: it would train, and learn little."""
    loss = type(checked.spec.loss).__name__
    last = next((placed for placed in reversed(checked.layers) if kind(placed.layer) not in SHAPING), None)
    if last is None:
        return
    name = kind(last.layer)
    if name in SPOILED.get(loss, ()):
        message = f"{loss} takes logits, but the last layer, {name}, makes them shares"
        yield checked.source.problem((*last.path, "type"), message, f"remove {name}; the loss has it inside")
    elif loss == "NLLLoss" and name in ("Linear", "Softmax", "Sigmoid"):
        message = f"NLLLoss takes logarithms of probabilities, but the last layer is {name}"
        remedy = "put LogSoftmax in its place" if name != "Linear" else "put LogSoftmax below it"
        yield checked.source.problem((*last.path, "type"), message, f"{remedy}, or use CrossEntropyLoss")


def _size_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield where the model gives other numbers than one for each class, or less than one for each token."""
    output, target = checked.output, checked.example.target
    if target.dtype != "int64":
        return
    axis = class_axis(output, target) or 1
    given = output.dims[axis] if output.rank > axis else 0
    classes, tokens = len(checked.example.classes), checked.example.vocabulary
    name = "classes" if classes else "vocabulary"
    if classes and given != classes:
        found = f"{type(checked.spec.data).__name__} has {classes} classes"
    elif tokens is not None and isinstance(given, int) and given < tokens:
        found = f"{type(checked.spec.data).__name__} has a vocabulary of {tokens}"
    else:
        return
    last = checked.layers[-1]
    options = type(last.layer).model_fields
    option = next((option for option in ("out_features", "classes") if option in options), "type")
    remedy = (
        f'write "{option}": "{name}"' if option == "classes" else f'write "out_features": "{name}" in the last Linear'
    )
    yield checked.source.problem((*last.path, option), f"the model gives {output}, but {found}", remedy)


def _token_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield the tables that lack vectors for some of the data's tokens."""
    tokens = checked.example.vocabulary
    for placed in checked.layers if tokens is not None else ():
        known = getattr(placed.layer, "num_embeddings", None)
        if placed.inputs[:1] == (THE_INPUT,) and known is not None and known < tokens:
            data = type(checked.spec.data).__name__
            message = f"{type(placed.layer).__name__} knows {known} tokens, but {data} has a vocabulary of {tokens}"
            yield checked.source.problem(
                (*placed.path, "num_embeddings"), message, 'write "num_embeddings": "vocabulary"'
            )


def _augmentation_problems(checked: CheckedSpec) -> Iterator[Problem]:
    """Yield an augmentation that would part images from their targets, or whose targets the loss does not take."""
    spec, target = checked.spec, checked.example.target
    if (
        spec.data.random() and not spec.data.mirrors and target.rank > 1 and target.dims[1:] != (1,)
    ):  # a single number has no place
        message = f"the augmentation would change images and leave their targets {target} as they are"
        yield checked.source.problem(("data", "augmentation"), message, "remove augmentation")
    mixing = next((transform for transform in spec.data.random() if transform.level == "batch"), None)
    if mixing is not None and not spec.loss.takes_probabilities:
        name, loss = type(mixing).__name__, type(spec.loss).__name__
        message = f"{name} makes targets probabilities (N, classes), which this {loss} does not take"
        remedy = f'use {{"type": "CrossEntropyLoss"}} without ignore_index, or remove {name}'
        yield checked.source.problem(("loss", "type"), message, remedy)
