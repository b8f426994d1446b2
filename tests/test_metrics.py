"""Metrics: one number for each row, on the outputs they can judge and on no others."""

import json
from collections.abc import Callable
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
    assert len({member.key for member in MEMBERS}) == len(MEMBERS)


@pytest.mark.parametrize(("name", "key"), [("Accuracy", "accuracy"), ("MeanAbsoluteError", "mean_absolute_error")])
def test_the_key_is_the_name_in_small_letters(name: str, key: str) -> None:
    assert declared(name).name == key


@pytest.mark.parametrize("name", ["Precision", "Recall", "F1Score"])
def test_another_average_has_a_name_of_its_own(name: str) -> None:
    metric = declared(name)
    names = [metric.model_copy(update={"average": average}).name for average in ("macro", "micro", "weighted")]
    assert names == [metric.key, f"{metric.key}_micro", f"{metric.key}_weighted"]


@pytest.mark.parametrize("member", MEMBERS)
def test_more_is_better_of_what_is_a_share_and_less_of_what_is_an_error(member: type[Metric]) -> None:
    errors = {"MeanAbsoluteError", "MeanSquaredError", "Perplexity"}
    assert member.better == ("min" if member.__name__ in errors else "max")


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
            "R2Score",
            Shape("N", 4),
            Shape("N", 1),
            "R2Score compares (N, 4) of the model with targets (N, 1)",
            "make the last layer give (N, 1)",
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


def over_all(metric: Metric, output: Tensor, target: Tensor) -> float:
    """Return the metric of a split that comes in two batches of different sizes."""
    shapes = Shape("N", *output.shape[1:]), Shape("N", *target.shape[1:], dtype=str(target.dtype).split(".")[1])
    metric.require(*shapes)
    placed = metric.arranged(*shapes)
    sums = [placed.values(output[part], target[part]).reshape(len(target[part]), -1).sum(0) for part in PARTS]
    return placed.finished((sums[0] + sums[1]) / len(target))


PARTS = (slice(0, 5), slice(5, None))


@pytest.fixture
def answers() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(23, 4, generator=generator), torch.randint(0, 3, (23,), generator=generator)


def counted(output: Tensor, target: Tensor) -> list[tuple[int, int, int]]:
    """Return for each class how often it is found, called and there, row by row."""
    called = output.argmax(1).tolist()
    pairs = list(zip(called, target.tolist(), strict=True))
    return [
        (sum(c == t == k for c, t in pairs), sum(c == k for c, _ in pairs), sum(t == k for _, t in pairs))
        for k in range(output.shape[1])
    ]


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("Precision", lambda found, called, there: found / called if called else 0.0),
        ("Recall", lambda found, called, there: found / there if there else 0.0),
        ("F1Score", lambda found, called, there: 2 * found / (called + there) if called + there else 0.0),
    ],
)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_scores_of_classes_are_those_counted_by_hand(
    name: str, score: Callable[..., float], average: str, answers: tuple[Tensor, Tensor]
) -> None:
    counts = counted(*answers)
    if average == "micro":
        expected = score(*(sum(column) for column in zip(*counts, strict=True)))
    else:
        weights = [there if average == "weighted" else float(called + there > 0) for _, called, there in counts]
        expected = sum(w * score(*c) for w, c in zip(weights, counts, strict=True)) / sum(weights)
    metric = METRICS.validate({"type": name, "average": average})
    assert isinstance(metric, Metric)
    assert over_all(metric, *answers) == pytest.approx(expected, rel=1e-12)


def test_a_class_that_never_occurs_does_not_count_in_the_macro_mean() -> None:
    output, target = torch.eye(3)[[0, 0, 1, 1, 0, 0]], torch.tensor([0, 0, 1, 0, 0, 0])
    expected = (1 + 1 / 2) / 2
    assert over_all(declared("Precision"), output, target) == pytest.approx(expected)


def test_the_right_class_among_the_largest_two_counts(answers: tuple[Tensor, Tensor]) -> None:
    output, target = answers
    metric = METRICS.validate({"type": "Accuracy", "top_k": 2})
    assert isinstance(metric, Metric)
    expected = sum(t in row.topk(2).indices.tolist() for row, t in zip(output, target.tolist(), strict=True)) / 23
    assert over_all(metric, output, target) == pytest.approx(expected)
    assert metric.name == "accuracy_top2"


def test_a_top_k_of_all_classes_is_refused() -> None:
    metric = METRICS.validate({"type": "Accuracy", "top_k": 4})
    assert isinstance(metric, Metric)
    with pytest.raises(ShapeError, match="is always 1"):
        metric.require(Shape("N", 4), CLASS_NUMBERS)


def test_perplexity_is_the_exponential_of_the_cross_entropy(answers: tuple[Tensor, Tensor]) -> None:
    output, target = answers
    expected = torch.nn.functional.cross_entropy(output.double(), target).exp()
    assert over_all(declared("Perplexity"), output, target) == pytest.approx(float(expected), rel=1e-12)


def test_squared_errors_and_their_root_and_share_of_the_variance() -> None:
    generator = torch.Generator().manual_seed(2)
    output, target = torch.randn(23, 2, generator=generator), torch.randn(23, 2, generator=generator)
    error = float((output - target).double().square().mean())
    root = METRICS.validate({"type": "MeanSquaredError", "squared": False})
    assert isinstance(root, Metric)
    assert over_all(declared("MeanSquaredError"), output, target) == pytest.approx(error, rel=1e-6)
    assert over_all(root, output, target) == pytest.approx(error**0.5, rel=1e-6)
    share = 1 - error / float(target.double().var(unbiased=False))
    assert over_all(declared("R2Score"), output, target) == pytest.approx(share, rel=1e-6)
    assert over_all(declared("R2Score"), target, target) == 1.0
