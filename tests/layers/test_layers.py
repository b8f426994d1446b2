"""Every layer of the union beside torch's own class: shapes, options, defaults, modules."""

import inspect
import json
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from zoo.errors import ShapeError
from zoo.layers import AnyLayer, Layer
from zoo.shapes import Shape

Options = dict[str, object]
Case = tuple[str, Options, Shape]

MEMBERS: tuple[type[Layer], ...] = get_args(get_args(AnyLayer)[0])
BY_NAME = {member.__name__: member for member in MEMBERS}
INPUT_SIZES = {"in_features", "num_features", "normalized_shape"}  # these follow from the shape
REFUSED = None  # what torch and a shape rule give where they refuse
TORCH_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)

SHAPES = (Shape("N"), Shape("N", 1), Shape("N", 4), Shape("N", 3, 4), Shape("N", 3, 1), Shape("N", 2, 3, 4))
WHOLE_NUMBERS = (Shape("N", 4, dtype="uint8"), Shape("N", 4, dtype="int64"))

TABLE: dict[str, tuple[tuple[Options, ...], tuple[Shape, ...]]] = {
    "BatchNorm1d": (
        (
            {},
            {"num_features": 4},
            {"num_features": 3, "affine": False},
            {"eps": 0.1, "momentum": None},
            {"track_running_stats": False},
        ),
        (*SHAPES, *WHOLE_NUMBERS),
    ),
    "Dropout": (({}, {"p": 0.0}, {"p": 1.0, "inplace": True}), (*SHAPES, *WHOLE_NUMBERS)),
    "Flatten": (
        (
            {},
            {"start_dim": 2},
            {"start_dim": -2},
            {"start_dim": -1},
            {"end_dim": 1},
            {"end_dim": 2},
            {"end_dim": -2},
            {"start_dim": 2, "end_dim": 1},
            {"start_dim": -1, "end_dim": -2},
            {"start_dim": 7, "end_dim": 7},
            {"start_dim": -8},
        ),
        (Shape("N", 4), Shape("N", 3, 4), Shape("N", 2, 3, 4), Shape("N", 1, 28, 28, dtype="uint8")),
    ),
    "GELU": (({}, {"approximate": "tanh"}), (*SHAPES, *WHOLE_NUMBERS)),
    "Identity": (({},), (*SHAPES, *WHOLE_NUMBERS)),
    "LayerNorm": (
        (
            {},
            {"normalized_shape": [4]},
            {"normalized_shape": [3, 4]},
            {"normalized_shape": [2, 3, 4], "bias": False},
            {"normalized_shape": [2, 2, 3, 4]},
            {"eps": 0.1, "elementwise_affine": False},
        ),
        (*SHAPES, *WHOLE_NUMBERS),
    ),
    "LeakyReLU": (({}, {"negative_slope": -2.0, "inplace": True}), (*SHAPES, *WHOLE_NUMBERS)),
    "Linear": (
        ({"out_features": 2}, {"out_features": 1, "in_features": 4, "bias": False}, {"out_features": 3, "bias": False}),
        (*SHAPES, *WHOLE_NUMBERS),
    ),
    "ReLU": (({}, {"inplace": True}), SHAPES),
    "SiLU": (({}, {"inplace": True}), (*SHAPES, *WHOLE_NUMBERS)),
    "Sigmoid": (({},), SHAPES),
    "Tanh": (({},), SHAPES),
}
"""For each layer: its options, and the shapes that each of them meets."""

NO_OPTIONS: Options = {}
STRICTER: tuple[Case, ...] = (
    # An image is scaled before the layers, and only floats have gradients.
    *((name, NO_OPTIONS, shape) for name in ("ReLU", "Sigmoid", "Tanh") for shape in WHOLE_NUMBERS),
    *(("Dropout", options, shape) for options in TABLE["Dropout"][0] if options for shape in WHOLE_NUMBERS),
    # The batch stays apart.
    ("Flatten", {"start_dim": 0}, Shape("N", 3, 4)),
    ("Flatten", {"start_dim": -3}, Shape("N", 3, 4)),
    ("Flatten", {"start_dim": -2}, Shape("N", 4)),
    ("Flatten", {"start_dim": 0, "end_dim": 0}, Shape("N", 3, 4)),
    ("Flatten", {"start_dim": 0}, Shape("N")),
    # A single row could not be predicted.
    ("BatchNorm1d", {"track_running_stats": False}, Shape("N", 1)),
    ("BatchNorm1d", {"track_running_stats": False}, Shape("N", 4)),
    ("BatchNorm1d", {"track_running_stats": False}, Shape("N", 3, 1)),
)
"""What torch takes and the language refuses on purpose."""

HONOURED: dict[str, tuple[Shape, Options]] = {
    "BatchNorm1d": (
        Shape("N", 3, 4),
        {"num_features": 3, "eps": 0.25, "momentum": None, "affine": False, "track_running_stats": False},
    ),
    "Dropout": (Shape("N", 4), {"p": 0.25, "inplace": True}),
    "Flatten": (Shape("N", 3, 4), {"start_dim": 2, "end_dim": 2}),
    "GELU": (Shape("N", 4), {"approximate": "tanh"}),
    "Identity": (Shape("N", 4), {}),
    "LayerNorm": (
        Shape("N", 3, 4),
        {"normalized_shape": [3, 4], "eps": 0.25, "elementwise_affine": False, "bias": False},
    ),
    "LeakyReLU": (Shape("N", 4), {"negative_slope": 0.25, "inplace": True}),
    "Linear": (Shape("N", 4), {"in_features": 4, "out_features": 7, "bias": False}),
    "ReLU": (Shape("N", 4), {"inplace": True}),
    "SiLU": (Shape("N", 4), {"inplace": True}),
    "Sigmoid": (Shape("N", 4), {}),
    "Tanh": (Shape("N", 4), {}),
}
"""For each layer: a shape, and a value for each option that is not its default."""

REQUIRED: dict[str, Options] = {"Linear": {"out_features": 2}}


def declared(name: str, options: Options) -> Layer:
    return BY_NAME[name].model_validate_json(json.dumps({"type": name, **options}))


def torch_module(name: str, options: Options, shape: Shape) -> nn.Module:
    """Return torch's own class with these options and with the input sizes that the shape has."""
    written = dict(options)
    if shape.row:
        following = {"Linear": ("in_features", shape.row[-1]), "BatchNorm1d": ("num_features", shape.row[0])}
        following["LayerNorm"] = ("normalized_shape", shape.row[-1])
        if name in following:
            written = {following[name][0]: following[name][1], **written}
    module: nn.Module = getattr(nn, name)(**written)
    return module


def batch_of(shape: Shape, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((rows, *shape.row), generator=generator).mul(9).to(getattr(torch, shape.dtype))


def torch_gives(name: str, options: Options, shape: Shape) -> list[tuple[torch.Size, str]] | None:
    """Return size and dtype at batches 2 and 3, in training and in evaluation; REFUSED where torch raises at any."""
    try:
        module = torch_module(name, options, shape)
        outputs = [module.train(mode)(batch_of(shape, rows)) for rows in (2, 3) for mode in (True, False)]
    except TORCH_REFUSALS:
        return REFUSED
    return [(output.shape, str(output.dtype)) for output in outputs]


def rule_gives(name: str, options: Options, shape: Shape) -> list[tuple[torch.Size, str]] | None:
    try:
        output = declared(name, options).output_shape(shape)
    except ShapeError:
        return REFUSED
    return [(torch.Size((rows, *output.row)), f"torch.{output.dtype}") for rows in (2, 3) for _ in (True, False)]


def label(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def seen(module: nn.Module, option: str) -> object:
    """Return what a module holds of an option, as JSON would write it."""
    value: object = getattr(module, option)
    if option == "bias":
        return value is not None
    return list(value) if isinstance(value, tuple) else value


def options_of(member: type[Layer]) -> list[str]:
    return [option for option in member.model_fields if option not in ("type", "id")]


CASES: list[Case] = [
    (name, options, shape)
    for name, (sets, shapes) in TABLE.items()
    for options in sets
    for shape in shapes
    if (name, options, shape) not in STRICTER
]
ACCEPTED = [case for case in CASES if rule_gives(*case) is not REFUSED]
OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_layer_has_a_row_in_the_table(member: type[Layer]) -> None:
    assert member.__name__ in TABLE


def test_the_table_has_only_layers() -> None:
    assert set(TABLE) == set(HONOURED) == set(BY_NAME)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Layer]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize(("name", "options", "shape"), CASES, ids=label)
def test_the_shape_rule_answers_as_torch_does(name: str, options: Options, shape: Shape) -> None:
    assert rule_gives(name, options, shape) == torch_gives(name, options, shape)


@pytest.mark.parametrize("name", TABLE)
def test_the_table_meets_shapes_that_are_accepted(name: str) -> None:
    assert any(case[0] == name for case in ACCEPTED)


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"Identity", "ReLU", "Sigmoid", "Tanh"}))
def test_the_table_meets_shapes_that_are_refused(name: str) -> None:
    assert any(case[0] == name and case not in ACCEPTED for case in CASES)


@pytest.mark.parametrize(("name", "options", "shape"), STRICTER, ids=label)
def test_the_language_refuses_this_on_purpose(name: str, options: Options, shape: Shape) -> None:
    with pytest.raises(ShapeError):
        declared(name, options).output_shape(shape)


@pytest.mark.parametrize(("name", "options", "shape"), STRICTER, ids=label)
def test_torch_takes_what_is_refused_on_purpose(name: str, options: Options, shape: Shape) -> None:
    assert torch_gives(name, options, shape) is not REFUSED


@pytest.mark.parametrize(("name", "options", "shape"), ACCEPTED, ids=label)
def test_the_built_module_is_torchs_own_with_these_options(name: str, options: Options, shape: Shape) -> None:
    assert repr(declared(name, options).build(shape)) == repr(torch_module(name, options, shape))


@pytest.mark.parametrize(("name", "options", "shape"), ACCEPTED, ids=label)
def test_the_built_module_holds_torchs_own_tensors(name: str, options: Options, shape: Shape) -> None:
    built = declared(name, options).build(shape).state_dict()
    expected = torch_module(name, options, shape).state_dict()
    assert [(key, value.shape) for key, value in built.items()] == [(k, v.shape) for k, v in expected.items()]


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_module_is_of_torchs_class(member: type[Layer]) -> None:
    name = member.__name__
    assert type(declared(name, REQUIRED.get(name, {})).build(HONOURED[name][0])) is getattr(nn, name)


@pytest.mark.parametrize(("name", "options", "shape"), ACCEPTED, ids=label)
def test_torch_trains_on_the_smallest_training_batch(name: str, options: Options, shape: Shape) -> None:
    layer = declared(name, options)
    fewest = layer.smallest_training_batch(shape)
    assert len(layer.build(shape).train()(batch_of(shape, fewest))) == fewest


@pytest.mark.parametrize(("name", "options", "shape"), ACCEPTED, ids=label)
def test_a_layer_evaluates_one_row_alone(name: str, options: Options, shape: Shape) -> None:
    assert len(declared(name, options).build(shape).eval()(batch_of(shape, 1))) == 1


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_is_called_as_torch_calls_it(member: type[Layer], option: str) -> None:
    assert option in inspect.signature(getattr(nn, member.__name__)).parameters


@pytest.mark.parametrize(("member", "option"), [pair for pair in OPTIONS if pair[1] not in INPUT_SIZES])
def test_the_default_is_torchs_own(member: type[Layer], option: str) -> None:
    field = member.model_fields[option]
    own = inspect.Parameter.empty if field.is_required() else field.default
    theirs = inspect.signature(getattr(nn, member.__name__)).parameters[option].default
    assert (own, type(own)) == (theirs, type(theirs))


@pytest.mark.parametrize(("member", "option"), [pair for pair in OPTIONS if pair[1] in INPUT_SIZES])
def test_an_input_size_needs_not_be_written(member: type[Layer], option: str) -> None:
    assert member.model_fields[option].default is None


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Layer]) -> None:
    assert sorted(HONOURED[member.__name__][1]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Layer], option: str) -> None:
    assert HONOURED[member.__name__][1][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option(member: type[Layer], option: str) -> None:
    name = member.__name__
    shape, values = HONOURED[name]
    module = declared(name, {**REQUIRED.get(name, {}), option: values[option]}).build(shape)
    assert seen(module, option) == values[option]


@pytest.mark.parametrize(
    ("name", "options", "shape", "message", "remedy", "option"),
    [
        (
            "Linear",
            {"out_features": 2, "in_features": 784},
            Shape("N", 512),
            "Linear expects 784 features",
            "remove in_features (it follows from the layer above), or write 512",
            "in_features",
        ),
        (
            "BatchNorm1d",
            {"num_features": 5},
            Shape("N", 3, 4),
            "BatchNorm1d expects 5 features",
            "remove num_features (it follows from the layer above), or write 3",
            "num_features",
        ),
        (
            "BatchNorm1d",
            {},
            Shape("N", 3, 4, 5),
            "BatchNorm1d needs (N, C) or (N, C, L)",
            "put a Flatten above it",
            "",
        ),
        (
            "LayerNorm",
            {"normalized_shape": [5]},
            Shape("N", 3, 4),
            "LayerNorm needs rows that end in [5]",
            "write the last axes, such as [4], or remove normalized_shape",
            "normalized_shape",
        ),
        (
            "Flatten",
            {"start_dim": 0},
            Shape("N", 3, 4),
            "Flatten needs start_dim 0 to be an axis after the batch",
            "write an axis from 1 to 2, or from -1 to -2",
            "start_dim",
        ),
        (
            "Flatten",
            {"end_dim": 3},
            Shape("N", 3, 4),
            "Flatten needs end_dim 3 to be an axis after the batch",
            "write an axis from 1 to 2, or from -1 to -2",
            "end_dim",
        ),
        (
            "Flatten",
            {"start_dim": 2, "end_dim": 1},
            Shape("N", 3, 4),
            "Flatten needs a start_dim (2) at or before its end_dim (1)",
            "exchange them",
            "start_dim",
        ),
    ],
    ids=label,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    name: str, options: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        declared(name, options).output_shape(shape)
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (message, remedy, option)


def test_the_remedy_offers_only_axes_that_are_there() -> None:
    with pytest.raises(ShapeError) as refusal:
        declared("Flatten", {}).output_shape(Shape("N"))
    assert "from 1 to 0" not in refusal.value.remedy


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("BatchNorm1d", {"track_running_stats": False, "momentum": 0.5}),
    ],
    ids=label,
)
def test_an_option_that_torch_would_ignore_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Linear", {}),
        ("Linear", {"out_features": 0}),
        ("Linear", {"out_features": 2**31}),
        ("Linear", {"out_features": "vocabulary"}),
        ("Dropout", {"p": -0.1}),
        ("Dropout", {"p": 1.1}),
        ("BatchNorm1d", {"eps": 0}),
        ("BatchNorm1d", {"momentum": 1.5}),
        ("LayerNorm", {"normalized_shape": []}),
        ("LayerNorm", {"normalized_shape": [0]}),
        ("LayerNorm", {"normalized_shape": 4}),
        ("GELU", {"approximate": "erf"}),
        ("LeakyReLU", {"negative_slope": 1e31}),
        ("Flatten", {"start_dim": 8}),
        ("Flatten", {"end_dim": -9}),
    ],
    ids=label,
)
def test_a_value_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(name, options)
