"""One model of each kind that the language can say: exported, proven, and refused where something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
import torch
from onnx import numpy_helper

from conftest import Document
from exporters import golden
from exporters import onnx as exporter
from exporters.bundle import publish
from exporters.destination import Destination
from exporters.subject import Subject
from faults import EXPORTERS, FORMATS, Around, contents, plant_fault
from zoo.errors import ExportError, ProofFailed
from zoo.shapes import Shape

if TYPE_CHECKING:
    from exporters.certificate import Format
    from specimens import MakeSubject

pytest_plugins = ["specimens"]

RELEASE = tuple(map(int, torch.__version__.split(".")[:2]))
HEAD: list[Document] = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
LANGUAGE_MODEL: list[Document] = [
    {"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 8, "id": "tokens"},
    {"type": "PositionalEmbedding"},
    {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "CausalSelfAttention", "num_heads": 2}]},
    {"type": "Linear", "out_features": "vocabulary", "bias": False, "tie": "tokens"},
]


def proven(subject: Subject, folder: Path) -> None:
    """Publish every format after all proofs."""
    made = publish(subject, FORMATS, Destination(folder / "export"))
    assert [proof.verdict for proof in made.proofs] == ["equal"] * len(FORMATS)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Subject, Path]:
    """The language model, and its bundle of every format after all proofs; tests read them only."""
    from specimens import ask_here, of_letters

    folder = tmp_path_factory.mktemp("letters")
    subject = of_letters(folder)(LANGUAGE_MODEL)
    with pytest.MonkeyPatch.context() as patch:
        ask_here(patch)
        proven(subject, folder)
    return subject, folder / "export"


CONVOLUTIONS: dict[str, list[Document]] = {
    "a skip over layers": [
        {"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1, "id": "stem"},
        {"type": "ReLU"},
        {"type": "Conv2d", "out_channels": 2, "kernel_size": 3, "padding": 1},
        {"type": "Concat", "from": "stem"},
    ],
    "a U-Net of one step": [
        {"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1, "id": "high"},
        {"type": "MaxPool2d", "kernel_size": 2},
        {"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": 1},
        {"type": "ConvTranspose2d", "out_channels": 3, "kernel_size": 2, "stride": 2},
        {"type": "Concat", "from": "high"},
    ],
    "padding that keeps the size": [
        {"type": "Conv2d", "out_channels": 3, "kernel_size": 3, "padding": "same", "dilation": 2}
    ],
    "a transposed convolution": [
        {"type": "ConvTranspose2d", "out_channels": 3, "kernel_size": 3, "stride": 2, "output_padding": 1}
    ],
    "norms of groups": [
        {"type": "Conv2d", "out_channels": 4, "kernel_size": 3},
        {"type": "GroupNorm", "num_groups": 2},
    ],
    "an LSTM in both directions": [
        {"type": "Reshape", "shape": [8, 16]},
        {"type": "LSTM", "hidden_size": 5, "bidirectional": True},
        {"type": "Select", "index": 0},
        {"type": "Mean", "dim": 1},
    ],
    "attention of several heads": [
        {"type": "Reshape", "shape": [8, 16]},
        {"type": "MultiheadAttention", "num_heads": 2},
        {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 8},
    ],
}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_an_honest_export_of_each_kind_is_proven(images: MakeSubject, tmp_path: Path, kind: str) -> None:
    proven(images([*CONVOLUTIONS[kind], *HEAD]), tmp_path)


def test_attention_is_bit_equal_in_a_process_of_its_own(images: MakeSubject, tmp_path: Path) -> None:
    subject = images([*CONVOLUTIONS["attention of several heads"], *HEAD])

    made = publish(subject, ["torchscript"], Destination(tmp_path / "export"))

    assert made.proofs[0].executions[0].bit_equal


def test_tokens_of_any_length_go_in_and_logits_of_that_length_come_out(letters: tuple[Subject, Path]) -> None:
    graph = onnx.load(letters[1] / "model.onnx").graph
    (given,), (answer,) = graph.input, graph.output
    assert (given.name, given.type.tensor_type.elem_type) == ("tokens", onnx.TensorProto.INT64)
    assert exporter._axes(given) == ["batch", "sequence"]
    assert exporter._axes(answer) == ["batch", "sequence", 27]


def test_a_tied_weight_stands_once_in_the_file_and_is_the_models(letters: tuple[Subject, Path]) -> None:
    subject, bundle = letters

    graph = onnx.load(bundle / "model.onnx").graph
    state = subject.module.state_dict()
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in state}
    tied = {"tokens.weight", "3.weight"}
    assert tied <= set(state)
    assert len(tied & set(stored)) == 1
    assert all(array.tobytes() == state[name].numpy().tobytes() for name, array in stored.items())


@pytest.mark.parametrize("name", ["tokens.weight", "3.weight"])
def test_one_bit_of_a_tied_weight_under_either_name_is_seen(tokens: MakeSubject, tmp_path: Path, name: str) -> None:
    subject, path = tokens(LANGUAGE_MODEL), tmp_path / "model.onnx"
    exporter.export(subject, path)
    state = subject.module.state_dict(keep_vars=True)
    assert exporter.verify_weights(subject, path) == len(state)

    changed = state[name].detach().clone()
    changed[0, 0] = torch.nextafter(changed[0, 0], torch.tensor(100.0))
    state[name].data.copy_(changed)

    with pytest.raises(ProofFailed, match=r"\.weight in the ONNX graph is not the model's, bit for bit"):
        exporter.verify_weights(subject, path)


def test_a_formula_of_torch_for_a_free_axis_of_the_output_gives_way_to_its_name() -> None:
    sizes = ("(batch*sequence)//sequence", 3, "s7")
    output = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, sizes)
    model = onnx.helper.make_model(onnx.helper.make_graph([], "bags", [], [output]))

    exporter._name_axes(model, [Shape("N", 3, "T")])

    assert exporter._axes(model.graph.output[0]) == ["batch", 3, "sequence"]


def test_a_size_baked_into_the_output_is_left_for_the_proof_to_refuse() -> None:
    output = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, (3, 5))
    model = onnx.helper.make_model(onnx.helper.make_graph([], "baked", [], [output]))

    exporter._name_axes(model, [Shape("N", "T")])

    assert exporter._axes(model.graph.output[0]) == [3, 5]


@pytest.mark.usefixtures("in_this_process")
def test_windows_of_a_single_token_are_exported_and_proven(tokens: MakeSubject, tmp_path: Path) -> None:
    data = tokens(LANGUAGE_MODEL).checked.spec.data.document()

    proven(tokens(LANGUAGE_MODEL, data={**data, "context": 1}), tmp_path)


def test_golden_batches_of_tokens_have_several_lengths(tokens: MakeSubject, tmp_path: Path) -> None:
    subject = tokens(LANGUAGE_MODEL)

    made = golden.make(subject.module, subject.rows, sequence=subject.sequence)

    lengths = [tuple(question.inputs.shape) for question in made.held_out]
    assert lengths == [(1, 6), (2, 1), (3, 6), (4, 3), (7, 6), (64, 5)]
    assert [question.own.shape[:2] for question in made.held_out] == lengths


def test_the_published_tokens_are_whole_numbers(letters: tuple[Subject, Path]) -> None:
    stored = onnx.TensorProto()
    stored.ParseFromString((letters[1] / "test_data_set_0" / "input_0.pb").read_bytes())
    assert (stored.name, stored.data_type, list(stored.dims)) == ("tokens", onnx.TensorProto.INT64, [3, 6])


class LengthBaked(Around):
    """Sees as many positions as were traced, and nothing of the others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x.reshape(-1, 6))
        return result


class NextStepSeen(Around):
    """Gives each position what belongs to the next one, as a mask off by one would."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x.roll(-1, 1))
        return result


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("fault", [NextStepSeen, LengthBaked])
@pytest.mark.parametrize("name", FORMATS)
def test_a_fault_planted_in_a_model_of_tokens_is_refused(
    tokens: MakeSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Format, fault: type[Around]
) -> None:
    subject = tokens(LANGUAGE_MODEL)
    before = contents(tmp_path)
    plant_fault(monkeypatch, name, fault)

    with pytest.raises((ProofFailed, ExportError)):
        publish(subject, [name], Destination(tmp_path / "export"))
    assert contents(tmp_path) == before


SELECT: Document = {"type": "Select", "index": 0}
REFUSED: list[tuple[list[Document], str]] = [
    (
        [{"type": "AdaptiveMaxPool2d", "output_size": 3, "return_indices": True}, SELECT],
        "torch cannot export it to ONNX: No ONNX function found for ",
    ),
    (
        [{"type": "FractionalMaxPool2d", "kernel_size": 2, "output_size": 3}],
        "it draws its windows anew for every batch, in evaluation too",
    ),
    (
        [{"type": "BatchNorm2d", "track_running_stats": False}],
        "without running statistics a row's answer depends on the rows beside it",
    ),
]


@pytest.mark.parametrize(("layers", "reason"), REFUSED, ids=str)
def test_a_layer_that_the_exporter_cannot_write_is_refused_by_its_place_and_name(
    images: MakeSubject, tmp_path: Path, layers: list[Document], reason: str
) -> None:
    subject = images([{"type": "ReLU"}, *layers, *HEAD])

    with pytest.raises(ExportError) as refused:
        exporter.export(subject, tmp_path / "model.onnx")

    assert "spec.json:1:" in refused.value.message
    assert f': {layers[0]["type"]} "1": {reason}' in refused.value.message
    assert not isinstance(refused.value, ProofFailed)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("layers", "reason"), REFUSED[1:], ids=str)
def test_a_layer_whose_answer_a_row_does_not_settle_is_refused_in_every_format(
    images: MakeSubject, tmp_path: Path, name: Format, layers: list[Document], reason: str
) -> None:
    subject = images([*layers, *HEAD])

    with pytest.raises(ExportError, match=f'{layers[0]["type"]} "0": {reason}'):
        EXPORTERS[name].export(subject, tmp_path / "model")


def test_a_layer_that_fixes_the_length_is_refused_by_its_place_and_name(tokens: MakeSubject, tmp_path: Path) -> None:
    embedding, *_ = LANGUAGE_MODEL
    select: Document = {"type": "Select", "index": 0}
    head: Document = {"type": "Linear", "out_features": "vocabulary"}
    subject = tokens([embedding, {"type": "RNN", "hidden_size": 4}, select, head])

    with pytest.raises(ExportError, match=r': RNN "1": torch cannot export it to ONNX: it fixes the sequence of '):
        exporter.export(subject, tmp_path / "model.onnx")


def test_an_lstm_takes_sequences_of_any_length(tokens: MakeSubject, tmp_path: Path) -> None:
    embedding, *_ = LANGUAGE_MODEL
    select: Document = {"type": "Select", "index": 0}
    head: Document = {"type": "Linear", "out_features": "vocabulary"}
    subject = tokens([embedding, {"type": "LSTM", "hidden_size": 4}, select, head])

    if RELEASE < (2, 12):  # which fixes the length here too
        with pytest.raises(ExportError, match=r': LSTM "1": torch cannot export it to ONNX: it fixes the sequence of '):
            exporter.export(subject, tmp_path / "model.onnx")
        return
    exporter.export(subject, tmp_path / "model.onnx")

    assert exporter.verify_static(subject, tmp_path / "model.onnx") == 20
