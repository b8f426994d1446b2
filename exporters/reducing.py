"""Reducing: the proven ONNX file in fp16 or int8, made by onnxruntime's own tools and judged on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented
from torch import Tensor, nn

from exporters import decisions, storage
from exporters import onnx as exporter
from exporters.arrays import Array
from exporters.converting import half, integers
from exporters.golden import outputs_of
from exporters.proof import FILES, Evidence
from exporters.raw import raw_rows
from exporters.reduced import ERROR_FACTOR, ERROR_FLOOR, MOST, Loss, Precision, ReducedProof, lost, unfounded
from exporters.rounding import rounded
from exporters.runtimes import ONNXRUNTIME, ask
from exporters.subject import PREPROCESSING, Subject
from zoo.errors import ExportError, ProofFailed, ShapeError, UsageError, reason
from zoo.export import Export
from zoo.metrics import Metric
from zoo.metrics.classification import Accuracy
from zoo.metrics.regression import MeanAbsoluteError
from zoo.shapes import class_axis
from zoo.training.evaluation import evaluating
from zoo.training.splits import some_rows

CALIBRATION = 256  # training rows, evenly spread
BATCH = 32
_REFUSALS = (
    *(RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError),
    *(Fail, InvalidArgument, InvalidGraph, NotImplemented),
)
"""How onnxruntime's tools refuse a graph that they do not understand."""


def reduce(precision: Precision, evidence: Evidence, source: Path) -> ReducedProof:
    """Write a file of lower precision beside `source`, and return what it loses.

    Raises:
        ExportError: onnxruntime's tool cannot convert this model.
        ProofFailed: the file is not valid, does not run, or loses more than the spec allows.
        UsageError: the spec has no metric that could tell.
    """
    subject, path = evidence.subject, source.with_name(f"{source.stem}.{precision}.onnx")
    metrics = metrics_of(subject)
    rows = _calibration(subject) if precision == "int8" else []
    try:
        model = half(source) if precision == "fp16" else integers(source, subject.input_name, rows, _weights(subject))
    except _REFUSALS as error:
        raise ExportError(
            f"onnxruntime cannot convert this model to {precision}: {reason(error)}", _remedy(precision)
        ) from error
    _finish(model, subject, evidence)
    storage.write(model, path, evidence.form.one_file)
    exporter.verify_static(subject, path, evidence.form)
    proof = _judged(precision, evidence, path, metrics).model_copy(update={"calibration_rows": sum(map(len, rows))})
    if proof.fault:
        raise ProofFailed(f"{path.name} loses too much: {proof.fault}", _remedy(precision))
    return proof


def _remedy(precision: Precision) -> str:
    flag = "--precision fp16" if precision == "fp16" else "--quantize int8"
    return f"nothing was published, the proven float32 files neither; leave {flag} out to have the rest"


def _weights(subject: Subject) -> set[str] | None:
    """Return the names of the model's own tensors, where preprocessing and decision stand in the file too."""
    if subject.raw is None:
        return None
    return {name for name in subject.module.state_dict() if not name.startswith(f"{PREPROCESSING}.")}


def _calibration(subject: Subject) -> list[Array]:
    """Return training rows that set the ranges, as batches: none of them is held out."""
    checked = subject.checked
    rows = (some_rows(checked, "train") if subject.raw is None else raw_rows(checked, "train")).inputs
    count = min(CALIBRATION, len(rows))
    chosen = rows[torch.arange(count) * len(rows) // count]
    return [batch.numpy() for batch in torch.split(chosen, BATCH)]


def _finish(model: ModelProto, subject: Subject, evidence: Evidence) -> None:
    """Let the file say of itself what the float32 file says, and nothing of the tools."""
    exporter.strip(model)
    model.producer_name, model.producer_version = "zoo", ""
    model.graph.name = subject.checked.spec.name
    model.ir_version = evidence.form.ir
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.helper.set_model_props(model, subject.metadata())


def _judged(precision: Precision, evidence: Evidence, path: Path, metrics: Sequence[Metric]) -> ReducedProof:
    subject = evidence.subject
    batches = decisions.batches(subject) or [subject.rows[: decisions.LEAST].numpy()]
    own = _own(subject.module, batches)
    error, found = _measured(precision, evidence, path, (batches, own))
    own_error = lost([own.numpy()], [_own(rounded(subject.module, precision), batches).numpy()])
    losses = (
        tuple(_loss(metric, (own, found), subject.targets[: len(own)]) for metric in metrics) if isfinite(error) else ()
    )
    if not all(map(isfinite, (error, own_error, *(loss[2] for loss in losses)))):
        raise ProofFailed(
            f"{path.name} loses too much: {precision} cannot hold the numbers of this model", _remedy(precision)
        )
    return ReducedProof(
        precision=precision,
        file=path.name,
        rows=len(own),
        calibration_rows=0,
        floor=(subject.checked.spec.export or Export()).min_accuracy_drop,
        losses=tuple(
            Loss(name=metric.name, better=metric.better, fp32=fp32, file=file) for metric, fp32, file in losses
        ),
        flips=_flips(subject, own, found),
        error=error,
        allowed=min(MOST[precision], ERROR_FACTOR * own_error + ERROR_FLOOR[precision]),
        share=storage.size(path) / storage.size(evidence.folder / FILES["onnx"]),
    )


def _measured(
    precision: Precision, evidence: Evidence, path: Path, held_out: tuple[Sequence[Array], Tensor]
) -> tuple[float, Tensor]:
    """Return the error of a file, and its answers to all held-out rows.

    The batches in the bundle are asked too, which have several lengths: whoever receives them can ask them again.
    """
    subject, asked = evidence.subject, evidence.golden.held_out
    batches, own = held_out
    named = [{subject.input_name: batch} for batch in (*batches, *(question.inputs.numpy() for question in asked))]
    errors, answers = [], list[Tensor]()
    for optimize in (1, 0):
        found = ask(ONNXRUNTIME, path, named, {"optimize": optimize, "threads": 1}).outputs
        wrong = unfounded(precision, subject.outputs, found)
        if wrong:
            raise ProofFailed(f"{path.name}: {wrong} does not follow from {subject.output_name}", _remedy(precision))
        rows, again = ([given[0] for given in part] for part in (found[: len(batches)], found[len(batches) :]))
        errors += [lost([own.numpy()], [np.concatenate(rows)]), lost([question.own for question in asked], again)]
        answers.append(torch.from_numpy(np.concatenate(rows)))
    return max(errors), answers[0]


def _own(module: nn.Module, batches: Sequence[Array]) -> Tensor:
    """Return the answers of a module to all rows."""
    with evaluating(module):
        return torch.cat([outputs_of(module, torch.from_numpy(batch.copy()))[0] for batch in batches])


def metrics_of(subject: Subject) -> list[Metric]:
    """Return what tells how good an answer is: the spec's metrics; else accuracy, or the mean absolute error.

    Raises:
        UsageError: the spec has no metric that could tell.
    """
    output, target = subject.checked.output, subject.checked.example.target
    given: list[Metric] = list(subject.checked.spec.metrics)
    for metric in () if given else (Accuracy(type="Accuracy"), MeanAbsoluteError(type="MeanAbsoluteError")):
        try:
            metric.require(output, target)
        except ShapeError:
            continue
        given = [metric]
        break
    if not given:
        raise UsageError("the spec has no metric that could tell what fp16 or int8 loses", "leave them out")
    return [metric.arranged(output, target, subject.checked.spec.loss.ignored) for metric in given]


def _loss(metric: Metric, sides: tuple[Tensor, Tensor], targets: Tensor) -> tuple[Metric, float, float]:
    """Return a metric by both sides."""
    fp32, file = (metric.finished(metric.values(side, targets).reshape(len(side), -1).mean(0)) for side in sides)
    return metric, fp32, file


def _flips(subject: Subject, own: Tensor, found: Tensor) -> int:
    axis = class_axis(subject.checked.output, subject.checked.example.target)
    if axis is None or subject.checked.example.target.dtype != "int64" or own.shape != found.shape:
        return 0
    differing = own.argmax(axis) != found.argmax(axis)
    return int(differing.reshape(len(own), -1).any(1).sum())
