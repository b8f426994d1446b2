"""Losses beside torch's own: options, modules, and the shapes that torch would compare wrongly."""

from __future__ import annotations

import warnings
from typing import Any, cast, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from declaring import declared, default_of, options_of, torch_options
from zoo.errors import ShapeError
from zoo.losses import LOSSES, Loss
from zoo.shapes import Dimension, Shape

Options = dict[str, object]

MEMBERS = cast(list[type[Loss]], list(LOSSES.members()))
REGRESSIONS = ["L1Loss", "MSELoss"]
CLASSIFICATIONS = ["CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"]

REASONS = {
    "AdaptiveLogSoftmaxWithLoss": "it holds the last layer, and gives a pair",
    "CTCLoss": "it needs the lengths of inputs and targets",
    "CosineEmbeddingLoss": "it compares two outputs",
    "LinearCrossEntropyLoss": "it holds the last layer; Linear and CrossEntropyLoss say the same",
    "MarginRankingLoss": "it compares two outputs",
    "NLLLoss2d": "an old name of NLLLoss",
    "TripletMarginLoss": "it compares three outputs",
    "TripletMarginWithDistanceLoss": "it compares three outputs, by a function",
}
"""The losses of torch that are not in the language."""

LATER = {"LinearCrossEntropyLoss"}
"""The losses that torch 2.11 has not; torch 2.15 has them all."""
RELEASE = tuple(map(int, torch.__version__.split(".")[:2]))

OPTION_REASONS = {
    "size_average": "an old way of saying reduction",
    "reduce": "an old way of saying reduction",
}
"""The options of torch's losses that are not in the language."""

WEIGHTS = [0.5, 2.0, 1.0, 3.0]
HONOURED: dict[str, Options] = {
    "BCELoss": {"reduction": "sum", "weight": WEIGHTS},
    "BCEWithLogitsLoss": {"reduction": "sum", "weight": WEIGHTS, "pos_weight": [1.0, 4.0, 2.0, 1.0]},
    "CrossEntropyLoss": {"reduction": "sum", "label_smoothing": 0.25, "weight": WEIGHTS, "ignore_index": 1},
    "GaussianNLLLoss": {"reduction": "sum", "full": True, "eps": 0.5},
    "HingeEmbeddingLoss": {"reduction": "sum", "margin": 2.0},
    "HuberLoss": {"reduction": "sum", "delta": 0.25},
    "KLDivLoss": {"reduction": "batchmean", "log_target": True},
    "L1Loss": {"reduction": "sum"},
    "MSELoss": {"reduction": "sum"},
    "MultiLabelMarginLoss": {"reduction": "sum"},
    "MultiLabelSoftMarginLoss": {"reduction": "sum", "weight": WEIGHTS},
    "MultiMarginLoss": {"reduction": "sum", "p": 2, "margin": 0.5, "weight": WEIGHTS},
    "NLLLoss": {"reduction": "sum", "weight": WEIGHTS, "ignore_index": 1},
    "PoissonNLLLoss": {"reduction": "sum", "log_input": False, "full": True, "eps": 0.5},
    "SmoothL1Loss": {"reduction": "sum", "beta": 0.25},
    "SoftMarginLoss": {"reduction": "sum"},
}
"""For each loss, a value for each option that is not its default."""

BESIDE: dict[tuple[str, str], Options] = {("PoissonNLLLoss", "eps"): {"log_input": False}}
"""What an option needs beside it."""

FITTING: dict[str, tuple[Shape, Shape]] = {
    "GaussianNLLLoss": (Shape("N", 8), Shape("N", 4)),
    "MultiLabelMarginLoss": (Shape("N", 4), Shape("N", 4, dtype="int64")),
    **dict.fromkeys(CLASSIFICATIONS, (Shape("N", 4), Shape("N", dtype="int64"))),
}
"""Shapes that a loss compares, where they are not twice (N, 4)."""


def loss_of(name: str, **options: object) -> Loss:
    return cast(Loss, declared(LOSSES, {"type": name, **options}))


def values(shape: Shape, seed: int = 0, rows: int = 3, length: int = 2) -> Tensor:
    """Return numbers between 0 and 1, so that they are probabilities and rates too; whole ones are 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(shape.concrete(rows, length), generator=generator).mul(0.9).add(0.05)
    return drawn if shape.dtype == "float32" else drawn.round().to(getattr(torch, shape.dtype))


def accepts(loss: Loss, output: Shape, target: Shape) -> bool:
    try:
        loss.require(output, target)
    except ShapeError:
        return False
    return True


def compared(loss: Loss, output: Shape, target: Shape, length: int = 2) -> Tensor:
    """Return the loss of a batch; a warning is an error, but for that of KLDivLoss about its own default."""
    axis = loss.class_axis(output, target)
    targets = values(target, 1, length=length)
    if target.dtype == "int64":
        targets = targets.clamp(max=int(output.dims[-1 if axis is None else axis]) - 1)
    arranged = loss.arrangement(output, target)(values(output, length=length), targets)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction: 'mean' divides the total loss")
        return cast(Tensor, loss.build()(*arranged))


# Any: torch's values of options.
def as_torch(options: Options) -> dict[str, Any]:
    return {name: torch.tensor(value) if isinstance(value, list) else value for name, value in options.items()}


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]
CLASS_NUMBERS = Shape("N", dtype="int64")
LOGITS = Shape("N", 4)


def test_each_loss_of_torch_is_in_the_language_or_has_a_reason() -> None:
    own = {name for name in dir(nn) if name.removesuffix("2d").endswith("Loss")}
    said = set(LOSSES.names) | set(REASONS)
    assert own - said == set()
    assert said - own <= (LATER if RELEASE < (2, 15) else set())
    assert not set(LOSSES.names) & set(REASONS)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_option_of_torch_is_in_the_language_or_has_a_reason(member: type[Loss]) -> None:
    assert set(torch_options(getattr(nn, member.__name__))) - set(OPTION_REASONS) == set(options_of(member))


def test_each_reason_is_of_an_option_that_torch_has() -> None:
    assert set(OPTION_REASONS) <= {name for member in MEMBERS for name in torch_options(getattr(nn, member.__name__))}


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Loss]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Loss], option: str) -> None:
    assert HONOURED[member.__name__][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_has_torchs_default(member: type[Loss], option: str) -> None:
    own, theirs = default_of(member, option), torch_options(getattr(nn, member.__name__))[option]
    assert (own, type(own)) == (theirs, type(theirs))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option(member: type[Loss], option: str) -> None:
    name = member.__name__
    options = {**BESIDE.get((name, option), {}), option: HONOURED[name][option]}
    built, theirs = loss_of(name, **options).build(), getattr(nn, name)(**as_torch(options))
    assert type(built) is type(theirs)
    state, wanted = ({k: v for k, v in vars(loss).items() if k != "_buffers"} for loss in (built, theirs))
    assert state == wanted
    buffers = dict(theirs.named_buffers())
    assert {name: value.tolist() for name, value in built.named_buffers()} == {
        k: v.tolist() for k, v in buffers.items()
    }


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("honoured", [False, True])
def test_the_loss_is_torchs_to_the_bit(member: type[Loss], honoured: bool) -> None:
    name = member.__name__
    options = HONOURED[name] if honoured else {}
    output, target = FITTING.get(name, (LOGITS, LOGITS))
    loss = loss_of(name, **options)
    loss.require(output, target)
    inputs, targets = values(output), values(target, 1)
    arguments = (inputs[:, :4], targets, inputs[:, 4:]) if name == "GaussianNLLLoss" else (inputs, targets)
    with warnings.catch_warnings(action="ignore"):
        theirs = getattr(nn, name)(**as_torch(options))(*arguments)
    assert torch.equal(compared(loss, output, target), theirs)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Loss]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_sum_is_no_mean(member: type[Loss]) -> None:
    assert [loss_of(member.__name__, reduction=way).averaged for way in ("mean", "sum")] == [True, False]
    assert loss_of("KLDivLoss", reduction="batchmean").averaged


@pytest.mark.parametrize(
    ("name", "output_name"),
    [("CrossEntropyLoss", "logits"), ("L1Loss", "prediction"), ("NLLLoss", "log_probabilities")],
)
def test_the_output_of_an_exported_file_is_called_by_what_it_is(name: str, output_name: str) -> None:
    assert loss_of(name).output_name == output_name


@st.composite
def cases(draw: st.DrawFn, name: str) -> tuple[Loss, Shape, Shape]:
    """Draw some options of a loss, an output, and targets that nearly fit it."""
    some: list[Dimension] = [1, 2, 3, "T"]
    sizes = draw(st.lists(st.sampled_from(some), max_size=3))
    output = Shape("N", *sizes, dtype=draw(st.sampled_from(["float32", "float32", "float32", "int64"])))
    ones: list[Dimension] = [1 for _ in sizes]
    nearly: list[list[Dimension]] = [sizes, sizes[1:], sizes[:-1], [*sizes, 1], ones]
    if sizes and isinstance(sizes[0], int) and name == "GaussianNLLLoss":
        output, nearly = Shape("N", 2 * sizes[0], *sizes[1:], dtype=output.dtype), [*nearly, sizes, sizes]
    usual = FITTING.get(name, (LOGITS, LOGITS))[1].dtype
    dtype = draw(st.sampled_from([usual, usual, usual, "float32", "int64"]))
    target = Shape("N", *draw(st.sampled_from(nearly)), dtype=dtype)
    options: Options = {"reduction": draw(st.sampled_from(["mean", "sum"]))}
    for option in ("weight", "pos_weight"):
        if option in LOSSES.load(name).model_fields and not draw(st.integers(0, 2)):
            options[option] = draw(st.lists(st.sampled_from([0.5, 2.0]), min_size=1, max_size=3))
    return loss_of(name, **options), output, target


@pytest.mark.parametrize("name", LOSSES.names)
def test_what_a_loss_accepts_torch_compares_without_a_warning(name: str) -> None:
    accepted = []

    @given(case=cases(name))
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    def compares(case: tuple[Loss, Shape, Shape]) -> None:
        loss, output, target = case
        if accepts(loss, output, target):
            accepted.append(case)
            for length in (1, 2, 3):
                value = compared(loss, output, target, length)
                assert value.shape == ()
                assert value.isfinite()

    compares()
    assert accepted


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        *((name, Shape("N", 4), Shape("N", 5)) for name in REGRESSIONS),
        *((name, Shape("N", dtype="int64"), Shape("N", dtype="int64")) for name in REGRESSIONS),
        ("CrossEntropyLoss", Shape("N", 4, 5), CLASS_NUMBERS),
        ("CrossEntropyLoss", Shape("N", 4, 5), Shape("N", 7, dtype="int64")),
        ("CrossEntropyLoss", Shape("N"), CLASS_NUMBERS),
        ("CrossEntropyLoss", Shape("N", 4, dtype="int64"), CLASS_NUMBERS),
        ("MultiMarginLoss", Shape("N", 4, 5), CLASS_NUMBERS),
        ("MultiLabelMarginLoss", Shape("N", 4, 5), Shape("N", 4, 5, dtype="int64")),
        ("BCELoss", Shape("N"), Shape("N", 1)),
        ("BCEWithLogitsLoss", Shape("N"), Shape("N", 1)),
        ("GaussianNLLLoss", Shape("N", 4), Shape("N", 3)),
        ("SoftMarginLoss", Shape("N", 3), Shape("N", 2)),
    ],
    ids=str,
)
def test_what_torch_cannot_compare_a_loss_refuses(name: str, output: Shape, target: Shape) -> None:
    loss = loss_of(name)
    with warnings.catch_warnings(action="ignore"), pytest.raises((RuntimeError, ValueError, IndexError)):
        loss.build()(*loss.arrangement(output, target)(values(output), values(target)))
    assert not accepts(loss, output, target)


@pytest.mark.parametrize("name", ["HingeEmbeddingLoss", "KLDivLoss", "MultiLabelSoftMarginLoss", "PoissonNLLLoss"])
def test_shapes_that_torch_broadcasts_without_a_word_are_refused(name: str) -> None:
    loss, output, target = loss_of(name, reduction="sum"), Shape("N", 4), Shape("N", 1)
    assert loss.build()(values(output), values(target)).isfinite()
    assert not accepts(loss, output, target)


@pytest.mark.parametrize("name", CLASSIFICATIONS)
@pytest.mark.parametrize("length", [2, 4])
def test_a_sequence_has_its_classes_last_also_when_it_is_as_long_as_there_are_classes(name: str, length: int) -> None:
    output, target = Shape("N", "T", 4), Shape("N", "T", dtype="int64")
    loss = loss_of(name)
    rows = values(output, length=length).flatten(0, 1)
    theirs = getattr(nn, name)()(rows, values(target, 1, length=length).flatten())
    assert torch.equal(compared(loss, output, target, length), theirs)
    assert loss.class_axis(output, target) == 2


@pytest.mark.parametrize("name", CLASSIFICATIONS)
@pytest.mark.parametrize("sizes", [(4, 4), (2, 3), (4, 4, 4)], ids=str)
def test_images_have_their_classes_on_axis_1_also_when_they_are_square(name: str, sizes: tuple[int, ...]) -> None:
    output, target = Shape("N", 4, *sizes), Shape("N", *sizes, dtype="int64")
    loss = loss_of(name)
    rows, numbers = values(output).movedim(1, -1).reshape(-1, 4), values(target, 1).flatten()
    assert torch.allclose(compared(loss, output, target), getattr(nn, name)()(rows, numbers))
    assert loss.class_axis(output, target) == 1


@pytest.mark.parametrize(
    ("name", "options", "output", "target", "message"),
    [
        (
            "CrossEntropyLoss",
            {"weight": [1.0, 2.0]},
            Shape("N", "T", 4),
            Shape("N", "T", dtype="int64"),
            "CrossEntropyLoss has 2 numbers in weight, but the model gives (N, T, 4)",
        ),
        (
            "BCEWithLogitsLoss",
            {"pos_weight": [1.0]},
            Shape("N"),
            Shape("N"),
            "BCEWithLogitsLoss needs an axis of known size for its weights, but the model gives (N,)",
        ),
        (
            "GaussianNLLLoss",
            {},
            Shape("N", 1),
            Shape("N", 1),
            "GaussianNLLLoss needs (N, 2): means, then variances, but the model gives (N, 1)",
        ),
        (
            "CrossEntropyLoss",
            {},
            Shape("N", "T"),
            CLASS_NUMBERS,
            "CrossEntropyLoss needs logits (N, classes), but the model gives (N, T)",
        ),
    ],
    ids=str,
)
def test_a_refusal_names_the_shapes(name: str, options: Options, output: Shape, target: Shape, message: str) -> None:
    with pytest.raises(ShapeError) as refusal:
        loss_of(name, **options).require(output, target)
    assert refusal.value.message == message
    assert refusal.value.option == next(iter(options), "")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CrossEntropyLoss", {"weight": [0.0, 0.0]}),
        ("CrossEntropyLoss", {"weight": []}),
        ("CrossEntropyLoss", {"weight": [-1.0]}),
        ("PoissonNLLLoss", {"eps": 0.5}),
        ("HuberLoss", {"delta": 0.0}),
        ("MultiMarginLoss", {"p": 3}),
    ],
    ids=str,
)
def test_an_option_that_says_nothing_or_is_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        loss_of(name, **options)


@pytest.mark.parametrize("name", REGRESSIONS)
@pytest.mark.parametrize(
    ("output", "target"),
    [
        (Shape("N", 1), Shape("N")),
        (Shape("N"), Shape("N", 1)),
        (Shape("N", 4), Shape("N", 1)),
        (Shape("N", 1), Shape("N", 4)),
    ],
    ids=str,
)
def test_shapes_that_torch_would_broadcast_are_refused(name: str, output: Shape, target: Shape) -> None:
    loss = loss_of(name)
    with pytest.warns(UserWarning, match="This will likely lead to incorrect results due to broadcasting"):
        loss.build()(values(output), values(target))
    assert not accepts(loss, output, target)


@pytest.mark.parametrize(
    ("name", "output", "target", "message", "remedy"),
    [
        *(
            (
                name,
                Shape("N", 3),
                Shape("N", 1),
                f"{name} compares (N, 3) of the model with targets (N, 1)",
                "make the last layer give (N, 1)",
            )
            for name in REGRESSIONS
        ),
        *(
            (
                name,
                Shape("N", 1, dtype="uint8"),
                Shape("N", 1),
                f"{name} compares (N, 1) of uint8 of the model with targets (N, 1)",
                "make the last layer give (N, 1)",
            )
            for name in REGRESSIONS
        ),
        *(
            (
                name,
                LOGITS,
                CLASS_NUMBERS,
                f"{name} compares (N, 4) of the model with targets (N,) of int64",
                'use {"type": "CrossEntropyLoss"} for class numbers',
            )
            for name in REGRESSIONS
        ),
        (
            "CrossEntropyLoss",
            Shape("N", 1),
            Shape("N", 1),
            "CrossEntropyLoss needs class numbers, but the data gives targets (N, 1)",
            'use {"type": "MSELoss"} for numbers',
        ),
        (
            "CrossEntropyLoss",
            Shape("N", 4, 5),
            CLASS_NUMBERS,
            "CrossEntropyLoss needs logits (N, classes), but the model gives (N, 4, 5)",
            'end with {"type": "Flatten"} and {"type": "Linear", "out_features": "classes"}',
        ),
        (
            "CrossEntropyLoss",
            Shape("N", 4, dtype="int64"),
            CLASS_NUMBERS,
            "CrossEntropyLoss needs logits (N, classes), but the model gives (N, 4) of int64",
            'end with {"type": "Flatten"} and {"type": "Linear", "out_features": "classes"}',
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    name: str, output: Shape, target: Shape, message: str, remedy: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        loss_of(name).require(output, target)
    assert (refusal.value.message, refusal.value.remedy) == (message, remedy)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("options", [{"reduction": "none"}, {"reduction": "average"}, {"reduce": True}], ids=str)
def test_an_option_that_training_cannot_use_is_refused(member: type[Loss], options: Options) -> None:
    with pytest.raises(ValidationError):
        loss_of(member.__name__, **options)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_a_label_smoothing_that_is_no_share_is_refused(smoothing: float) -> None:
    with pytest.raises(ValidationError):
        loss_of("CrossEntropyLoss", label_smoothing=smoothing)


@pytest.mark.parametrize("options", [{}, {"ignore_index": -1}, {"ignore_index": 0}, {"label_smoothing": 0.1}], ids=str)
def test_cross_entropy_takes_probabilities_where_torch_does(options: Options) -> None:
    loss = loss_of("CrossEntropyLoss", **options)
    try:
        loss.build()(torch.zeros(3, 4), torch.full((3, 4), 0.25))
    except RuntimeError:
        assert not loss.takes_probabilities
    else:
        assert loss.takes_probabilities


@pytest.mark.parametrize("member", MEMBERS)
def test_no_other_loss_takes_probabilities_for_class_numbers(member: type[Loss]) -> None:
    assert loss_of(member.__name__).takes_probabilities == (member.__name__ == "CrossEntropyLoss")
