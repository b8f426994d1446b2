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


def test_a_blown_up_probe_does_not_loosen_the_limit_for_held_out_rows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, rows = nn.Linear(2, 1), torch.randn(8, 2)
    asked = golden.make(module, rows)
    far = replace(asked.probes[0], inputs=asked.probes[0].inputs + 1e9)
    with torch.no_grad():
        far = replace(far, truths=(module.double()(far.inputs.double()).numpy(),))
    path = tmp_path / "model.onnx"
    write(path, module.float(), wrong_by=0.5)

    error = replaying.float64_error("x", [OutputRecord(name="y")], replace(asked, probes=(far,)), path)

    size = max(float(np.abs(question.truths[0]).max()) for question in asked.held_out)
    assert error == pytest.approx(0.5 / size, rel=1e-3)
