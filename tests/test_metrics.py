"""Metrics: one number for each row, on the outputs they can judge and on no others."""

import json
from typing import get_args

import pytest
import torch
from torch import Tensor

from zoo.errors import ShapeError
from zoo.metrics import METRICS, Metric
from zoo.shapes import Shape

MEMBERS = tuple(member for member in METRICS.members() if issubclass(member, Metric))
CLASS_NUMBERS = Shape("N", dtype="int64")
ROWS = 3


def declared(name: str) -> Metric:
    members = {member.__name__: member for member in MEMBERS}
    return members[name].model_validate_json(json.dumps({"type": name}))


def numbers(shape: Shape) -> Tensor:
    return torch.zeros((ROWS, *shape.row), dtype=getattr(torch, shape.dtype))


def accepts(metric: Metric, output: Shape, target: Shape) -> bool:
    try:
        metric.require(output, target)
    except ShapeError:
        return False
    return True


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Metric]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


def test_every_metric_has_a_key_of_its_own() -> None:
    assert len({member.name for member in MEMBERS}) == len(MEMBERS)


@pytest.mark.parametrize(("name", "key"), [("Accuracy", "accuracy"), ("MeanAbsoluteError", "mean_absolute_error")])
def test_the_key_is_the_name_in_small_letters(name: str, key: str) -> None:
    assert declared(name).name == key


def test_accuracy_is_one_where_the_largest_logit_is_the_right_class() -> None:
    output = torch.tensor([[0.1, 0.9, 0.0], [0.1, 0.9, 0.0], [-1.0, -2.0, -3.0]])
    assert declared("Accuracy").values(output, torch.tensor([1, 0, 0])).tolist() == [1, 0, 1]


def test_a_distance_is_the_mean_over_the_numbers_of_a_row() -> None:
    output = torch.tensor([[1.0, 2.0], [0.0, -3.0]])
    target = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert declared("MeanAbsoluteError").values(output, target).tolist() == [1.5, 3.0]


def test_a_distance_is_the_mean_over_all_axes_of_a_row() -> None:
    output, target = torch.zeros(2, 2, 2), torch.arange(8.0).reshape(2, 2, 2)
    assert declared("MeanAbsoluteError").values(output, target).tolist() == [1.5, 5.5]


def test_a_distance_is_taken_in_float64() -> None:
    # In float32 the difference of the squares would be rounded: 2²⁴ + 1 has no float32.
    output, target = torch.tensor([[2.0**24]]), torch.tensor([[-1.0]])
    assert declared("MeanAbsoluteError").values(output, target).tolist() == [2.0**24 + 1]


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        ("Accuracy", Shape("N", 4), CLASS_NUMBERS),
        ("Accuracy", Shape("N", 1), CLASS_NUMBERS),
        ("MeanAbsoluteError", Shape("N", 1), Shape("N", 1)),
        ("MeanAbsoluteError", Shape("N", 2, 3), Shape("N", 2, 3)),
        ("MeanAbsoluteError", Shape("N"), Shape("N")),
    ],
    ids=str,
)
def test_an_output_that_fits_is_accepted(name: str, output: Shape, target: Shape) -> None:
    assert accepts(declared(name), output, target)


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        ("Accuracy", Shape("N", 4), CLASS_NUMBERS),
        ("MeanAbsoluteError", Shape("N", 1), Shape("N", 1)),
        ("MeanAbsoluteError", Shape("N", 2, 3), Shape("N", 2, 3)),
        ("MeanAbsoluteError", Shape("N"), Shape("N")),
    ],
    ids=str,
)
def test_there_is_one_float64_for_each_row(name: str, output: Shape, target: Shape) -> None:
    values = declared(name).arranged(output, target).values(numbers(output), numbers(target))
    assert (tuple(values.shape), values.dtype) == ((ROWS,), torch.float64)


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        ("Accuracy", Shape("N", 4), Shape("N", 1, dtype="int64")),
        ("Accuracy", Shape("N", 4, 5), CLASS_NUMBERS),
        ("Accuracy", Shape("N"), CLASS_NUMBERS),
    ],
    ids=str,
)
def test_an_output_without_one_answer_for_each_row_is_refused(name: str, output: Shape, target: Shape) -> None:
    assert not accepts(declared(name), output, target)


@pytest.mark.parametrize(
    ("output", "target", "axis"),
    [
        (Shape("N", 7, 3), Shape("N", 7, dtype="int64"), 2),
        (Shape("N", 3, 5, 7), Shape("N", 5, 7, dtype="int64"), 1),
        (Shape("N", 3, 3), Shape("N", 3, dtype="int64"), 1),
        (Shape("N", 3), CLASS_NUMBERS, 1),
    ],
    ids=str,
)
def test_accuracy_is_the_share_of_right_tokens_and_pixels(output: Shape, target: Shape, axis: int) -> None:
    metric = declared("Accuracy")
    metric.require(output, target)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(output.concrete(ROWS), generator=generator)
    answers = torch.randint(0, 3, target.concrete(ROWS), generator=generator)
    expected = (logits.argmax(axis) == answers).double().reshape(ROWS, -1).mean(1)
    assert torch.equal(metric.arranged(output, target).values(logits, answers), expected)


@pytest.mark.parametrize(("output", "target"), [(Shape("N", 1), Shape("N")), (Shape("N", 4), Shape("N", 1))], ids=str)
def test_shapes_that_torch_would_broadcast_are_refused(output: Shape, target: Shape) -> None:
    assert not accepts(declared("MeanAbsoluteError"), output, target)


@pytest.mark.parametrize(
    ("name", "output", "target", "message", "remedy"),
    [
        (
            "Accuracy",
            Shape("N", 1),
            Shape("N", 1),
            "Accuracy judges logits (N, classes), but the model gives (N, 1) for (N, 1)",
            'use {"type": "MeanAbsoluteError"} for numbers',
        ),
        (
            "Accuracy",
            Shape("N", 4, 5),
            CLASS_NUMBERS,
            "Accuracy judges logits (N, classes), but the model gives (N, 4, 5) for (N,) of int64",
            'use {"type": "MeanAbsoluteError"} for numbers',
        ),
        (
            "MeanAbsoluteError",
            Shape("N", 4),
            CLASS_NUMBERS,
            "MeanAbsoluteError compares (N, 4) of the model with targets (N,) of int64",
            'use {"type": "Accuracy"} for class numbers',
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    name: str, output: Shape, target: Shape, message: str, remedy: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        declared(name).require(output, target)
    assert (refusal.value.message, refusal.value.remedy) == (message, remedy)
