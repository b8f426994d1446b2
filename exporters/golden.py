"""Golden data: held-out rows with the model's own answers, for the proof and for whoever receives the bundle.

On disk they stand as the ONNX backend tests do: test_data_set_0/input_0.pb and output_0.pb, one TensorProto each.
Source: https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import numpy_helper
from torch import nn

from zoo.training.evaluation import evaluating

Array = npt.NDArray[Any]  # the dtype is the spec's to say

BATCHES = (1, 2, 3, 7, 64)  # rows; the exporters trace with 3
PUBLISHED = 2  # which of the batches is written to disk: three rows


@dataclass(frozen=True)
class Golden:
    """Batches of held-out rows with what the model answers."""

    inputs: tuple[torch.Tensor, ...]
    truth: tuple[Array, ...]
    """R64: the module in float64."""
    own: tuple[Array, ...]
    """The module as it is, in float32."""


def make(
    module: nn.Module, rows: torch.Tensor, batches: Sequence[int] = BATCHES, sequence: int | None = None
) -> Golden:
    """Return batches cut from `rows` one after the other, from the start again where they end, with the answers.

    Args:
        module: what answers.
        rows: held-out rows.
        batches: how many rows each batch has.
        sequence: the axis that may have any length, where there is one; the batches then have several lengths.
    """
    ends = list(accumulate(batches))
    spans = zip([0, *ends], ends, strict=False)
    inputs = tuple(rows[torch.arange(start, end) % len(rows)] for start, end in spans)
    if sequence is not None:
        lengths = cycle(_lengths(rows.shape[sequence]))
        inputs = tuple(batch.narrow(sequence, 0, length) for batch, length in zip(inputs, lengths, strict=False))
    inputs = tuple(batch.contiguous() for batch in inputs)
    double = copy.deepcopy(module).double()
    with evaluating(module), evaluating(double):
        truth = tuple(double(_double(batch)).numpy() for batch in inputs)
        own = tuple(module(batch.clone()).numpy() for batch in inputs)
    return Golden(inputs, truth, own)


def _lengths(longest: int) -> tuple[int, ...]:
    """Return lengths to try in turn; the exporters trace with the longest."""
    return longest, 1, longest, max(1, longest // 2), max(1, longest - 1)


def _double(batch: torch.Tensor) -> torch.Tensor:
    """Return a copy in float64; an in-place first layer may overwrite it."""
    return batch.double() if batch.is_floating_point() else batch.clone()


def write(golden: Golden, folder: Path, input_name: str, output_name: str) -> None:
    """Write the published batch into `folder`/test_data_set_0, float32 as the model gives it."""
    target = folder / "test_data_set_0"
    target.mkdir()
    arrays = {
        "input_0": (input_name, golden.inputs[PUBLISHED].numpy()),
        "output_0": (output_name, golden.own[PUBLISHED]),
    }
    for stem, (name, array) in arrays.items():
        tensor = numpy_helper.from_array(np.ascontiguousarray(array), name)
        (target / f"{stem}.pb").write_bytes(tensor.SerializeToString(deterministic=True))
