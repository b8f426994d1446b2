from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from conftest import REPOSITORY, Outcome
from exporters.inspection import inspect
from exporters.wire import MOST_FIELDS
from zoo.errors import ModelFileError

if TYPE_CHECKING:
    from specimens import Published

pytest_plugins = ["specimens"]


def graph(nodes: list[NodeProto], *tensors: TensorProto, given: str = "x", made: str = "y") -> GraphProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in (given, made)]
    return helper.make_graph(nodes, "made by hand", [ends[0]], [ends[1]], list(tensors))


def model(made: GraphProto) -> ModelProto:
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def double() -> ModelProto:
    two = onnx.numpy_helper.from_array(np.full((2,), 2, np.float32), "two")
    return model(graph([helper.make_node("Mul", ["x", "two"], ["y"])], two))


def external(location: str) -> ModelProto:
    made = double()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return made


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as refused:
        inspect(path)
    assert refused.value.exit_status == 2
    return refused.value.message


def test_it_says_what_onnx_says_of_an_exported_file(published: Published) -> None:
    path = published.folder / "model.onnx"
    loaded = onnx.load(path)

    found = inspect(path)

    assert (found.ir_version, found.opsets, found.graph) == (loaded.ir_version, {"ai.onnx": 20}, "perceptron")
    assert found.producer == f"{loaded.producer_name} {loaded.producer_version}"
    assert [(given.name, given.dtype, given.axes) for given in found.inputs] == [("features", "float32", ("batch", 4))]
    assert [(made.name, made.dtype, made.axes) for made in found.outputs] == [("prediction", "float32", ("batch", 1))]
    assert sum(found.operators.values()) == len(loaded.graph.node)
    assert set(found.operators) == {node.op_type for node in loaded.graph.node}
    assert found.tensors == len(loaded.graph.initializer)
    assert found.parameters == sum(int(np.prod(tensor.dims)) for tensor in loaded.graph.initializer)
    assert found.metadata == published.subject.metadata()
    assert (found.bytes, found.external, found.functions) == (path.stat().st_size, (), ())


def test_it_looks_into_graphs_inside_of_operators(tmp_path: Path) -> None:
    branches = {
        name: helper.make_graph(
            [helper.make_node(kind, ["x"], [f"{name}_y"])],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)],
        )
        for name, kind in (("then_branch", "Relu"), ("else_branch", "Neg"))
    }
    condition = onnx.numpy_helper.from_array(np.array(True), "condition")
    path = tmp_path / "model.onnx"
    onnx.save(model(graph([helper.make_node("If", ["condition"], ["y"], **branches)], condition)), path)

    assert inspect(path).operators == {"If": 1, "Neg": 1, "Relu": 1}


def test_external_data_is_named_and_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(external("weights.bin").SerializeToString())

    assert inspect(path).external == ("weights.bin",)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../b", "..\\weights.bin", "C:\\w.bin", ""])
def test_external_data_that_leaves_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    message = refusal(tmp_path / "model.onnx", external(location).SerializeToString())

    assert "its weights lie outside its folder" in message or "in another file without a name" in message


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "model.onnx", b"") == f"{tmp_path / 'model.onnx'} is empty"


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = double().SerializeToString()
    inspected = tmp_path / "whole.onnx"
    inspected.write_bytes(whole)
    assert inspect(inspected).operators == {"Mul": 1}
    opset = helper.make_opsetid("", 20).SerializeToString()
    assert whole.endswith(opset)
    for size in range(1, len(whole) - len(opset) - 1):
        refusal(tmp_path / "model.onnx", whole[:size])


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(60), b"{}", b"\x00" * 100, b"\xff" * 100, b"\x0a\x02hi"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "is no ONNX file, or is damaged" in refusal(tmp_path / "model.onnx", content)


def test_no_flipped_byte_is_a_traceback(tmp_path: Path, published: Published) -> None:
    whole = (published.folder / "model.onnx").read_bytes()
    draw = np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(whole)
        changed[int(draw.integers(len(whole)))] = int(draw.integers(256))
        path = tmp_path / "model.onnx"
        path.write_bytes(changed)
        try:
            inspect(path)
        except ModelFileError:
            continue


@pytest.mark.parametrize("size", [2**62, -1, 2**31])
def test_an_axis_of_a_tensor_that_nothing_can_index_is_refused(tmp_path: Path, size: int) -> None:
    made = double()
    made.graph.initializer[0].dims[:] = [size]

    assert f"its tensor 'two' has an axis of {size:,}" in refusal(tmp_path / "m.onnx", made.SerializeToString())


def test_an_axis_of_an_input_that_nothing_can_index_is_refused(tmp_path: Path) -> None:
    made = double()
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**62

    assert "an input or output has an axis of 4,611" in refusal(tmp_path / "m.onnx", made.SerializeToString())


@pytest.mark.parametrize("raw", [True, False])
def test_a_tensor_that_claims_more_numbers_than_it_holds_is_refused(tmp_path: Path, raw: bool) -> None:
    made = double()
    tensor = made.graph.initializer[0]
    tensor.dims[:] = [2**30, 2**30]
    if not raw:
        tensor.ClearField("raw_data")

    assert "its tensor 'two' has 1,152,921," in refusal(tmp_path / "m.onnx", made.SerializeToString())


def test_a_tensor_elsewhere_that_no_disk_can_hold_is_refused(tmp_path: Path) -> None:
    made = external("weights.bin")
    made.graph.initializer[0].dims[:] = [2**30, 2**30]

    assert "its tensor 'two' has 1,152,921," in refusal(tmp_path / "m.onnx", made.SerializeToString())


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def test_graphs_without_end_are_refused(tmp_path: Path) -> None:
    nested = b""
    for _ in range(1000):
        nested = field(1, field(4, b"If") + field(5, field(6, nested)))
    content = b"\x08\x0a" + field(7, nested) + field(8, b"\x10\x14")

    assert "more than 20 graphs stand inside of each other" in refusal(tmp_path / "model.onnx", content)


def test_a_node_that_uses_its_own_output_is_refused(tmp_path: Path) -> None:
    looped = model(graph([helper.make_node("Add", ["x", "y"], ["y"])]))

    message = refusal(tmp_path / "model.onnx", looped.SerializeToString())
    assert "a node Add uses 'y', which nothing above it computes" in message


def test_nodes_in_a_circle_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["a", "x"], ["b"])]

    message = refusal(tmp_path / "model.onnx", model(graph(nodes, made="b")).SerializeToString())
    assert "a node Add uses 'b', which nothing above it computes" in message


def test_an_operator_that_is_defined_by_itself_is_refused(tmp_path: Path) -> None:
    made = double()
    body = [helper.make_node("Endless", ["a"], ["b"], domain="own")]
    made.functions.append(helper.make_function("own", "Endless", ["a"], ["b"], body, [helper.make_opsetid("own", 1)]))

    assert "its operator own::Endless is defined by itself" in refusal(tmp_path / "m.onnx", made.SerializeToString())


def test_a_value_computed_twice_and_an_output_never_computed_are_refused(tmp_path: Path) -> None:
    twice = model(graph([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["x"], ["y"])]))
    never = model(graph([helper.make_node("Relu", ["x"], ["z"])]))

    assert "'y' is computed twice" in refusal(tmp_path / "model.onnx", twice.SerializeToString())
    assert "nothing computes its output 'y'" in refusal(tmp_path / "model.onnx", never.SerializeToString())


def test_a_file_of_endless_fields_is_refused_soon(tmp_path: Path) -> None:
    began = time.process_time()

    message = refusal(tmp_path / "model.onnx", b"\x20\x00" * (MOST_FIELDS + 10))

    assert f"it has more than {MOST_FIELDS:,} fields" in message
    assert time.process_time() - began < 20


def test_a_pipe_a_folder_and_nothing_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "is no file"), (".", "is no file"), ("absent", "does not exist")):
        with pytest.raises(ModelFileError, match=said):
            inspect(tmp_path / name)


def test_a_large_file_is_looked_at_without_being_loaded(tmp_path: Path) -> None:
    path, size = tmp_path / "large.onnx", 2**30
    tensor = b"\x08" + varint(size) + b"\x10\x02" + field(8, b"w") + b"\x4a" + varint(size)
    held = b"\x2a" + varint(len(tensor) + size) + tensor
    start = b"\x08\x0a" + field(8, b"\x10\x14") + b"\x3a" + varint(len(held) + size) + held
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)  # a hole: the disk holds nothing of it
    code = "import sys\nfrom pathlib import Path\nfrom exporters.inspection import inspect\n"
    code += "print(inspect(Path(sys.argv[1])).parameters)\nprint(Path('/proc/self/status').read_text())"
    command = [sys.executable, "-c", code, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=True).stdout

    assert int(told.split()[0]) == size
    assert int(told.split("VmHWM:")[1].split()[0]) < 200 * 1024  # KiB


def test_the_command_tells_all_of_it(zoo: Callable[..., Outcome], published: Published) -> None:
    path = published.folder / "model.onnx"

    assert json.loads(zoo("inspect", path, "--json").out) == inspect(path).document()
    told = zoo("inspect", path)
    assert (told.status, told.err) == (0, "")
    for part in ("ai.onnx 20", "features", "(batch, 4)", "prediction", "Gemm", "zoo.spec_sha256"):
        assert part in told.out


def test_a_strangers_text_sends_nothing_to_the_terminal(zoo: Callable[..., Outcome], tmp_path: Path) -> None:
    made = double()
    made.graph.name = "\x1b]0;owned\x07"
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())

    assert "\\x1b]0;owned\\x07" in zoo("inspect", path).out


def test_the_command_refuses_with_status_2(zoo: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")

    done = zoo("inspect", tmp_path / "model.onnx")

    assert (done.status, done.out) == (2, "")
    remedy = "name an .onnx file as it was written: download, copy or export it again"
    assert done.err == f"error: {tmp_path / 'model.onnx'} is empty\n   remedy: {remedy}\n"
