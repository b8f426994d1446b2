"""Transforms beside torchvision's own: shapes, options, defaults, numbers."""

import inspect
import json
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.transforms import v2

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.transforms import AnyTransform, Transform

Options = dict[str, object]
Case = tuple[str, Options, Shape]

MEMBERS: tuple[type[Transform], ...] = get_args(get_args(AnyTransform)[0])
REFUSED = None  # what torchvision and a shape rule give where they refuse

SHAPES = (
    Shape("N", 1, 4, 4),
    Shape("N", 3, 4, 5),
    Shape("N", 1, 4, 4, dtype="uint8"),
    Shape("N", 3, 4, 5, dtype="uint8"),
    Shape("N", 4),
    Shape("N", 1),
    Shape("N"),
)
TABLE: dict[str, tuple[tuple[Options, ...], tuple[Shape, ...]]] = {
    "Normalize": (
        (
            {"mean": [0.5], "std": [0.5]},
            {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]},
            {"mean": [0.5], "std": [1, 2, 3]},
            {"mean": [0.1, 0.2], "std": [1, 2]},
        ),
        SHAPES,
    ),
    "ToDtype": (({"dtype": "float32"}, {"dtype": "float32", "scale": True}), SHAPES),
}
"""For each transform: its options, and the shapes that each of them meets."""

STRICTER: tuple[Case, ...] = tuple(
    ("Normalize", options, Shape("N", 1, 4, 4)) for options in TABLE["Normalize"][0] if options["mean"] != [0.5]
)
"""What torchvision takes and the language refuses on purpose: one channel, made several by the numbers for each."""

HONOURED: dict[str, Options] = {
    "Normalize": {"mean": [0.25, 0.5], "std": [2.0, 4.0]},
    "ToDtype": {"dtype": "float32", "scale": True},
}
"""For each transform, a value for each option that is not its default."""


def declared(name: str, options: Options) -> Transform:
    members = {member.__name__: member for member in MEMBERS}
    return members[name].model_validate_json(json.dumps({"type": name, **options}))


def torchvision_module(name: str, options: Options) -> nn.Module:
    written = {option: torch.float32 if value == "float32" else value for option, value in options.items()}
    module: nn.Module = getattr(v2, name)(**written)
    return module


def batch_of(shape: Shape, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((rows, *shape.row), generator=generator).mul(255).to(getattr(torch, shape.dtype))


def torchvision_gives(name: str, options: Options, shape: Shape) -> list[tuple[torch.Size, str]] | None:
    """Return size and dtype at batches 2 and 3; REFUSED where torchvision raises at either."""
    module = torchvision_module(name, options)
    try:
        outputs = [module(batch_of(shape, rows)) for rows in (2, 3)]
    except (RuntimeError, ValueError, TypeError):
        return REFUSED
    return [(output.shape, str(output.dtype)) for output in outputs]


def rule_gives(name: str, options: Options, shape: Shape) -> list[tuple[torch.Size, str]] | None:
    try:
        output = declared(name, options).output_shape(shape)
    except ShapeError:
        return REFUSED
    return [(torch.Size((rows, *output.row)), f"torch.{output.dtype}") for rows in (2, 3)]


def options_of(member: type[Transform]) -> list[str]:
    return [option for option in member.model_fields if option != "type"]


def label(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


CASES: list[Case] = [
    (name, options, shape)
    for name, (sets, shapes) in TABLE.items()
    for options in sets
    for shape in shapes
    if (name, options, shape) not in STRICTER
]
OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]
IMAGES = Shape("N", 3, 4, 5)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_transform_has_a_row_in_the_table(member: type[Transform]) -> None:
    assert member.__name__ in TABLE


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Transform]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize(("name", "options", "shape"), CASES, ids=label)
def test_the_shape_rule_answers_as_torchvision_does(name: str, options: Options, shape: Shape) -> None:
    assert rule_gives(name, options, shape) == torchvision_gives(name, options, shape)


@pytest.mark.parametrize("name", TABLE)
def test_the_table_meets_shapes_that_are_accepted(name: str) -> None:
    assert any(case[0] == name and rule_gives(*case) is not REFUSED for case in CASES)


@pytest.mark.parametrize(("name", "options", "shape"), STRICTER, ids=label)
def test_channels_that_torchvision_would_broadcast_are_refused(name: str, options: Options, shape: Shape) -> None:
    accepted = torchvision_gives(name, options, shape)
    assert (rule_gives(name, options, shape), accepted is REFUSED) == (REFUSED, False)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Transform]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Transform], option: str) -> None:
    assert HONOURED[member.__name__][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_is_torchvisions_own_with_the_same_default(member: type[Transform], option: str) -> None:
    field = member.model_fields[option]
    own = inspect.Parameter.empty if field.is_required() else field.default
    theirs = inspect.signature(getattr(v2, member.__name__)).parameters[option].default
    assert (own, type(own)) == (theirs, type(theirs))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option(member: type[Transform], option: str) -> None:
    name = member.__name__
    theirs = torchvision_module(name, HONOURED[name])
    assert getattr(declared(name, HONOURED[name]).build(), option) == getattr(theirs, option)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_transform_is_of_torchvisions_class(member: type[Transform]) -> None:
    name = member.__name__
    assert type(declared(name, HONOURED[name]).build()) is getattr(v2, name)


@pytest.mark.parametrize(("scale", "white"), [(True, 1.0), (False, 255.0)])
def test_white_becomes_one_when_it_is_scaled(scale: bool, white: float) -> None:
    transform = declared("ToDtype", {"dtype": "float32", "scale": scale}).build()
    assert transform(torch.full((2, 1, 1, 1), 255, dtype=torch.uint8)).flatten().tolist() == [white, white]


def test_normalize_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel() -> None:
    transform = declared("Normalize", {"mean": [1, 2, 3], "std": [1, 2, 4]}).build()
    assert transform(torch.full((1, 3, 1, 1), 7.0)).flatten().tolist() == [6.0, 2.5, 1.0]


@pytest.mark.parametrize("member", MEMBERS)
def test_a_batch_is_transformed_as_its_images_are(member: type[Transform]) -> None:
    options: Options = {"mean": [1, 2, 3], "std": [1, 2, 4]} if member.__name__ == "Normalize" else {"dtype": "float32"}
    transform = declared(member.__name__, options).build()
    batch = batch_of(IMAGES, 2)
    assert torch.equal(transform(batch), torch.stack([transform(image) for image in batch]))


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_normalize_refuses_whole_numbers_with_the_way_to_convert_them(dtype: str) -> None:
    with pytest.raises(ShapeError) as refusal:
        declared("Normalize", HONOURED["Normalize"]).output_shape(IMAGES.with_dtype(dtype))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (
        "Normalize needs float32 numbers",
        'put {"type": "ToDtype", "dtype": "float32", "scale": true} before it',
        "",
    )


@pytest.mark.parametrize(
    ("options", "channels", "message", "remedy", "option"),
    [
        (
            {"mean": [0.1, 0.2], "std": [1.0]},
            3,
            "Normalize needs images of 2 channels",
            "write one number for all channels, or 3",
            "mean",
        ),
        (
            {"mean": [0.1], "std": [1.0, 2.0]},
            3,
            "Normalize needs images of 2 channels",
            "write one number for all channels, or 3",
            "std",
        ),
        (
            {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]},
            1,
            "Normalize needs images of 3 channels",
            "write one number for all channels",
            "mean",
        ),
    ],
    ids=label,
)
def test_normalize_refuses_numbers_that_are_not_one_for_each_channel(
    options: Options, channels: int, message: str, remedy: str, option: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        declared("Normalize", options).output_shape(Shape("N", channels, 4, 4))
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (message, remedy, option)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ToDtype", {}),
        ("ToDtype", {"dtype": "float16"}),
        ("ToDtype", {"dtype": "float32", "scale": 1}),
        ("Normalize", {"mean": [0.5]}),
        ("Normalize", {"mean": [], "std": [1]}),
        ("Normalize", {"mean": [0.5], "std": []}),
        ("Normalize", {"mean": [0.5], "std": [0]}),
        ("Normalize", {"mean": [0.5], "std": [-1]}),
        ("Normalize", {"mean": 0.5, "std": [1]}),
        ("Normalize", {"mean": [0.5], "std": [1], "inplace": True}),
    ],
    ids=label,
)
def test_a_value_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(name, options)
