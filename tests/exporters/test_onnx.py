from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, ValueInfoProto, numpy_helper
from torch import nn

from exporters import onnx as exporter
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.subject import Subject
from faults import contents, plant, plant_bytes
from zoo.errors import ExportError, ProofFailed

if TYPE_CHECKING:
    from specimens import Elsewhere, MakeSubject, Published

pytest_plugins = ["specimens"]

# Any: protobuf ships no types.
Message = Any

WRITTEN_ON_THE_WAY = frozenset(["metadata_props", "doc_string"])


@pytest.fixture(scope="module")
def model(published: Published) -> ModelProto:
    return onnx.load_model_from_string((published.folder / "model.onnx").read_bytes())


def axes(value: ValueInfoProto) -> tuple[str, list[str | int]]:
    return value.name, [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def parts(message: Message) -> Iterator[Message]:
    """The message and all that it holds, at any depth."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if isinstance(value, Iterable) else [value]:
                yield from parts(part)


def told(message: Message) -> list[str]:
    """What the parts of a model, but not the model itself, say beside what they compute."""
    return [
        f"{type(part).__name__}.{field.name}"
        for part in parts(message)
        if part is not message
        for field, _ in part.ListFields()
        if field.name in WRITTEN_ON_THE_WAY
    ]


def test_the_file_is_of_opset_20_alone_and_ir_10(model: ModelProto) -> None:
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]
    assert model.ir_version == 10


def test_the_export_is_one_file_with_all_its_weights(subject: Subject, tmp_path: Path) -> None:
    exporter.export(subject, tmp_path / "model.onnx")

    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    stored = [part for part in parts(onnx.load(tmp_path / "model.onnx")) if isinstance(part, TensorProto)]
    assert len(stored) > 6
    assert {tensor.data_location for tensor in stored} == {TensorProto.DEFAULT}


def test_input_and_output_have_the_names_of_the_spec_and_a_symbolic_batch(model: ModelProto) -> None:
    assert [axes(value) for value in model.graph.input] == [("features", ["batch", 4])]
    assert [axes(value) for value in model.graph.output] == [("prediction", ["batch", 1])]


def test_input_and_output_are_of_float32(model: ModelProto) -> None:
    declared = [*model.graph.input, *model.graph.output]

    assert [value.type.tensor_type.elem_type for value in declared] == [TensorProto.FLOAT, TensorProto.FLOAT]


def test_an_image_model_takes_an_image_and_gives_logits(image_subject: Subject, tmp_path: Path) -> None:
    exporter.export(image_subject, tmp_path / "model.onnx")

    graph = onnx.load(tmp_path / "model.onnx").graph
    assert [axes(value) for value in graph.input] == [("image", ["batch", 1, 28, 28])]
    assert [axes(value) for value in graph.output] == [("logits", ["batch", 10])]


def test_the_file_says_its_spec_its_classes_and_its_preprocessing(image_subject: Subject, tmp_path: Path) -> None:
    exporter.export(image_subject, tmp_path / "model.onnx")

    said = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert said == image_subject.metadata()
    assert (said["zoo.name"], said["zoo.origin"]) == ("digits", "untrained")
    assert json.loads(said["zoo.classes"])[3] == "3 - three"
    assert [step["type"] for step in json.loads(said["zoo.preprocessing"])] == ["ToDtype", "Normalize"]


def test_the_graph_has_the_name_of_the_spec(model: ModelProto) -> None:
    assert model.graph.name == "perceptron"


def test_no_part_of_the_graph_tells_of_the_sources_it_was_made_from(model: ModelProto) -> None:
    assert told(model) == []
    assert model.doc_string == ""


def test_a_source_told_at_any_depth_would_be_found(model: ModelProto) -> None:
    talkative = copy.deepcopy(model)
    talkative.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="model.py")
    talkative.graph.node[1].attribute[0].doc_string = "model.py"
    talkative.graph.output[0].type.tensor_type.shape.dim[0].denotation = "DATA_BATCH"

    assert told(talkative) == ["NodeProto.metadata_props", "AttributeProto.doc_string"]


def test_the_weights_of_the_linear_layers_are_the_modules_bit_for_bit(subject: Subject, model: ModelProto) -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer}
    own = {name: tensor.numpy().tobytes() for name, tensor in subject.module.state_dict().items()}

    names = {"0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias"}
    assert {name: stored[name] for name in names} == {name: own[name] for name in names}


def test_exporting_twice_in_one_process_gives_the_same_bytes(subject: Subject, tmp_path: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        exporter.export(subject, tmp_path / name)

    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_exporting_in_two_processes_and_folders_gives_the_same_bytes(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    first, second = ((made.folder / "model.onnx").read_bytes() for made in elsewhere)

    assert first == second


def test_exporting_leaves_the_module_as_it_was(fresh: MakeSubject, tmp_path: Path) -> None:
    subject = fresh(
        [{"type": "Linear", "out_features": 2}, {"type": "BatchNorm1d"}, {"type": "Linear", "out_features": 1}]
    )
    before = {name: tensor.clone() for name, tensor in subject.module.state_dict().items()}

    exporter.export(subject, tmp_path / "model.onnx")

    after = subject.module.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert not any(part.training for part in subject.module.modules())


class Branching(nn.Module):
    """Decides by the data, which no graph of ONNX operators can follow."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] if x.sum() > 0 else x[:, 1:2]


def test_a_model_that_torch_cannot_export_is_refused_in_one_line_with_a_remedy(
    fresh: MakeSubject, tmp_path: Path
) -> None:
    subject = fresh([{"type": "Linear", "out_features": 1}])

    with pytest.raises(ExportError) as refused:
        exporter.export(dataclasses.replace(subject, module=Branching().eval()), tmp_path / "model.onnx")

    assert not isinstance(refused.value, ProofFailed)
    assert re.fullmatch(r"torch cannot export this model to ONNX: [^\n\x1b]{20,}", refused.value.message)
    assert refused.value.remedy == "export with --torchscript, or replace the layer it names"
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("name", ["0.weight", "4.bias", "5.running_var"])
def test_a_file_of_which_one_bit_of_a_weight_is_another_is_refused(subject: Subject, tmp_path: Path, name: str) -> None:
    module = copy.deepcopy(subject.module)
    tensor = module.state_dict()[name].view(-1)
    tensor[0] = torch.nextafter(tensor[0], torch.tensor(100.0))
    exporter.export(dataclasses.replace(subject, module=module), tmp_path / "model.onnx")

    with pytest.raises(ProofFailed, match=f": {re.escape(name)} in the ONNX graph is not the model's, bit for bit\n"):
        exporter.verify_weights(subject, tmp_path / "model.onnx")


def test_every_tensor_of_the_module_that_evaluation_uses_is_compared(published: Published) -> None:
    used = [name for name in published.subject.module.state_dict() if "num_batches" not in name]

    assert exporter.verify_weights(published.subject, published.folder / "model.onnx") == len(used)


def test_an_honest_file_passes_the_static_proof_with_its_opset(published: Published) -> None:
    assert exporter.verify_static(published.subject, published.folder / "model.onnx") == 20


def input_renamed(model: ModelProto) -> None:
    model.graph.input[0].name = "x"
    model.graph.node[0].input[0] = "x"


def output_renamed(model: ModelProto) -> None:
    model.graph.output[0].name = "y"
    model.graph.node[-1].output[0] = "y"


def opset_19(model: ModelProto) -> None:
    model.opset_import[0].version = 19


def opset_21(model: ModelProto) -> None:
    model.opset_import[0].version = 21


def another_operator_set(model: ModelProto) -> None:
    model.opset_import.add(domain="ai.onnx.ml", version=3)


def batch_declared_as_three(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3


def batch_of_another_name(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"


def one_input_more(model: ModelProto) -> None:
    more = model.graph.input.add()
    more.CopyFrom(model.graph.input[0])
    more.name = "more"


def one_output_more(model: ModelProto) -> None:
    more = model.graph.output.add()
    more.CopyFrom(model.graph.output[0])
    more.name = model.graph.node[0].output[0]
    more.type.tensor_type.shape.dim[1].dim_value = 16


def a_weight_lost(model: ModelProto) -> None:
    del model.graph.initializer[0]


def a_weight_in_another_file(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="model.onnx.data")


def an_unknown_operator(model: ModelProto) -> None:
    model.graph.node[1].op_type = "GELUU"


EDITS: list[tuple[Callable[[ModelProto], None], str]] = [
    (input_renamed, "ONNX: the file declares {'x': ['batch', 4]}, but the spec says features: ['batch', 4]"),
    (output_renamed, "ONNX: the file declares {'y': ['batch', 1]}, but the spec says prediction: ['batch', 1]"),
    (opset_19, "ONNX: the file is not valid ONNX: No Op registered for Gelu with domain_version of 19"),
    (opset_21, "ONNX: the file uses operator sets [('', 21)], not opset 20 alone"),
    (another_operator_set, "ONNX: the file uses operator sets [('', 20), ('ai.onnx.ml', 3)], not opset 20 alone"),
    (
        batch_declared_as_three,
        "ONNX: the file declares {'features': [3, 4]}, but the spec says features: ['batch', 4]",
    ),
    (
        batch_of_another_name,
        "ONNX: the file declares {'prediction': ['rows', 1]}, but the spec says prediction: ['batch', 1]",
    ),
    (one_input_more, "ONNX: the file declares {'features': ['batch', 4], 'more': ['batch', 4]}, but the spec says"),
    (one_output_more, "ONNX: the file declares {'prediction': ['batch', 1], "),
    (a_weight_lost, "ONNX: the file is not valid ONNX: Nodes in a graph must be topologically sorted"),
    (a_weight_in_another_file, "ONNX: the file is not valid ONNX: Data of TensorProto ( tensor name: 0.weight)"),
    (an_unknown_operator, "ONNX: the file is not valid ONNX: No Op registered for GELUU"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_fault_planted_in_the_file_is_refused_by_its_name_and_nothing_is_published(
    published: Published,
    model: ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[ModelProto], None],
    message: str,
) -> None:
    edited = copy.deepcopy(model)
    edit(edited)
    plant_bytes(monkeypatch, "onnx", edited.SerializeToString())

    with pytest.raises(ProofFailed) as refused:
        publish(published.subject, ["onnx"], Destination(tmp_path / "export"))

    assert refused.value.message.startswith(message)
    assert contents(tmp_path) == {}


def test_weights_in_a_file_beside_the_model_are_refused_and_nothing_is_published(
    published: Published, model: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(subject: Subject, path: Path) -> None:
        onnx.save_model(
            copy.deepcopy(model), path, save_as_external_data=True, location="model.onnx.data", size_threshold=0
        )

    plant(monkeypatch, "onnx", export)

    with pytest.raises(ProofFailed):
        publish(published.subject, ["onnx"], Destination(tmp_path / "export"))

    assert contents(tmp_path) == {}
