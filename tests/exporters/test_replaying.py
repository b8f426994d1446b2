"""The replay in float64: what its error is a part of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from exporters import golden, replaying
from exporters.golden import Golden
from exporters.questions import OutputRecord


def write(path: Path, module: nn.Linear, wrong_by: float) -> None:
    """Write a linear model whose bias is wrong."""
    weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy() + np.float32(wrong_by)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def with_a_far_probe(module: nn.Linear, rows: torch.Tensor) -> Golden:
    """Questions of which the probe of ones is blown up, and only that."""
    asked = golden.make(module, rows)
    inputs = asked.probes[0].inputs.clone()
    inputs[1] *= 1e9
    with torch.no_grad():
        truths = (module.double()(inputs.double()).numpy(),)
    module.float()
    return replace(asked, probes=(replace(asked.probes[0], inputs=inputs, truths=truths),))


def test_a_blown_up_probe_does_not_loosen_the_limit_for_any_other_row(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, path = nn.Linear(2, 1), tmp_path / "model.onnx"
    asked = with_a_far_probe(module, torch.randn(8, 2))
    write(path, module, wrong_by=0.5)

    error = replaying.float64_error("x", [OutputRecord(name="y")], asked, path)

    size = max(float(np.abs(question.truths[0]).max()) for question in asked.held_out)
    assert error == pytest.approx(0.5 / size, rel=1e-3)


def test_a_blown_up_probe_is_judged_by_its_own_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, path = nn.Linear(2, 1), tmp_path / "model.onnx"
    asked = with_a_far_probe(module, torch.randn(8, 2))
    write(path, module, wrong_by=0.0)
    probe = asked.probes[0]
    truths = (probe.truths[0] + np.array([[0.0], [1.0], [0.0], [0.0], [0.0]]),)

    error = replaying.float64_error(
        "x", [OutputRecord(name="y")], replace(asked, probes=(replace(probe, truths=truths),)), path
    )

    assert error == pytest.approx(1.0 / float(np.abs(truths[0]).max()), rel=1e-3)
