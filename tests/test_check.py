"""The check: a corpus of wrong specs, each with its exact message, place and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Document, linear
from wrong import Corpus, images, told
from wrong_models import COMPOSITION, SHAPES, TEMPLATES
from wrong_specs import AGREEMENT, PARTS
from zoo.check import check, check_file
from zoo.errors import SpecError
from zoo.shapes import Shape
from zoo.source import Source


def without(document: Document, *path: str) -> Document:
    here = document
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    return document


VALUES: Corpus = {
    "unknown option at the top": (
        linear(epochs=3),
        ("epochs", 'the spec has no option "epochs"', 'write "epochs": 3 into train'),
    ),
    "unknown option of a layer": (
        linear(model__layers=[{"type": "Linear", "out_features": 1, "bais": True}]),
        ("model.layers.0.bais", 'Linear has no option "bais"', 'did you mean "bias"?'),
    ),
    "unknown layer": (
        linear(model__layers=[{"type": "Liner", "out_features": 1}]),
        ("model.layers.0.type", 'no layer has the type "Liner"', 'did you mean "Linear"?'),
    ),
    "a layer's name in small letters": (
        linear(model__layers=[{"type": "relu"}]),
        ("model.layers.0.type", 'no layer has the type "relu"', 'did you mean "ReLU"?'),
    ),
    "a layer without type": (
        linear(model__layers=[{"out_features": 1}]),
        (
            "model.layers.0",
            "layer has no type",
            'write "type": "Linear"',
        ),
    ),
    "a layer that is no object": (
        linear(model__layers=["Linear"]),
        ("model.layers.0", 'model.layers.0 is "Linear"', 'write {"type": "Linear"}'),
    ),
    "a type that is no string": (
        linear(loss={"type": 3}),
        (
            "loss.type",
            "no loss has the type 3",
            "write one of: BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, GaussianNLLLoss, HingeEmbeddingLoss, "
            "HuberLoss, KLDivLoss, L1Loss, MSELoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss, MultiMarginLoss, …",
        ),
    ),
    "a number in quotes": (
        linear(optimizer__lr="1e-3"),
        ("optimizer.lr", 'optimizer.lr is "1e-3"', "write 1e-3, without quotes"),
    ),
    "no number in quotes": (
        linear(optimizer__lr="NaN"),
        ("optimizer.lr", 'optimizer.lr is "NaN"', "write a number"),
    ),
    "a truth in quotes": (
        linear(train__shuffle="true"),
        ("train.shuffle", 'train.shuffle is "true"', "write true, without quotes"),
    ),
    "a layer of Keras": (
        linear(model__layers=[{"type": "Dense", "units": 1}]),
        ("model.layers.0.type", 'no layer has the type "Dense"', 'did you mean "Linear"?'),
    ),
    "no layers": (linear(model__layers=[]), ("model.layers", "model.layers is []", "write a list of 1 or more")),
    "a required option absent": (
        linear(model__layers=[{"type": "Linear"}]),
        (
            "model.layers.0",
            'Linear needs "out_features"',
            'write "out_features": … (Size of each output row, or "classes")',
        ),
    ),
    "a required part absent": (
        without(linear(), "loss"),
        ("", 'the spec needs "loss"', 'write "loss": … (What training makes small)'),
    ),
    "a required option of training absent": (
        without(linear(), "train", "batch_size"),
        (
            "train",
            'train needs "batch_size"',
            'write "batch_size": … (Rows in a step; the last step of an epoch takes what is left)',
        ),
    ),
    "a string for a number": (
        linear(train__epochs="3"),
        ("train.epochs", 'train.epochs is "3"', "write 3, without quotes"),
    ),
    "a fraction for a whole number": (
        linear(train__epochs=2.5),
        ("train.epochs", "train.epochs is 2.5", "write a whole number"),
    ),
    "a truth for a number": (linear(optimizer__lr=True), ("optimizer.lr", "optimizer.lr is true", "write a number")),
    "a number for a truth": (linear(train__shuffle=1), ("train.shuffle", "train.shuffle is 1", "write true or false")),
    "null where a value is needed": (
        linear(train__batch_size=None),
        ("train.batch_size", "train.batch_size is null", "write a whole number"),
    ),
    "a list for a number": (linear(optimizer__lr=[1]), ("optimizer.lr", "optimizer.lr is [1]", "write a number")),
    "a number below its range": (
        linear(optimizer__lr=-1),
        ("optimizer.lr", "optimizer.lr is -1", "write a number 0 or more"),
    ),
    "no epochs": (linear(train__epochs=0), ("train.epochs", "train.epochs is 0", "write a number 1 or more")),
    "a number above its range": (
        linear(train__batch_size=2**31),
        ("train.batch_size", "train.batch_size is 2147483648", "write a number 2,147,483,647 or less"),
    ),
    "a probability above one": (
        linear(model__layers=[{"type": "Dropout", "p": 1.5}]),
        ("model.layers.0.p", "model.layers.0.p is 1.5", "write a number below 1"),
    ),
    "a dropout of everything": (
        linear(model__layers=[{"type": "Dropout", "p": 1.0}]),
        ("model.layers.0.p", "model.layers.0.p is 1.0", "write a number below 1"),
    ),
    "a learning rate of nothing": (
        linear(optimizer__lr=0.0),
        (
            "optimizer.lr",
            "lr is 0",
            "write one above 0, or name the tensors that are to stay as they are in freeze",
        ),
    ),
    "a group that does not learn": (
        linear(optimizer__groups=[{"match": "*.bias", "lr": 0}]),
        (
            "optimizer",
            "in groups.0, lr is 0",
            "write one above 0, or name the tensors that are to stay as they are in freeze",
        ),
    ),
    "a wrong word": (
        linear(loss__reduction="men"),
        ("loss.reduction", 'loss.reduction is "men"', 'did you mean "mean"?'),
    ),
    "a wrong name for a size": (
        linear(model__layers=[{"type": "Linear", "out_features": "clases"}]),
        (
            "model.layers.0.out_features",
            'model.layers.0.out_features is "clases"',
            'did you mean "classes"?',
        ),
    ),
    "a name with capitals": (
        linear(name="My Model"),
        (
            "name",
            'name is "My Model"',
            "write a string that matches ^[a-z0-9][a-z0-9_-]*$ "
            "(Name of the model, and of its runs: small letters, digits, - and _)",
        ),
    ),
    "a contradiction in the optimizer": (
        linear(optimizer={"type": "SGD", "nesterov": True}),
        (
            "optimizer.nesterov",
            "nesterov needs a momentum above 0 and a dampening of 0",
            "write both, or remove nesterov",
        ),
    ),
    "an empty range of coordinates": (
        linear(data__high=-3),
        ("data.high", "high is -3, not above low, -3", "write a high above -3"),
    ),
    "classes where there are none": (
        linear(model__layers=[{"type": "Linear", "out_features": "classes"}]),
        ("model.layers.0.out_features", 'the data has no "classes"', "write a number, or use data that has them"),
    ),
    "an input size that does not follow": (
        linear(model__layers=[{"type": "Linear", "in_features": 784, "out_features": 1}]),
        (
            "model.layers.0.in_features",
            "Linear expects 784 features, but the data gives (N, 2)",
            "remove in_features (it follows from the layer above), or write 2",
        ),
    ),
    "an input size that does not follow from the layer above": (
        images(
            model__layers=[
                {"type": "Flatten"},
                {"type": "Linear", "out_features": 512},
                {"type": "ReLU"},
                {"type": "Linear", "in_features": 784, "out_features": 10},
            ]
        ),
        (
            "model.layers.3.in_features",
            "Linear expects 784 features, but ReLU above gives (N, 512)",
            "remove in_features (it follows from the layer above), or write 512",
        ),
    ),
    "a missing Flatten": (
        images(model__layers=[{"type": "Linear", "out_features": "classes"}], metrics=[]),
        (
            "model.layers.0.type",
            "Linear works along the last axis of (N, 1, 28, 28) alone, and the model gives (N, 1, 28, 10)",
            'put {"type": "Flatten"} above it',
        ),
    ),
    "a missing Flatten between written sizes": (
        images(
            model__layers=[
                {"type": "Linear", "in_features": 784, "out_features": 9},
                {"type": "Linear", "in_features": 9, "out_features": "classes"},
            ]
        ),
        (
            "model.layers.0.in_features",
            "Linear expects 784 features, but the data gives (N, 1, 28, 28)",
            'put {"type": "Flatten"} above it, and remove in_features; to work along the last axis alone, write 28',
        ),
    ),
    "integers into a layer": (
        images(data__transforms=[]),
        (
            "model.layers.1.type",
            "Linear needs float32 numbers, but Flatten above gives (N, 784) of uint8",
            'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms',
        ),
    ),
    "Normalize before ToDtype": (
        images(data__transforms=[{"type": "Normalize", "mean": [0.5], "std": [0.5]}]),
        (
            "data.transforms.0.type",
            "Normalize needs float32 numbers, but the data gives (N, 1, 28, 28) of uint8",
            'put {"type": "ToDtype", "dtype": "float32", "scale": true} before it',
        ),
    ),
    "means for three channels": (
        images(
            data__transforms=[
                {"type": "ToDtype", "dtype": "float32"},
                {"type": "Normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5]},
            ]
        ),
        (
            "data.transforms.1.mean",
            "Normalize needs images of 3 channels, but ToDtype before it gives (N, 1, 28, 28)",
            "write one number for all channels",
        ),
    ),
    "a zero deviation": (
        images(data__transforms=[{"type": "Normalize", "mean": [0.5], "std": [0]}]),
        ("data.transforms.0.std.0", "data.transforms.0.std.0 is 0", "write a number 1.17549e-38 or more"),
    ),
    "BatchNorm1d over images": (
        images(model__layers=[{"type": "BatchNorm1d"}]),
        (
            "model.layers.0.type",
            "BatchNorm1d needs (N, C) or (N, C, L), but the data gives (N, 1, 28, 28)",
            "write BatchNorm2d, or put a Flatten above it",
        ),
    ),
    "Flatten from the batch": (
        images(model__layers=[{"type": "Flatten", "start_dim": 0}]),
        (
            "model.layers.0.start_dim",
            "Flatten needs start_dim 0 to be an axis after the batch, but the data gives (N, 1, 28, 28)",
            "write an axis from 1 to 3, or from -1 to -3",
        ),
    ),
    "Flatten an axis that is not there": (
        linear(model__layers=[{"type": "Flatten", "end_dim": 2}]),
        (
            "model.layers.0.end_dim",
            "Flatten needs end_dim 2 to be an axis after the batch, but the data gives (N, 2)",
            "write an axis from 1 to 1, or from -1 to -1",
        ),
    ),
    "two layers of one id": (
        linear(
            model__layers=[
                {"type": "Linear", "out_features": 1, "id": "head"},
                {"type": "Linear", "out_features": 1, "id": "head"},
            ]
        ),
        ("model.layers.1.id", 'two layers have the id "head"', "write another id"),
    ),
    "an id that torch keeps": (
        linear(model__layers=[{"type": "Linear", "out_features": 1, "id": "forward"}]),
        (
            "model.layers.0.id",
            'the id "forward" is a name that torch keeps for itself',
            'write another, such as "forward_layer"',
        ),
    ),
    "the tutorial's accident: three outputs for one target": (
        linear(model__layers=[{"type": "Linear", "out_features": 3}], metrics=[]),
        ("loss.type", "MSELoss compares (N, 3) of the model with targets (N, 1)", "make the last layer give (N, 1)"),
    ),
    "a regression loss for classes": (
        images(loss={"type": "MSELoss"}),
        (
            "loss.type",
            "MSELoss compares (N, 10) of the model with targets (N,) of int64",
            'use {"type": "CrossEntropyLoss"} for class numbers',
        ),
    ),
    "a class loss for numbers": (
        linear(loss={"type": "CrossEntropyLoss"}),
        (
            "loss.type",
            "CrossEntropyLoss needs class numbers, but the data gives targets (N, 1)",
            'use {"type": "MSELoss"} for numbers',
        ),
    ),
    "a class metric for numbers": (
        linear(metrics=[{"type": "Accuracy"}]),
        (
            "metrics.0.type",
            "Accuracy judges logits (N, classes), but the model gives (N, 1) for (N, 1)",
            'use {"type": "MeanAbsoluteError"} for numbers',
        ),
    ),
    "a metric for numbers on classes": (
        images(metrics=[{"type": "MeanAbsoluteError"}]),
        (
            "metrics.0.type",
            "MeanAbsoluteError compares (N, 10) of the model with targets (N,) of int64",
            'use {"type": "Accuracy"} for class numbers',
        ),
    ),
    "too few classes": (
        images(model__layers=[{"type": "Flatten"}, {"type": "Linear", "out_features": 9}]),
        (
            "model.layers.1.out_features",
            "the model gives (N, 9), but MNIST has 10 classes",
            'write "out_features": "classes" in the last Linear',
        ),
    ),
    "a last step of one row under BatchNorm1d": (
        linear(model__layers=[{"type": "BatchNorm1d"}, {"type": "Linear", "out_features": 1}], data__samples=21),
        (
            "train.batch_size",
            "21 rows in steps of 4 leave a last step of 1, but a layer trains on 2 or more",
            'write a batch_size that leaves another remainder, or "drop_last": true',
        ),
    ),
    "a metric twice": (
        linear(metrics=[{"type": "MeanAbsoluteError"}, {"type": "MeanAbsoluteError"}]),
        ("metrics.1.type", "the metric MeanAbsoluteError stands twice", "keep one of them"),
    ),
}


CORPUS: Corpus = VALUES | COMPOSITION | TEMPLATES | SHAPES | AGREEMENT | PARTS


@pytest.mark.parametrize("name", CORPUS)
def test_a_wrong_spec_is_refused_in_these_words(name: str) -> None:
    document, *expected = CORPUS[name]
    assert told(document) == expected


def test_each_wrong_spec_has_a_name_of_its_own() -> None:
    assert len(CORPUS) == sum(map(len, (VALUES, COMPOSITION, TEMPLATES, SHAPES, AGREEMENT, PARTS)))


def test_all_problems_are_told_at_once_in_the_order_of_the_text() -> None:
    document = linear(
        name="Bad",
        model__layers=[{"type": "Linear", "out_features": "ten", "bais": 1}, {"type": "Relu"}, 7],
        train={"epochs": "3", "shuffle": 1},
    )
    assert [path for path, _, _ in told(document)] == [
        "name",
        "model.layers.0.out_features",
        "model.layers.0.bais",
        "model.layers.1.type",
        "model.layers.2",
        "train",
        "train.epochs",
        "train.shuffle",
    ]


def test_problems_of_shapes_are_told_together() -> None:
    layers = [{"type": "Linear", "out_features": 3, "id": "train"}]
    paths = [path for path, _, _ in told(linear(model__layers=layers))]
    assert paths == ["model.layers.0.id", "loss.type", "metrics.0.type"]


def test_a_problem_shows_its_line_underlined(here: Path) -> None:
    text = '{"name": "a",\n  "train": {"epochs": -3, "batch_size": 1}}'
    (here / "bad.json").write_text(text)
    with pytest.raises(SpecError) as refused:
        check_file("bad.json")
    last = str(refused.value.problems[-1])
    assert last == (
        "bad.json:2:13: error: train.epochs is -3\n"
        '    2 │   "train": {"epochs": -3, "batch_size": 1}}\n'
        "      │             ^^^^^^^^^^^^\n"
        "   remedy: write a number 1 or more"
    )


def test_a_long_line_is_cut_around_the_fault(here: Path) -> None:
    (here / "bad.json").write_text(" " * 500 + '{"epochs": -3}' + " " * 500)
    with pytest.raises(SpecError) as refused:
        check_file("bad.json")
    excerpt = refused.value.problems[-1].place.excerpt()
    assert '"epochs": -3' in excerpt
    assert max(map(len, excerpt.splitlines())) < 130


def test_a_good_spec_gives_the_shape_after_each_layer() -> None:
    checked = check(Source("spec.json", "", images()))
    assert checked.input == Shape("N", 1, 28, 28)
    assert [(placed.name, placed.output) for placed in checked.layers] == [
        ("0", Shape("N", 784)),
        ("1", Shape("N", 10)),
    ]


def test_a_problem_of_an_override_is_placed_at_the_override(write: Callable[..., str]) -> None:
    with pytest.raises(SpecError) as refused:
        check_file(write(linear()), ["train.epochs=0"])
    assert str(refused.value.problems[0]).startswith("--set train.epochs=0: error: train.epochs is 0\n   remedy: ")
