"""What a layer gives may be its input's memory, or be needed for its gradient: the check knows where, as torch does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from agreement import batch_of, declared
from conftest import Document
from wrong import dense, images
from zoo.check import check
from zoo.errors import ShapeError, SpecError
from zoo.graph import layer_module
from zoo.layers import LAYERS
from zoo.shapes import Shape
from zoo.source import Source

RELU_OVER = {"type": "ReLU", "inplace": True}
DROPOUT_OVER = {"type": "Dropout", "inplace": True}
OPTIONS: dict[str, Any] = {
    "threshold": 0.1,
    "value": 0.2,
    "block_size": 3,
    "p": 0.5,
    "dim": 1,
    "factor": 2.0,
    "out_features": 8,
}
OPTIONS |= {"size": 3, "hidden_size": 8, "num_groups": 2}
SHAPES = (Shape("N", 8), Shape("N", 8, 4), Shape("N", 8, 4, 4), Shape("N", 8, 4, 4, 4))


def fitting() -> list[tuple[Document, Shape]]:
    """A layer of each kind that takes floats and gives floats, in place and not, with a shape that it takes."""
    found = []
    for name in LAYERS.names:
        model = LAYERS.load(name)
        needed = [
            field.alias or key for key, field in model.model_fields.items() if field.is_required() and key != "type"
        ]
        if hasattr(model, "lay") or not set(needed) <= set(OPTIONS) or model.model_fields.get("whole"):
            continue
        document = {"type": name, **{key: OPTIONS[key] for key in needed}}
        for over in (document, *([document | {"inplace": True}] if "inplace" in model.model_fields else [])):
            taken = next((shape for shape in SHAPES if _gives_one(over, shape)), None)
            found += [(over, taken)] if taken is not None else []
    return found


def _gives_one(document: Document, shape: Shape) -> bool:
    try:
        value = declared(document).infer((shape,))
    except (ShapeError, ValueError):
        return False
    return isinstance(value, Shape) and value.dtype == "float32" and value.batched and value.rank > 1


FITTING = fitting()
GIVEN = {"type": "FakeImages", "size": 8, "num_classes": 2, "transforms": [{"type": "ToDtype", "dtype": "float32"}]}


def spec_of(shape: Shape, *layers: Document) -> Document:
    """A spec that brings an image of 512 numbers into a shape, then has the layers, then a head of two classes."""
    sizes = list(shape.row)
    count = sizes[0] * (shape.row_size // sizes[0])
    before = [{"type": "Flatten"}, dense(count), {"type": "Reshape", "shape": sizes}, {"type": "Hardswish"}]
    after = [{"type": "Hardswish"}, {"type": "Flatten"}, dense(2)]
    return images(data=GIVEN | {"image_size": [1, 16, 16]}, model={"layers": [*before, *layers, *after]})


def backward_works(shape: Shape, *layers: Document) -> bool:
    """Return whether torch computes gradients through the layers, one after the other, trained on."""
    torch.manual_seed(0)
    value, tensor = shape, batch_of(shape, 4).requires_grad_() * 1.0
    for document in layers:
        layer = declared(document)
        given = layer.infer((value,))
        tensor = layer_module(layer, (value,)).train()(tensor)
        assert isinstance(given, Shape)
        value = given
    try:
        total: Any = nn.functional.hardswish(tensor).sum()  # Any: torch's backward has no types
        total.backward()
    except RuntimeError:
        return False
    return True


def overwriting(document: Document) -> list[str]:
    try:
        check(Source("spec.json", "", document))
    except SpecError as refused:
        return [problem.message for problem in refused.problems if problem.path[-1] == "inplace"]
    return []


@pytest.mark.parametrize("over", [RELU_OVER, DROPOUT_OVER], ids=["ReLU", "Dropout"])
@pytest.mark.parametrize(
    ("document", "shape"), FITTING, ids=lambda part: json.dumps(part) if isinstance(part, dict) else ""
)
def test_in_place_is_refused_just_where_torch_cannot_train(document: Document, shape: Shape, over: Document) -> None:
    refused = overwriting(spec_of(shape, document, over))
    assert bool(refused) != backward_works(shape, document, over), refused


@pytest.mark.parametrize(
    ("document", "shape"), FITTING, ids=lambda part: json.dumps(part) if isinstance(part, dict) else ""
)
def test_a_layer_that_may_give_its_own_memory_says_so(document: Document, shape: Shape) -> None:
    layer = declared(document)
    given = batch_of(shape, 3)
    for module in (layer_module(layer, (shape,)).train(), layer_module(layer, (shape,)).eval()):
        with torch.no_grad():
            shares = module(given).untyped_storage().data_ptr() == given.untyped_storage().data_ptr()
        assert not shares or layer.shares_input or document.get("inplace"), document
