"""Metrics: the Python text of what a person reads of a model beside its loss."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import ExportError
from zoo.metrics import Metric
from zoo.metrics.classification import TINY, Accuracy, F1Score, Perplexity, Precision, Recall
from zoo.metrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score
from zoo.shapes import Shape, class_axis


@dataclass(frozen=True)
class MetricText:
    """A metric as text."""

    values: str
    """The numbers of each row, (N,) or (N, K), from `output` and `targets`."""
    finished: str
    """The metric from the sums of these numbers, (K,) or (), which go by the metric's name, and from `rows`."""
    functions: tuple[str, ...] = ()
    """What the two call."""


def metric_text(metric: Metric, output: Shape, target: Shape, ignored: int | None) -> MetricText:
    """Return a metric as text, for a model of these shapes, and targets of which one class number does not count.

    Raises:
        ExportError: nobody knows it.
    """
    name, mean = metric.name, f"({metric.name}.cpu() / len(rows[0]))"
    if isinstance(metric, MeanAbsoluteError | MeanSquaredError):
        power = "abs" if isinstance(metric, MeanAbsoluteError) else "square"
        root = ".sqrt()" if isinstance(metric, MeanSquaredError) and not metric.squared else ""
        return MetricText(f"(output.double() - targets.double()).{power}(){_EACH}", f"{mean}{root}.item()")
    if isinstance(metric, R2Score):
        return MetricText("squares(output, targets)", f"explained{mean}", (_SQUARES, _EXPLAINED))
    axis = class_axis(output, target) or 1
    known = "targets" if ignored is None else f"targets.masked_fill(targets == {ignored}, 0)"
    if isinstance(metric, Accuracy):
        right = f"(output.argmax({axis}) == targets)"
        if metric.top_k > 1:
            largest = f"output.topk({metric.top_k}, {axis}).indices"
            right = f"({largest} == targets.unsqueeze({axis})).any({axis})"
        return _pooled(right, mean, ignored)
    if isinstance(metric, Perplexity):
        logs = f"output.double().log_softmax({axis}).gather({axis}, {known}.unsqueeze({axis}))"
        return _pooled(f"(-{logs}.squeeze({axis}))", mean, ignored, ".exp()")
    if isinstance(metric, Precision | Recall | F1Score):
        counted = _COUNTED.replace("AXIS", str(axis)).replace("CLASSES", str(output.dims[axis]))
        left_out = "" if ignored is None else _LEFT_OUT.lstrip("\n").replace("IGNORED", str(ignored))
        counted = counted.replace("TARGETS", known).replace("LEFT_OUT", left_out)
        values = "found_called_there(output, targets)"
        return MetricText(values, f"{name}_of{mean}", (counted, _score(metric)))
    raise ExportError(f"the metric {type(metric).__name__} cannot be ejected", "eject a spec without it")


def _pooled(values: str, mean: str, ignored: int | None, then: str = "") -> MetricText:
    """Return the mean of one number for each target; over all that count, where some do not."""
    if ignored is None:
        return MetricText(f"{values}.double(){_EACH}", f"{mean}{then}.item()")
    function = _POOLED.replace("IGNORED", str(ignored))
    return MetricText(f"pooled({values}, targets)", f"torch.div(*{mean}){then}.item()", (function,))


_POOLED = '''
def pooled(values: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of each row's values whose targets count, and how many these are: (N, 2)."""
    counted = targets != IGNORED
    sums = torch.where(counted, values.double(), 0.0).reshape(len(targets), -1).sum(1)
    return torch.stack([sums, counted.double().reshape(len(targets), -1).sum(1)], 1)
'''
_EACH = ".reshape(len(targets), -1).mean(1)"
_SQUARES = '''
def squares(output: Tensor, targets: Tensor) -> Tensor:
    """Return squared errors, targets and squared targets of each row, averaged: (N, 3)."""
    given, wanted = output.double().reshape(len(output), -1), targets.double().reshape(len(targets), -1)
    return torch.stack([(given - wanted).square().mean(1), wanted.mean(1), wanted.square().mean(1)], 1)
'''
_EXPLAINED = '''
def explained(means: Tensor) -> float:
    """Return the share of the targets' variance that the model explains; 0 where the targets are all alike."""
    error, mean, square = means.tolist()
    variance = square - mean**2
    return 1 - error / variance if variance > 0 else 0.0
'''
_COUNTED = '''
def found_called_there(output: Tensor, targets: Tensor) -> Tensor:
    """Return how many targets of each class are found, are called so, and are there: (N, 3 * classes)."""
    both = [nn.functional.one_hot(numbers, CLASSES) for numbers in (output.argmax(AXIS), TARGETS)]
    called, there = (numbers.reshape(len(targets), -1, CLASSES).double() for numbers in both)
LEFT_OUT    return torch.cat([(called * there).sum(1), called.sum(1), there.sum(1)], 1)
'''
_LEFT_OUT = """
    counted = (targets != IGNORED).reshape(len(targets), -1, 1)
    called, there = called * counted, there * counted
"""


def _score(metric: Precision | Recall | F1Score) -> str:
    """Return the function that makes the metric from the means of what is found, called and there."""
    scores = {
        Precision: f"found / called.clamp(min={TINY})",
        Recall: f"found / there.clamp(min={TINY})",
        F1Score: f"2 * found / (called + there).clamp(min={TINY})",
    }
    score = scores[type(metric)]
    lines = [
        f"def {metric.name}_of(means: Tensor) -> float:",
        f'    """Return the {type(metric).__name__} from the means of what is found, called and there."""',
        "    found, called, there = means.reshape(3, -1)",
    ]
    if metric.average == "micro":
        lines += ["    found, called, there = found.sum(), called.sum(), there.sum()"]
        return "\n".join([*lines, f"    return ({score}).item()"])
    weights = "there" if metric.average == "weighted" else "((there + called) > 0).double()"
    lines += [f"    scores, weights = {score}, {weights}"]
    return "\n".join([*lines, "    return ((scores * weights).sum() / weights.sum()).item()"])
