"""Measuring: the Python text of a spec's loss, of its metrics, and of the function that measures a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from zoo.checked import CheckedSpec
from zoo.eject.constructor import literal
from zoo.eject.metric_text import metric_text
from zoo.errors import ExportError
from zoo.shapes import Shape
from zoo.training.objective import objective_of

_ARRANGEMENTS: dict[tuple[str, ...], Callable[[Tensor, Tensor], tuple[Tensor, ...]]] = {
    ("output, targets",): lambda output, targets: (output, targets),
    ("output.flatten(0, -2), targets.flatten()",): lambda output, targets: (
        output.flatten(0, -2),
        targets.flatten(),
    ),
    ("output.movedim(1, -1).flatten(0, -2), targets.flatten()",): lambda output, targets: (
        output.movedim(1, -1).flatten(0, -2),
        targets.flatten(),
    ),
    ("means, targets, variances", "means, variances = output.chunk(2, dim=1)"): lambda output, targets: (
        output.chunk(2, dim=1)[0],
        targets,
        output.chunk(2, dim=1)[1],
    ),
}
"""The arguments of a loss as text, with the lines before them; and what the text does."""


def sample(shape: Shape, longest: int | None = None) -> Tensor:
    """Return two rows of this shape; small whole numbers where the dtype is whole.

    Args:
        shape: of a batch.
        longest: of a sequence of any length; by default what the shape says, or 3.
    """
    sizes = shape.concrete(2, longest or shape.longest or 3)
    generator = torch.Generator().manual_seed(0)
    if shape.dtype == "float32":
        return torch.rand(sizes, generator=generator)
    return torch.randint(0, 2, sizes, generator=generator).to(getattr(torch, shape.dtype))


def objective_source(checked: CheckedSpec) -> str:
    """Return the function `objective`, the loss of a batch; before it what weighs classes by their rows.

    Raises:
        ExportError: the loss wants its arguments in a form that nobody knows.
    """
    weights = [_CLASS_WEIGHTS.strip("\n")] if checked.spec.loss.counts_classes else []
    head = ["def objective(loss_function: nn.Module, output: Tensor, targets: Tensor) -> Tensor:"]
    arguments, *before = _arguments(checked)
    lines = [*head, '    """Return the loss of a batch."""', *(f"    {line}" for line in before)]
    return "\n\n\n".join([*weights, "\n".join([*lines, f"    return loss_function({arguments})"])])


_CLASS_WEIGHTS = '''
def class_weights(counts: Tensor) -> Tensor:
    """Return rows / (classes * rows of the class), in float64."""
    return counts.sum() / (len(counts) * counts.clamp(min=1).double())
'''


def _arguments(checked: CheckedSpec) -> tuple[str, ...]:
    """Return the arguments of the loss, which may want the steps of sequences as rows; and the lines before them."""
    shapes = checked.output, checked.example.target
    output, target = map(sample, shapes)
    expected = checked.spec.loss.arrangement(*shapes)(output, target)
    for text, candidate in _ARRANGEMENTS.items():
        found = candidate(output, target)
        if len(found) == len(expected) and all(map(torch.equal, found, expected)):
            return text
    kind = type(checked.spec.loss).__name__
    raise ExportError(f"{kind} cannot be ejected: it wants its arguments in another form", "use another loss")


def evaluate_source(checked: CheckedSpec) -> str:
    """Return the function `evaluate`, and those of the metrics that are more than an expression."""
    spec = checked.spec
    metrics = {
        metric.name: metric_text(metric, checked.output, checked.example.target, checked.ignored)
        for metric in spec.metrics
    }
    functions = dict.fromkeys(function.strip("\n") for text in metrics.values() for function in text.functions)
    size, weights = (
        objective_of(checked, torch.device("cpu"), sample(checked.example.target)).rows,
        spec.loss.counts_classes,
    )
    given = "rows: list[Tensor]" + (", weights: Tensor" if weights else "")
    sums = "".join(f", {name}" for name in metrics)
    zeros = ", ".join(["0.0", "0.0", *("0.0" for _ in metrics)])
    results = ['"loss": loss / mass', *(f'"{name}": {text.finished}' for name, text in metrics.items())]
    lines = [
        f"def evaluate(model: nn.Module, loss_function: nn.Module, {given}) -> dict[str, float]:",
        f'    """Return the mean loss of the rows{" and the metrics" if metrics else ""}."""',
        "    model.eval()",
        f"    loss, mass{sums} = {zeros}",
        "    with torch.inference_mode():",
        f"        for inputs, targets in zip(rows[0].split({size}), rows[1].split({size}), strict=True):",
        "            output = model(inputs)",
        *(f"            {line}" for line in _weighed(checked)),
        *(f"            {name} += {text.values}.sum(0)" for name, text in metrics.items()),
    ]
    one = f"    return {{{', '.join(results)}}}"
    lines += [one] if len(one) <= 110 else ["    return {", *(f"        {result}," for result in results), "    }"]
    return "\n\n\n".join([*functions, "\n".join(lines)])


def _weighed(checked: CheckedSpec) -> Iterator[str]:
    """Yield the lines that add a batch's loss, by what its mean was divided by."""
    loss = checked.spec.loss
    value = "objective(loss_function, output, targets).item()"
    if not loss.averaged:
        yield f"loss += {value}"
        yield "mass += len(targets)"
        return
    weight, ignored = getattr(loss, "weight", None), checked.ignored
    if loss.ignored is None:
        yield f"loss += {value} * len(targets)"
        yield "mass += len(targets)"
        return
    counted = "targets" if ignored is None else f"targets[targets != {ignored}]"
    if weight is None and ignored is None:
        yield f"loss += {value} * targets.numel()"
        yield "mass += targets.numel()"
        return
    mass = f"{counted}.numel()" if weight is None else f"{_class_weights(checked)}[{counted}].sum().item()"
    yield f"weight = {mass}"
    yield "if weight:  # torch's mean over nothing is NaN"
    yield f"    loss += {value} * weight"
    yield "mass += weight"


def _class_weights(checked: CheckedSpec) -> str:
    loss = checked.spec.loss
    if loss.counts_classes:
        return "weights"
    return f"torch.tensor({literal(list(getattr(loss, 'weight', ())))}, dtype=torch.float64, device=targets.device)"
