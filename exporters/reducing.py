"""Reducing: the proven ONNX file in fp16 or int8, made by onnxruntime's own tools and judged on held-out rows."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, NotImplemented
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import Tensor

from exporters import decisions, storage
from exporters import onnx as exporter
from exporters.arrays import Array
from exporters.golden import outputs_of
from exporters.proof import Evidence
from exporters.reduced import ERROR_FACTOR, ERROR_FLOOR, Loss, Precision, ReducedProof
from exporters.rounding import rounded
from exporters.runtimes import ONNXRUNTIME, ask
from exporters.subject import Subject
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
    metrics = _metrics(subject)
    rows = _calibration(subject) if precision == "int8" else []
    try:
        with _silent():
            model = _half(source) if precision == "fp16" else _integers(source, subject.input_name, rows)
    except _REFUSALS as error:
        raise ExportError(f"onnxruntime cannot convert this model to {precision}: {reason(error)}", _REMEDY) from error
    _finish(model, subject, evidence)
    storage.write(model, path, evidence.form.one_file)
    exporter.verify_static(subject, path, evidence.form)
    proof = _judged(precision, evidence, path, metrics).model_copy(update={"calibration_rows": sum(map(len, rows))})
    if proof.fault:
        raise ProofFailed(f"{path.name} loses too much: {proof.fault}", _REMEDY)
    return proof


_REMEDY = "nothing was published; leave --precision fp16 and --quantize int8 out"


def _half(source: Path) -> ModelProto:
    converted: ModelProto = convert_float_to_float16(storage.read(source), keep_io_types=True)
    OnnxModel.graph_topological_sort(converted.graph, True)  # the casts at its ends stand behind what uses them
    return converted


def _integers(source: Path, name: str, rows: Sequence[Array]) -> ModelProto:
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        made = Path(folder, "model.onnx")
        quantize_static(
            storage.read(source),
            made,
            _Rows(name, rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
        return storage.read(made)


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Batches of one input, as onnxruntime reads them."""

    def __init__(self, name: str, batches: Sequence[Array]) -> None:
        self._left = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, Array] | None:
        """Return the next batch; None behind the last one."""
        return next(self._left, None)


def _calibration(subject: Subject) -> list[Array]:
    """Return training rows that set the ranges, as batches: none of them is held out."""
    if subject.raw is not None:
        message = "--quantize int8 and --raw do not go together: ranges are of rows as a model takes them"
        raise UsageError(message, "leave one out")
    rows = some_rows(subject.checked, "train").inputs
    count = min(CALIBRATION, len(rows))
    chosen = rows[torch.arange(count) * len(rows) // count]
    return [batch.numpy() for batch in torch.split(chosen, BATCH)]


@contextmanager
def _silent() -> Iterator[None]:
    """Keep onnxruntime's tools from speaking of their internals; the file is judged."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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
    batches = decisions.batches(subject)
    named = [{subject.input_name: batch} for batch in batches]
    answers = [_answers(path, named, optimize) for optimize in (1, 0)]
    with evaluating(subject.module):
        own = _concatenated([outputs_of(subject.module, torch.from_numpy(batch.copy()))[0] for batch in batches])
    likewise = rounded(subject.module, precision)
    with evaluating(likewise):
        rough = _concatenated([outputs_of(likewise, torch.from_numpy(batch.copy()))[0] for batch in batches])
    error, own_error = max(_error(found, own) for found in answers), _error(rough, own)
    losses = (
        tuple(_loss(metric, (own, answers[0]), subject.targets[: len(own)]) for metric in metrics)
        if isfinite(error)
        else ()
    )
    if not all(map(isfinite, (error, own_error, *(loss[2] for loss in losses)))):
        raise ProofFailed(f"{path.name} loses too much: {precision} cannot hold the numbers of this model", _REMEDY)
    return ReducedProof(
        precision=precision,
        file=path.name,
        rows=len(own),
        calibration_rows=0,
        floor=(subject.checked.spec.export or Export()).min_accuracy_drop,
        losses=tuple(
            Loss(name=metric.name, better=metric.better, fp32=fp32, file=file) for metric, fp32, file in losses
        ),
        flips=_flips(subject, own, answers[0]),
        error=error,
        allowed=ERROR_FACTOR * own_error + ERROR_FLOOR[precision],
    )


def _answers(path: Path, named: Sequence[dict[str, Array]], optimize: int) -> Tensor:
    found = ask(ONNXRUNTIME, path, named, {"optimize": optimize, "threads": 1})
    return torch.from_numpy(np.concatenate([outputs[0] for outputs in found.outputs]))


def _concatenated(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts))


def _error(found: Tensor, own: Tensor) -> float:
    """Return the rms difference over the rms of what is true; infinite for other shapes, and where one is no number."""
    if found.shape != own.shape or not bool(found.isfinite().all()):
        return float("inf")
    size = float(own.double().square().mean().sqrt())
    return float((found.double() - own.double()).square().mean().sqrt()) / size if size else float("inf")


def _metrics(subject: Subject) -> list[Metric]:
    """Return what tells how good an answer is: the spec's metrics; else accuracy, or the mean absolute error."""
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
