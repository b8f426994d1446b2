"""Prediction: a trained model's answers in a person's terms, numbers or class names with probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from zoo.build import read_inputs
from zoo.errors import DataError
from zoo.run import Run
from zoo.shapes import class_axis
from zoo.training.evaluation import predict


@dataclass(frozen=True)
class Prediction:
    """The answer to one input."""

    input: str
    """The words the input was given in: a row, or a path."""
    values: tuple[float, ...] = ()
    """What the model gives, where the targets are numbers."""
    probabilities: dict[str, float] | None = None
    """Probability of each class, the likeliest first, where the targets are classes."""

    def record(self) -> dict[str, object]:
        """Return the answer as JSON values."""
        if self.probabilities is None:
            return {"input": self.input, "prediction": list(self.values)}
        likeliest = next(iter(self.probabilities))
        return {"input": self.input, "class": likeliest, "probabilities": self.probabilities}


def predict_inputs(run: Run, inputs: tuple[str, ...]) -> list[Prediction]:
    """Return the answer of a run's model to each row or file.

    Raises:
        DataError: an input is not a row or a file that the model takes.
        RunError: the run has no weights.
    """
    checked = run.checked
    read = read_inputs(checked, inputs)
    output = predict(run.load_model(), read.rows)
    for name, row in zip(read.names, output, strict=True):
        if not row.isfinite().all():
            raise DataError(f"the model's answer to {name} is not finite", "give numbers like those it was trained on")
    if checked.example.target.dtype != "int64":
        return [Prediction(name, tuple(row.flatten().tolist())) for name, row in zip(read.names, output, strict=True)]
    axis = class_axis(checked.output, checked.example.target)
    if checked.example.target.rank == 1:
        return _classified(read.names, output, checked.example.classes)
    if checked.spec.data.token_names() and axis == checked.output.rank - 1:
        return _classified(read.names, output[:, -1], checked.spec.data.token_names())
    numbers = output.argmax(1 if axis is None else axis)
    return [Prediction(name, tuple(row.flatten().tolist())) for name, row in zip(read.names, numbers, strict=True)]


def _classified(names: Sequence[str], logits: torch.Tensor, classes: Sequence[str]) -> list[Prediction]:
    """Return the classes of each row, or the tokens that may come next, with their probabilities, the largest first."""
    predictions = []
    for name, row in zip(names, torch.softmax(logits.double(), 1), strict=True):
        order = row.argsort(descending=True, stable=True).tolist()
        predictions.append(Prediction(name, (), {classes[i]: float(row[i]) for i in order if i < len(classes)}))
    return predictions
