from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import load
from PIL import Image

from conftest import Document, Outcome, linear
from exporters import bundle, onnx, replaying
from exporters.arrays import Array
from exporters.card import render
from exporters.certificate import Format
from exporters.destination import Destination as Place
from exporters.opsets import IR_OF
from exporters.raw import RawModel, with_raw_rows
from exporters.request import OnnxForm
from exporters.subject import PREPROCESSING, Subject, find_subject
from faults import FORMATS, contents, plant
from test_card import code
from zoo.build import chain
from zoo.check import check_file
from zoo.destination import Destination
from zoo.errors import ExportError, ProofFailed
from zoo.prediction import predict_inputs
from zoo.run import Run
from zoo.trainer import train_run

if TYPE_CHECKING:
    from zoo.training.watching import Moment, Row

pytest_plugins = ["specimens"]

CONVERT: Document = {"type": "ToDtype", "dtype": "float32", "scale": True}
NORMALIZE: Document = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.25, 0.2, 0.3]}
CROP: Document = {"type": "CenterCrop", "size": [6, 5]}
HEAD: list[Document] = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
CLASSES: Document = {"loss": {"type": "CrossEntropyLoss"}, "metrics": [{"type": "Accuracy"}]}
TABLE = "size,colour,weight,kind\n" + "".join(
    f"{100 + index * 0.37},{'red' if index % 3 else 'blue'},{index % 7 - 2.5},{'ripe' if index % 2 else 'raw'}\n"
    for index in range(40)
)


class Nobody:
    def on_step(self, moment: Moment) -> None:
        """Look away."""

    def on_row(self, row: Row) -> None:
        """Look away."""


Train = Callable[..., Run]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Train a spec for two epochs."""

    def trained(**changes: object) -> Run:
        spec = tmp_path / "spec.json"
        training = {"epochs": 2, "batch_size": 10}
        spec.write_text(json.dumps(linear(train=training, optimizer={"type": "SGD", "lr": 0.05}, **changes)))
        return train_run(check_file(str(spec)), "cpu", Destination(tmp_path / "run"), Nobody())

    return trained


def raw(run: Run) -> Subject:
    return with_raw_rows(find_subject(str(run.path), (), untrained=False))


def published(subject: Subject, folder: Path, formats: list[Format] | None = None) -> onnxruntime.InferenceSession:
    bundle.publish(subject, formats or ["onnx"], Place(folder))
    return onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])


def images(*transforms: Document, size: tuple[int, int, int] = (3, 8, 9)) -> Document:
    return {"type": "FakeImages", "size": 60, "image_size": [*size], "num_classes": 4, "transforms": [*transforms]}


@pytest.fixture
def colours(train: Train) -> Run:
    return train(data=images(CROP, CONVERT, NORMALIZE), model__layers=HEAD, **CLASSES)


def assert_agrees_with_predict(run: Run, session: onnxruntime.InferenceSession, pixels: Array, folder: Path) -> None:
    """The file's class and probabilities of pixels (N, channels, height, width) are those of their PNG files."""
    files = [str(folder / f"{number}.png") for number in range(len(pixels))]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(file)
    told = predict_inputs(run, tuple(files))
    names = run.checked.example.classes
    _, probabilities, chosen = session.run(["logits", "probabilities", "class"], {"image": pixels})
    assert chosen.dtype == np.int64
    for prediction, row, index in zip(told, probabilities, chosen, strict=True):
        assert prediction.probabilities is not None
        assert prediction.record()["class"] == names[index]
        assert dict(zip(names, row.tolist(), strict=True)) == pytest.approx(prediction.probabilities, abs=1e-6)


@pytest.mark.usefixtures("in_this_process")
def test_grey_digits_of_whole_levels_get_the_class_and_the_probabilities_of_predict(
    train: Train, digits: Path, tmp_path: Path
) -> None:
    data = {"type": "MNIST", "root": str(digits), "transforms": [CONVERT, NORMALIZE | {"mean": [0.13], "std": [0.31]}]}
    run = train(data=data, model__layers=HEAD, **CLASSES)

    pixels = run.checked.spec.data.load("test").inputs[:5].numpy()
    assert pixels.dtype == np.uint8
    assert_agrees_with_predict(run, published(raw(run), tmp_path / "export"), pixels, tmp_path)


@pytest.mark.usefixtures("in_this_process")
def test_colours_are_cropped_and_normalized_inside_every_file(colours: Run, tmp_path: Path) -> None:
    session = published(raw(colours), tmp_path / "export", FORMATS)

    pixels = colours.checked.spec.data.load("test").inputs[:5].numpy()
    assert session.get_inputs()[0].shape == ["batch", 3, 8, 9]
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert_agrees_with_predict(colours, session, pixels, tmp_path)


@pytest.mark.usefixtures("in_this_process")
def test_a_row_of_a_table_goes_in_with_its_words_as_numbers(train: Train, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    data = {"type": "TableFile", "file": str(table), "target": "kind", "standardize": True, "test": 0.3}
    run = train(data=data, model__layers=[{"type": "Linear", "out_features": "classes"}], **CLASSES)
    session = published(raw(run), tmp_path / "export")

    rows = np.array([[101.5, 1, 2.25], [110.0, 0, -3.0]])  # of the words, blue is 0 and red is 1
    _, probabilities, _ = session.run(None, {"features": rows})
    for given, found in zip(predict_inputs(run, ("101.5,red,2.25", "110,blue,-3")), probabilities, strict=True):
        assert dict(zip(("raw", "ripe"), found.tolist(), strict=True)) == pytest.approx(given.probabilities, abs=1e-6)
    card = (tmp_path / "export" / "README.md").read_text()
    assert "The columns of the input: size, colour (0: blue, 1: red), weight." in card


def test_a_file_of_features_says_their_names_and_how_they_are_scaled(train: Train, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    data = {"type": "TableFile", "file": str(table), "target": "kind", "standardize": True, "test": 0.3}
    run = train(data=data, model__layers=[{"type": "Linear", "out_features": "classes"}], **CLASSES)
    subject = find_subject(str(run.path), (), untrained=False)

    said, shown = subject.metadata(), render(subject, ())
    (step,) = json.loads(said["zoo.preprocessing"])
    assert json.loads(said["zoo.features"]) == ["size", "colour = blue", "colour = red", "weight"]
    given = (np.array([101.5, 0, 1, 2.25]) - step["mean"]) / step["deviation"]
    assert np.array_equal(given.astype(np.float32), run.checked.spec.data.read(("101.5,red,2.25",)).rows[0].numpy())
    assert "0: size, 1: colour = blue, 2: colour = red, 3: weight. For a word, 1 stands at its place" in shown
    assert '"type": "standardize"' in shown
    assert "zoo.features" not in raw(run).metadata()


@pytest.mark.usefixtures("in_this_process")
def test_a_regression_gives_its_prediction_alone(train: Train, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    data = {"type": "TableFile", "file": str(table), "target": "weight", "standardize": True, "test": 0.3}
    run = train(data=data, model__layers=[{"type": "Linear", "out_features": 1}])
    session = published(raw(run), tmp_path / "export", FORMATS)

    (prediction,) = session.run(None, {"features": np.array([[105.25, 1.0, 0.0]])})
    assert [output.name for output in session.get_outputs()] == ["prediction"]
    assert prediction[0, 0] == pytest.approx(predict_inputs(run, ("105.25,red,raw",))[0].values[0], rel=1e-5)


@pytest.mark.usefixtures("in_this_process")
def test_golden_data_starts_from_raw_bytes_and_holds_every_output(colours: Run, tmp_path: Path) -> None:
    session = published(raw(colours), tmp_path / "export")

    stored = tmp_path / "export" / "test_data_set_0"
    arrays = {path.stem: _array(path) for path in stored.iterdir()}
    assert arrays["input_0"].dtype == np.uint8
    assert sorted(arrays) == ["input_0", "output_0", "output_1", "output_2"]
    for number, found in enumerate(session.run(None, {"image": arrays["input_0"]})):
        np.testing.assert_allclose(found, arrays[f"output_{number}"], atol=1e-6)


def _array(path: Path) -> Array:
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(TensorProto.FromString(path.read_bytes()))


@pytest.mark.usefixtures("in_this_process")
def test_the_file_says_what_it_does_and_that_nothing_is_to_be_done_before(colours: Run, tmp_path: Path) -> None:
    published(raw(colours), tmp_path / "export")

    told = {
        entry.key: json.loads(entry.value)
        for entry in load(tmp_path / "export" / "model.onnx").metadata_props[2:]
        if entry.key in ("zoo.raw", "zoo.preprocessing")
    }
    assert told["zoo.preprocessing"] == []
    assert [step["type"] for step in told["zoo.raw"]["preprocessing"]] == ["CenterCrop", "ToDtype", "Normalize"]


@pytest.mark.usefixtures("in_this_process")
def test_the_card_says_what_goes_in_and_comes_out_and_its_snippets_run(colours: Run, tmp_path: Path) -> None:
    published(raw(colours), tmp_path / "export", FORMATS)
    card = (tmp_path / "export" / "README.md").read_text()

    assert "* `image`: (N, 3, 8, 9) of uint8, uint8" not in card
    assert "* `image`: (N, 3, 8, 9), uint8; N is any batch size.\n* `logits`: (N, 4), float32.\n" in card
    assert "* `probabilities`: (N, 4), float32.\n* `class`: (N,), int64.\n* Inside the file: `{" in card
    command = [sys.executable, "-I", "-c", code(card, "python")[0]]
    ran = subprocess.run(command, cwd=tmp_path / "export", check=True, capture_output=True, text=True)
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["logits", "probabilities", "class"]


@pytest.mark.parametrize(
    "step",
    [
        {"type": "CenterCrop", "size": 5},
        {"type": "CenterCrop", "size": [12, 4]},
        {"type": "Pad", "padding": [1, 2, 3, 0], "fill": [7, 8, 9]},
        {"type": "Pad", "padding": 2, "padding_mode": "reflect"},
        {"type": "Pad", "padding": 2, "padding_mode": "symmetric"},
        {"type": "Pad", "padding": 2, "padding_mode": "edge"},
        {"type": "Resize", "size": [5, 13], "interpolation": "nearest"},
        {"type": "Resize", "size": 11, "interpolation": "nearest-exact"},
        {"type": "RGB"},
        {"type": "Resize", "size": [8, 9]},
    ],
    ids=lambda step: "-".join(map(str, step.values())),
)
def test_what_moves_pixels_is_compiled_bit_for_bit(step: Document, tmp_path: Path) -> None:
    subject = _fresh(tmp_path, images(step, CONVERT, NORMALIZE))
    compiled = with_raw_rows(subject)

    made = compiled.module.get_submodule(PREPROCESSING)(compiled.rows)
    assert torch.equal(made, chain(subject.checked.spec.data.pipeline())(compiled.rows))


@pytest.mark.usefixtures("in_this_process")
def test_margins_and_other_sizes_are_proven_at_the_oldest_opset_too(tmp_path: Path) -> None:
    grey = {"type": "RGB"}
    padded = {"type": "Pad", "padding": [1, 2, 3, 0], "fill": [7, 8, 9]}
    shrunk = {"type": "Resize", "size": [5, 7], "interpolation": "nearest"}
    subject = with_raw_rows(_fresh(tmp_path, images(grey, padded, shrunk, CONVERT, size=(1, 8, 9))))

    made = bundle.publish(subject, ["onnx"], Place(tmp_path / "export"), OnnxForm(opset=17, ir=IR_OF[17]))
    assert made.proofs[0].opset == 17


def _fresh(folder: Path, data: Document) -> Subject:
    spec = folder / "spec.json"
    spec.write_text(json.dumps(linear(data=data, model__layers=HEAD, **CLASSES)))
    return find_subject(str(spec), (), untrained=True)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"type": "Resize", "size": [5, 5]}, "bilinear interpolation and antialias is rounded"),
        ({"type": "Resize", "size": 6, "interpolation": "bicubic", "antialias": False}, "bicubic interpolation is"),
        ({"type": "Grayscale", "num_output_channels": 3}, "the weighed sum of colours is rounded"),
    ],
)
def test_what_cannot_be_compiled_exactly_is_refused_by_name_and_place(step: Document, why: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        with_raw_rows(_fresh(tmp_path, images(step, CONVERT)))

    assert "spec.json:1:" in caught.value.message
    assert f": {step['type']} cannot be compiled exactly: {why}" in caught.value.message


def test_photographs_of_any_size_are_refused_by_the_transform_that_gives_them_one(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / "photographs" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (9 + len(split), 7)).save(folder / "0.png")
    steps = [{"type": "Resize", "size": [4, 4], "interpolation": "nearest"}, CONVERT]
    subject = _fresh(tmp_path, {"type": "ImageFolder", "root": str(tmp_path / "photographs"), "transforms": steps})

    with pytest.raises(ExportError, match="Resize cannot be compiled exactly: images of any size come in"):
        with_raw_rows(subject)


def test_text_is_refused(tmp_path: Path, tokens: Callable[..., Subject]) -> None:
    layers = [{"type": "Embedding", "num_embeddings": "vocabulary", "embedding_dim": 4}]
    subject = tokens([*layers, {"type": "Linear", "out_features": "vocabulary"}])

    with pytest.raises(ExportError, match="TextFile makes tokens of text, which no graph can"):
        with_raw_rows(subject)


class Swapped(RawModel):
    """Gives the probabilities where the logits belong."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, probabilities, chosen = super().forward(x)
        return probabilities, logits, chosen


class Smallest(RawModel):
    """Takes the class that is the least likely."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, probabilities, _ = super().forward(x)
        return logits, probabilities, logits.argmin(1)


class WrongAxis(RawModel):
    """Makes probabilities over the rows of the batch."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, _, chosen = super().forward(x)
        return logits, logits.softmax(0), chosen


class Brighter(RawModel):
    """Is given images that are a level brighter, as a mean that is off by 1/255 makes them."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, probabilities, chosen = super().forward(x.float() + 1)
        return logits, probabilities, chosen


def around(kind: type[RawModel]) -> Callable[[Subject], Subject]:
    def changed(subject: Subject) -> Subject:
        module = subject.module
        assert isinstance(module, RawModel)
        preprocessing = module.get_submodule(PREPROCESSING)
        assert isinstance(preprocessing, torch.nn.Sequential)
        return dataclasses.replace(subject, module=kind(module.inner, preprocessing, module.axis))

    return changed


def number_off(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Subject], Subject]:
    def changed(subject: Subject) -> Subject:
        module = copy.deepcopy(subject.module)
        buffer = dict(module.named_buffers())[f"{PREPROCESSING}.{name}"]
        buffer.copy_(change(buffer))
        return dataclasses.replace(subject, module=module)

    return changed


WRONG_BITS = f"{PREPROCESSING}.* in the ONNX graph is not the model's, bit for bit"
PLANTED: dict[str, tuple[Callable[[Subject], Subject], str]] = {
    "a mean off by 1/255": (number_off("2.mean", lambda mean: mean + 1 / 255), WRONG_BITS),
    "levels over 256": (number_off("1.factor", lambda factor: factor * 255 / 256), WRONG_BITS),
    "a crop a pixel aside": (number_off("0.columns", lambda columns: columns + 1), WRONG_BITS),
    "an image a level brighter": (around(Brighter), "the preprocessing: model.onnx is not the model"),
    "swapped outputs": (around(Swapped), "model.onnx is not the model"),
    "the least likely class": (around(Smallest), "model.onnx is not the model"),
    "probabilities over the rows": (around(WrongAxis), "model.onnx is not the model"),
}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_around_the_model_is_refused_and_leaves_nothing(
    fault: str, colours: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, (change, message) = onnx.export, PLANTED[fault]
    plant(monkeypatch, "onnx", lambda subject, path, *form: honest(change(subject), path, *form))
    (tmp_path / "bundle").mkdir()

    with pytest.raises(ProofFailed, match=message):
        bundle.publish(raw(colours), ["onnx"], Place(tmp_path / "bundle" / "export"))

    assert contents(tmp_path / "bundle") == {}


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("kind", [Swapped, Smallest, WrongAxis, Brighter])
def test_onnxruntime_alone_would_refuse_it_too(
    kind: type[RawModel], colours: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = onnx.export
    plant(monkeypatch, "onnx", lambda subject, path, *form: honest(around(kind)(subject), path, *form))
    monkeypatch.setattr(replaying, "float64_error", lambda *evidence: 0.0)

    with pytest.raises(ProofFailed, match=r"model\.onnx is different: "):
        bundle.publish(raw(colours), ["onnx"], Place(tmp_path / "export"))


def test_the_tensors_of_the_model_keep_their_names(colours: Run) -> None:
    plain, subject = find_subject(str(colours.path), (), untrained=False), raw(colours)

    kept = {name for name in subject.module.state_dict() if not name.startswith(PREPROCESSING)}
    assert kept == plain.module.state_dict().keys()
    double = copy.deepcopy(subject.module).double()
    assert {tensor.dtype for name, tensor in double.state_dict().items() if name in kept} == {torch.float64}
    assert {tensor.dtype for tensor in subject.module.parameters()} == {torch.float32}


def test_the_command_writes_it_with_raw(colours: Run, zoo: Callable[..., Outcome], tmp_path: Path) -> None:
    done = zoo("export", colours.path, "--raw", "--out", tmp_path / "export")

    assert done.status == 0, done.err
    model = load(tmp_path / "export" / "model.onnx")
    assert [output.name for output in model.graph.output] == ["logits", "probabilities", "class"]
    again = zoo("verify", tmp_path / "export")
    assert again.status == 0, again.out + again.err
