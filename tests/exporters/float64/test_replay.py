from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

from exporters.float64.replay import OPERATORS, Replay
from zoo.errors import ProofFailed

ROUGH = {"test_averagepool_2d_ceil_last_window_starts_on_pad", "test_gridsample_bicubic"}
"""Cases whose expected numbers are of float32 and off by up to 1e-4."""
NAN = {
    "test_attention_causal_boolmask_nan_robustness",
    "test_attention_23_boolmask_fullymasked_row_nan_robustness",
    "test_l2normalization_axis_0",
}
"""Cases of 0 / 0: the newest opsets say 0 where torch, and so every model, says NaN."""


# Any: onnx types its test cases as tuples of anything.
@cache
def cases() -> list[Any]:
    """ONNX's own tests of single operators, those of operators that the replay knows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return [
        case
        for case in found
        if case.model is not None and {node.op_type for node in case.model.graph.node} <= OPERATORS.keys()
    ]


def fed(case: Any, arrays: Any) -> dict[str, torch.Tensor] | None:
    """The inputs of a case; None where torch has no such type."""
    try:
        return {
            given.name: torch.tensor(np.asarray(array))
            for given, array in zip(case.model.graph.input, arrays, strict=False)
        }
    except (TypeError, ValueError):
        return None


def close(found: torch.Tensor, expected: Any, case: Any) -> bool:
    wanted = np.asarray(expected)
    if found.shape != wanted.shape:
        return False
    half = any(str(np.asarray(array).dtype) == "float16" for array in (wanted, *case.data_sets[0][0]))
    atol = 1e-3 if half else 1e-4 if case.name in ROUGH else 1e-6
    return np.allclose(
        found.double().numpy(), wanted.astype(np.float64), rtol=1e-3 if half else 2e-5, atol=atol, equal_nan=True
    )


def test_every_operator_gives_what_onnx_itself_expects_or_refuses_by_name() -> None:
    right, wrong, refused = set[str](), [], 0
    for case in cases():
        for given, expected in case.data_sets:
            inputs = fed(case, given)
            if inputs is None or case.name in NAN:
                continue
            try:
                found = Replay(case.model).run(inputs)
            except ProofFailed:
                refused += 1
                continue
            outputs = [found[output.name] for output in case.model.graph.output]
            if all(close(mine, its, case) for mine, its in zip(outputs, expected, strict=True)):
                right |= {node.op_type for node in case.model.graph.node}
            else:
                wrong.append(case.name)

    assert wrong == []
    assert refused < 150
    assert right == set(OPERATORS)


def model(node: onnx.NodeProto, opset: int = 20) -> onnx.ModelProto:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [given], [answer])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_float32_weights_are_taken_exactly_and_sums_are_of_float64() -> None:
    graph = model(helper.make_node("Add", ["x", "w"], ["y"]))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([0.1, 1e-9], np.float32), "w"))

    found = Replay(graph).run({"x": torch.ones(1, 2)})["y"]

    assert found.tolist() == [[1 + float(np.float32(0.1)), 1 + float(np.float32(1e-9))]]


def test_a_cast_to_float16_rounds_as_it_does_in_the_file() -> None:
    graph = model(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16))

    assert Replay(graph).run({"x": torch.tensor([[1.0001, 2.0]])})["y"].tolist() == [[1.0, 2.0]]


def test_an_unknown_operator_is_refused_by_its_name() -> None:
    with pytest.raises(ProofFailed, match="Hardmax h: the float64 replay does not know it"):
        Replay(model(helper.make_node("Hardmax", ["x"], ["y"], name="h"))).run({"x": torch.ones(1, 2)})


def test_an_attribute_that_would_be_left_out_is_refused_by_its_name() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name="r")
    node.attribute.append(helper.make_attribute("slope", 0.5))

    with pytest.raises(ProofFailed, match="Relu r: the float64 replay does not know its slope"):
        Replay(model(node)).run({"x": torch.ones(1, 2)})


def test_values_in_between_can_be_watched() -> None:
    graph = model(helper.make_node("Relu", ["x"], ["y"]))
    graph.graph.node.insert(0, helper.make_node("Neg", ["x"], ["between"]))
    graph.graph.node[1].input[0] = "between"

    found = Replay(graph).run({"x": torch.tensor([[1.0, -2.0]])}, ["between"])

    assert (found["between"].tolist(), found["y"].tolist()) == ([[-1.0, 2.0]], [[0.0, 2.0]])
