"""Losses beside torch's own: options, modules, and the shapes that torch would compare wrongly."""

import inspect
import json
import warnings
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from zoo.errors import ShapeError
from zoo.losses import AnyLoss, Loss
from zoo.shapes import Shape

Options = dict[str, object]

MEMBERS: tuple[type[Loss], ...] = get_args(get_args(AnyLoss)[0])
REGRESSIONS = ["L1Loss", "MSELoss"]
ROWS = 3

HONOURED: dict[str, Options] = {
    "CrossEntropyLoss": {"reduction": "sum", "label_smoothing": 0.25},
    "L1Loss": {"reduction": "sum"},
    "MSELoss": {"reduction": "sum"},
}
"""For each loss, a value for each option that is not its default."""


def declared(name: str, **options: object) -> Loss:
    members = {member.__name__: member for member in MEMBERS}
    return members[name].model_validate_json(json.dumps({"type": name, **options}))


def options_of(member: type[Loss]) -> list[str]:
    return [option for option in member.model_fields if option != "type"]


def numbers(shape: Shape, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((ROWS, *shape.row), generator=generator).mul(2).to(getattr(torch, shape.dtype))


def accepts(loss: Loss, output: Shape, target: Shape) -> bool:
    try:
        loss.require(output, target)
    except ShapeError:
        return False
    return True


def torch_compares(loss: Loss, output: Shape, target: Shape) -> bool:
    """Return whether torch gives a number; its warning that it broadcasts is another test's."""
    try:
        with warnings.catch_warnings(action="ignore"):
            value = loss.build()(numbers(output), numbers(target, seed=1))
    except (RuntimeError, ValueError):
        return False
    return bool(value.isfinite().item())


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]
CLASS_NUMBERS = Shape("N", dtype="int64")
LOGITS = Shape("N", 4)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Loss]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Loss], option: str) -> None:
    assert HONOURED[member.__name__][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_is_torchs_own_with_the_same_default(member: type[Loss], option: str) -> None:
    theirs = inspect.signature(getattr(nn, member.__name__)).parameters[option].default
    own = member.model_fields[option].default
    assert (own, type(own)) == (theirs, type(theirs))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option(member: type[Loss], option: str) -> None:
    value = HONOURED[member.__name__][option]
    assert getattr(declared(member.__name__, **{option: value}).build(), option) == value


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_module_is_of_torchs_class(member: type[Loss]) -> None:
    assert type(declared(member.__name__).build()) is getattr(nn, member.__name__)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Loss]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize(
    ("name", "output_name"), [("CrossEntropyLoss", "logits"), ("L1Loss", "prediction"), ("MSELoss", "prediction")]
)
def test_the_output_of_an_exported_file_is_called_by_what_it_is(name: str, output_name: str) -> None:
    assert declared(name).output_name == output_name


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        *((name, Shape("N", 1), Shape("N", 1)) for name in REGRESSIONS),
        *((name, Shape("N", 2, 3), Shape("N", 2, 3)) for name in REGRESSIONS),
        ("CrossEntropyLoss", LOGITS, CLASS_NUMBERS),
        ("CrossEntropyLoss", Shape("N", 4, 5), Shape("N", 5, dtype="int64")),
    ],
    ids=str,
)
def test_what_a_loss_accepts_torch_compares(name: str, output: Shape, target: Shape) -> None:
    loss = declared(name)
    assert (accepts(loss, output, target), torch_compares(loss, output, target)) == (True, True)


@pytest.mark.parametrize(
    ("name", "output", "target"),
    [
        *((name, Shape("N", 4), Shape("N", 5)) for name in REGRESSIONS),
        *((name, Shape("N", dtype="int64"), Shape("N", dtype="int64")) for name in REGRESSIONS),
        ("CrossEntropyLoss", Shape("N", 4, 5), CLASS_NUMBERS),
        ("CrossEntropyLoss", Shape("N", 4, 5), Shape("N", 7, dtype="int64")),
        ("CrossEntropyLoss", Shape("N"), CLASS_NUMBERS),
        ("CrossEntropyLoss", Shape("N", 4, dtype="int64"), CLASS_NUMBERS),
    ],
    ids=str,
)
def test_what_torch_cannot_compare_a_loss_refuses(name: str, output: Shape, target: Shape) -> None:
    loss = declared(name)
    assert (accepts(loss, output, target), torch_compares(loss, output, target)) == (False, False)


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
    loss = declared(name)
    with pytest.warns(UserWarning, match="This will likely lead to incorrect results due to broadcasting"):
        loss.build()(numbers(output), numbers(target))
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
        declared(name).require(output, target)
    assert (refusal.value.message, refusal.value.remedy) == (message, remedy)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("options", [{"reduction": "none"}, {"reduction": "average"}, {"weight": None}], ids=str)
def test_an_option_that_training_cannot_use_is_refused(member: type[Loss], options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(member.__name__, **options)


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_a_label_smoothing_that_is_no_share_is_refused(smoothing: float) -> None:
    with pytest.raises(ValidationError):
        declared("CrossEntropyLoss", label_smoothing=smoothing)
