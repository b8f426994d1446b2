"""Faults in an exported file that a proof must see: each changes a valid graph as little as a real mistake would.

A mutation gets a graph and the names of the module's tensors, changes the graph in place, and returns whether it found
something to change. One whose change makes no difference to any answer is no fault: `applies` is told so by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]
Mutation = Callable[[ModelProto, set[str]], bool]


def _weights(model: ModelProto, names: set[str], dims: int = 1) -> list[TensorProto]:
    """The module's float tensors of so many axes or more that the graph reads, the largest first."""
    used = {name for node in model.graph.node for name in node.input}
    found = [
        tensor
        for tensor in model.graph.initializer
        if tensor.name in names & used and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) >= dims
    ]
    return sorted(found, key=lambda tensor: -int(np.prod(tensor.dims)))


def _write(tensor: TensorProto, array: npt.NDArray[np.generic]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def _scaled(tensor: TensorProto, choose: Callable[[Array], int], factor: float) -> bool:
    array: Array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[choose(array.reshape(-1))] *= np.float32(factor)
    _write(tensor, array)
    return True


def _nodes(model: ModelProto, *operators: str) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type in operators]


def _set(node: NodeProto, **attributes: object) -> None:
    for name, value in attributes.items():
        kept = [entry for entry in node.attribute if entry.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _constant(model: ModelProto, name: str, array: npt.NDArray[np.generic]) -> str:
    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


# Any: attributes of any type.
def _behind(model: ModelProto, *steps: tuple[str, list[str], dict[str, Any]]) -> bool:
    """Put operators between the graph's last value and its output; "" stands for what flows."""
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["planted_0" if name == output else name for name in node.output]
        node.input[:] = ["planted_0" if name == output else name for name in node.input]
    for index, (operator, inputs, attributes) in enumerate(steps):
        given = [name or f"planted_{index}" for name in inputs]
        answer = output if index == len(steps) - 1 else f"planted_{index + 1}"
        model.graph.node.append(helper.make_node(operator, given, [answer], **attributes))
    return True


def one_weight_off_by_a_hundredth(model: ModelProto, names: set[str]) -> bool:
    return _scaled(_weights(model, names, 2)[0], lambda flat: len(flat) // 2, 1.01)


def one_small_weight_off_by_a_hundredth(model: ModelProto, names: set[str]) -> bool:
    return _scaled(_weights(model, names, 2)[-1], lambda flat: int(np.abs(flat).argmin()), 1.01)


def a_tensor_off_by_a_ten_thousandth(model: ModelProto, names: set[str]) -> bool:
    tensor = _weights(model, names, 2)[0]
    _write(tensor, numpy_helper.to_array(tensor) * np.float32(1 + 1e-4))
    return True


def weights_rounded_through_float16(model: ModelProto, names: set[str]) -> bool:
    for tensor in _weights(model, names):
        _write(tensor, numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32))
    return True


def a_stale_checkpoint(model: ModelProto, names: set[str]) -> bool:
    noise = np.random.default_rng(0)
    for tensor in _weights(model, names, 2):
        array: Array = numpy_helper.to_array(tensor)
        _write(tensor, array + noise.normal(0, 1e-3, array.shape).astype(np.float32))
    return True


def two_rows_of_a_weight_exchanged(model: ModelProto, names: set[str]) -> bool:
    tensor = next(tensor for tensor in _weights(model, names, 2) if tensor.dims[0] > 1)
    array: Array = numpy_helper.to_array(tensor).copy()
    array[[0, 1]] = array[[1, 0]]
    _write(tensor, array)
    return True


def a_square_weight_transposed(model: ModelProto, names: set[str]) -> bool:
    for tensor in _weights(model, names, 2):
        if len(tensor.dims) == 2 and tensor.dims[0] == tensor.dims[1] > 1:
            _write(tensor, numpy_helper.to_array(tensor).T)
            return True
    return False


def a_bias_of_zeros(model: ModelProto, names: set[str]) -> bool:
    for tensor in _weights(model, names):
        if "bias" in tensor.name:
            _write(tensor, numpy_helper.to_array(tensor) * np.float32(0))
            return True
    return False


def a_bias_dropped(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Conv", "Gemm"):
        if len(node.input) == 3 and node.input[2] in names:
            del node.input[2]
            return True
    return False


def running_statistics_of_one_channel(model: ModelProto, names: set[str]) -> bool:
    for tensor in _weights(model, names):
        if "running_var" in tensor.name:
            return _scaled(tensor, lambda flat: 0, 1.01)
    return False


def _epsilon(model: ModelProto, factor: float) -> bool:
    for node in _nodes(model, "BatchNormalization", "LayerNormalization", "InstanceNormalization"):
        before = next((entry.f for entry in node.attribute if entry.name == "epsilon"), 1e-5)
        _set(node, epsilon=before * factor)
        return True
    return False


def an_epsilon_times_a_hundred(model: ModelProto, names: set[str]) -> bool:
    return _epsilon(model, 100.0)


def an_epsilon_of_one_layer_doubled(model: ModelProto, names: set[str]) -> bool:
    return _epsilon(model, 2.0)


def tanh_in_place_of_erf(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Gelu"):
        _set(node, approximate="tanh")
        return True
    return False


def a_relu_that_leaks(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Relu"):
        node.op_type = "LeakyRelu"
        _set(node, alpha=1e-3)
        return True
    return False


def corners_aligned(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Resize"):
        _set(node, coordinate_transformation_mode="align_corners")
        return True
    return False


def pixels_rounded_the_other_way(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Resize"):
        _set(node, mode="nearest", nearest_mode="ceil", coordinate_transformation_mode="asymmetric")
        return True
    return False


def padding_on_one_side(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Conv"):
        pads = next((list(entry.ints) for entry in node.attribute if entry.name == "pads"), [])
        if sum(pads):
            half = len(pads) // 2
            both = [a + b for a, b in zip(pads[:half], pads[half:], strict=True)]
            _set(node, pads=[*both, *[0] * half])
            return True
    return False


def a_mean_in_place_of_a_maximum(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "MaxPool"):
        kept = [entry for entry in node.attribute if entry.name in ("kernel_shape", "strides", "pads")]
        node.op_type = "AveragePool"
        del node.attribute[:]
        node.attribute.extend(kept)
        return True
    return False


def dropout_left_on(model: ModelProto, names: set[str]) -> bool:
    ratio = _constant(model, "planted_ratio", np.array(0.1, np.float32))
    training = _constant(model, "planted_training", np.array(True))
    return _behind(model, ("Dropout", ["", ratio, training], {"seed": 1}))


def _baked(model: ModelProto, rows: int) -> bool:
    sizes = [axis.dim_value for axis in model.graph.output[0].type.tensor_type.shape.dim[1:]]
    if not all(sizes):
        sizes = [-1, *sizes[1:]]
    shape = _constant(model, "planted_shape", np.array([rows, *sizes], np.int64))
    return _behind(model, ("Reshape", ["", shape], {}))


def a_batch_of_1_baked_in(model: ModelProto, names: set[str]) -> bool:
    return _baked(model, 1)


def a_batch_of_3_baked_in(model: ModelProto, names: set[str]) -> bool:
    return _baked(model, 3)


def a_batch_of_3_declared(model: ModelProto, names: set[str]) -> bool:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    return True


def a_sequence_length_baked_in(model: ModelProto, names: set[str]) -> bool:
    dims = model.graph.output[0].type.tensor_type.shape.dim
    if len(dims) != 3 or dims[1].dim_value:
        return False
    shape = _constant(model, "planted_shape", np.array([-1, 6, dims[2].dim_value], np.int64))
    return _behind(model, ("Reshape", ["", shape], {}))


def rows_reversed(model: ModelProto, names: set[str]) -> bool:
    starts, ends = (
        _constant(model, f"planted_{name}", np.array([at])) for name, at in (("from", -1), ("to", -(2**62)))
    )
    axes, steps = (_constant(model, f"planted_{name}", np.array([at])) for name, at in (("axes", 0), ("steps", -1)))
    return _behind(model, ("Slice", ["", starts, ends, axes, steps], {}))


def rows_mixed_through_a_reshape(model: ModelProto, names: set[str]) -> bool:
    dims = model.graph.output[0].type.tensor_type.shape.dim
    if len(dims) != 2 or dims[1].dim_value < 2:
        return False
    sizes = _constant(model, "planted_sizes", np.array([-1, dims[1].dim_value], np.int64))
    return _behind(model, ("Transpose", [""], {"perm": [1, 0]}), ("Reshape", ["", sizes], {}))


def float16_inside(model: ModelProto, names: set[str]) -> bool:
    half: dict[str, Any] = {"to": TensorProto.FLOAT16}
    return _behind(model, ("Cast", [""], half), ("Cast", [""], {"to": TensorProto.FLOAT}))


def a_softmax_over_the_wrong_axis(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "Softmax"):
        _set(node, axis=-2)
        return True
    return False


def a_constant_output(model: ModelProto, names: set[str]) -> bool:
    nothing = _constant(model, "planted_nothing", np.array(0, np.float32))
    return _behind(model, ("Mul", ["", nothing], {}))


def an_output_off_by_a_millionth_of_it(model: ModelProto, names: set[str]) -> bool:
    more = _constant(model, "planted_more", np.array(1 + 4e-6, np.float32))
    return _behind(model, ("Mul", ["", more], {}))


def negative_inputs_cut_off(model: ModelProto, names: set[str]) -> bool:
    """What the data of these tests never shows: only the probes have negative numbers."""
    given = model.graph.input[0]
    if given.type.tensor_type.elem_type != TensorProto.FLOAT:
        return False
    for node in model.graph.node:
        node.input[:] = ["planted" if name == given.name else name for name in node.input]
    model.graph.node.insert(0, helper.make_node("Relu", [given.name], ["planted"]))
    return True


def a_residual_dropped(model: ModelProto, names: set[str]) -> bool:
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in _nodes(model, "Add"):
        if not constants & set(node.input):
            node.op_type = "Identity"
            del node.input[0]
            return True
    return False


def another_activation_of_a_cell(model: ModelProto, names: set[str]) -> bool:
    for node in _nodes(model, "LSTM"):
        times = 2 if any(entry.s == b"bidirectional" for entry in node.attribute) else 1
        _set(node, activations=["Sigmoid", "Tanh", "Sigmoid"] * times)
        return True
    return False


def a_scale_inside_off_by_a_thousandth(model: ModelProto, names: set[str]) -> bool:
    used = {name for node in _nodes(model, "Mul", "Div") for name in node.input}
    for tensor in model.graph.initializer:
        if tensor.name in used - names and tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) == 1:
            _write(tensor, numpy_helper.to_array(tensor) * np.float32(1.001))
            return True
    return False


def positions_moved_by_one(model: ModelProto, names: set[str]) -> bool:
    for tensor in _weights(model, names, 2):
        if "position" in tensor.name:
            _write(tensor, np.roll(numpy_helper.to_array(tensor), 1, axis=-2))
            return True
    return False


def another_opset_declared(model: ModelProto, names: set[str]) -> bool:
    model.opset_import[0].version = 19
    return True


def an_old_ir_declared(model: ModelProto, names: set[str]) -> bool:
    model.ir_version = 8
    return True


def a_path_of_the_machine_told(model: ModelProto, names: set[str]) -> bool:
    model.graph.node[0].doc_string = "home/somebody/model.py"
    return True


def wrong_labels(model: ModelProto, names: set[str]) -> bool:
    entry = next(entry for entry in model.metadata_props if entry.key == "zoo.classes")
    entry.value = '["other", "names"]'
    return True


def the_hash_of_another_spec(model: ModelProto, names: set[str]) -> bool:
    entry = next(entry for entry in model.metadata_props if entry.key == "zoo.spec_sha256")
    entry.value = "0" * 64
    return True


def an_output_more(model: ModelProto, names: set[str]) -> bool:
    model.graph.output.append(helper.make_tensor_value_info(model.graph.node[0].output[0], TensorProto.FLOAT, None))
    return True


def the_input_renamed(model: ModelProto, names: set[str]) -> bool:
    before = model.graph.input[0].name
    model.graph.input[0].name = "renamed"
    for node in model.graph.node:
        node.input[:] = ["renamed" if name == before else name for name in node.input]
    return True


def _all() -> Iterator[Mutation]:
    for name, value in list(globals().items()):
        if not name.startswith("_") and getattr(value, "__module__", "") == __name__ and name != "Mutation":
            yield value


MUTATIONS: tuple[Mutation, ...] = tuple(_all())
"""Every function of this file that has a public name."""
