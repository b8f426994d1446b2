"""Transforms beside torchvision's own: which there are, options, defaults, shapes, refusals."""

from __future__ import annotations

import inspect
import json
import typing
import warnings
from enum import Enum
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms import v2

from zoo.errors import ShapeError
from zoo.shapes import Shape
from zoo.strict import Strict
from zoo.transforms import AUGMENTATIONS, TRANSFORMS, AnyTransform, Transform

Options = dict[str, Any]

REASONS = {
    "AutoAugmentPolicy": "no transform: a name, which AutoAugment takes as a string",
    "ClampBoundingBoxes": "of bounding boxes",
    "ClampKeyPoints": "of key points",
    "Compose": "a list of transforms is written as a list",
    "ConvertBoundingBoxFormat": "of bounding boxes",
    "ConvertImageDtype": "ToDtype with scale says the same",
    "FiveCrop": "gives five images for one",
    "Identity": "says nothing",
    "InterpolationMode": "no transform: a name, which is written as a string",
    "JPEG": "torchvision 0.29 deprecates its encoder",
    "Lambda": "runs code",
    "LinearTransformation": "wants a matrix as large as the square of an image",
    "PILToTensor": "images are tensors from the start",
    "RandomIoUCrop": "of bounding boxes",
    "SanitizeBoundingBoxes": "of bounding boxes",
    "SanitizeKeyPoints": "of key points",
    "SetClampingMode": "of bounding boxes",
    "TenCrop": "gives ten images for one",
    "ToImage": "images are tensors from the start",
    "ToPILImage": "a model takes tensors",
    "ToPureTensor": "images are plain tensors from the start",
    "ToTensor": "deprecated: ToDtype with scale says the same",
    "Transform": "abstract",
    "UniformTemporalSubsample": "of videos",
}
"""Why a class of torchvision.transforms.v2 is not in the language."""
OPTION_REASONS = {
    ("CutMix", "labels_getter"): "a function; the labels are the targets",
    ("MixUp", "labels_getter"): "a function; the labels are the targets",
    ("Normalize", "inplace"): "the rows of the data are kept as they are",
    ("RandomErasing", "inplace"): "the rows of the data are kept as they are",
}
"""Why an option is not in the language."""
THEIRS = {name for name, member in vars(v2).items() if inspect.isclass(member)}
MEMBERS = typing.cast(tuple[type[Transform], ...], tuple(AUGMENTATIONS.members()))


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def declared(name: str, **options: Any) -> Transform:
    transform = AUGMENTATIONS.validate(frozen({"type": name, **options}))
    assert isinstance(transform, Transform)
    return transform


def refusal(name: str, **options: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        declared(name, **options)
    return refused.value.errors()[0]["msg"].removeprefix("Value error, ")


def options_of(member: type[Transform]) -> list[str]:
    return [option for option in member.model_fields if option != "type"]


def test_every_transform_of_torchvision_is_in_the_language_or_has_a_reason() -> None:
    assert THEIRS - set(AUGMENTATIONS.names) - set(REASONS) == set()


def test_no_reason_is_stale() -> None:
    assert set(REASONS) & set(AUGMENTATIONS.names) == set()
    assert set(REASONS) <= THEIRS
    for name, option in OPTION_REASONS:
        assert option in inspect.signature(getattr(v2, name)).parameters
        assert option not in AUGMENTATIONS.load(name).model_fields


@pytest.mark.parametrize("member", MEMBERS)
def test_the_options_and_defaults_are_torchvisions(member: type[Transform]) -> None:
    theirs = inspect.signature(getattr(v2, member.__name__)).parameters
    wanted = {
        name: parameter.default for name, parameter in theirs.items() if (member.__name__, name) not in OPTION_REASONS
    }
    own = {
        name: inspect.Parameter.empty if member.model_fields[name].is_required() else member.model_fields[name].default
        for name in options_of(member)
    }
    plain = {name: value.value if isinstance(value, Enum) else value for name, value in wanted.items()}
    assert own == plain
    assert {name: type(value) for name, value in own.items()} == {name: type(value) for name, value in plain.items()}


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Transform]) -> None:
    assert typing.get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_a_class_is_documented_with_its_source(member: type[Transform]) -> None:
    assert f"torchvision.transforms.v2.{member.__name__}.html" in (member.__doc__ or "")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_transform_is_random_where_it_is_not_among_the_fixed_ones(member: type[Transform]) -> None:
    assert member.random == (member.__name__ not in TRANSFORMS.names)


sides = st.integers(1, 9)
size = st.one_of(sides, st.tuples(sides, sides))
number = st.integers(-3, 260).map(float)
fill = st.one_of(st.sampled_from([0, 7.0, -1.0, 0.5, 300.0]), st.lists(number, min_size=1, max_size=3))
probability = st.sampled_from([0.0, 0.5, 1.0])
resampling = st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"])
warping = st.sampled_from(["nearest", "bilinear"])
mode = st.sampled_from(["constant", "edge", "reflect", "symmetric"])
margin = st.integers(0, 4)
padding = st.one_of(margin, st.tuples(margin, margin), st.tuples(margin, margin, margin, margin))
factor = st.sampled_from([0.0, 0.3, 1.0, 2.5])


def span(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high, width=16), min_size=2, max_size=2).map(sorted)


def some(**options: st.SearchStrategy[Any]) -> st.SearchStrategy[Options]:
    """Any of the options; those whose names end in _ always, without the _."""
    always = {name[:-1]: values for name, values in options.items() if name.endswith("_")}
    return st.fixed_dictionaries(always, optional={k: v for k, v in options.items() if not k.endswith("_")})


flip = st.just({"type": "RandomHorizontalFlip"})
inner = st.lists(
    st.one_of(flip, st.builds(lambda side: {"type": "RandomCrop", "size": side}, sides)), min_size=1, max_size=3
)
DRAWN: dict[str, st.SearchStrategy[Options]] = {
    "AugMix": some(severity=st.integers(1, 10), mixture_width=st.integers(1, 3), all_ops=st.booleans(), fill=fill),
    "AutoAugment": some(policy=st.sampled_from(["imagenet", "cifar10", "svhn"]), interpolation=warping, fill=fill),
    "CenterCrop": some(size_=size),
    "ColorJitter": some(brightness_=factor, contrast=span(0, 2), saturation=factor, hue=st.sampled_from([0.0, 0.5])),
    "ElasticTransform": some(alpha=factor, sigma=st.sampled_from([0.0, 0.2, 0.5, [0.1, 0.4]]), fill=fill),
    "GaussianBlur": some(
        kernel_size_=st.sampled_from([1, 3, 5, [3, 1], [1, 7]]), sigma=st.sampled_from([0.5, [0.1, 2.0]])
    ),
    "GaussianNoise": some(mean=st.sampled_from([0.0, 0.5]), sigma=factor, clip=st.booleans()),
    "Grayscale": some(num_output_channels=st.sampled_from([1, 3])),
    "Normalize": some(
        mean_=st.lists(number, min_size=1, max_size=3), std_=st.lists(st.just(2.0), min_size=1, max_size=3)
    ),
    "Pad": some(padding_=padding, fill=fill, padding_mode=mode),
    "RGB": some(),
    "RandAugment": some(num_ops=st.integers(1, 3), magnitude=st.integers(0, 30), interpolation=warping, fill=fill),
    "RandomAdjustSharpness": some(sharpness_factor_=factor, p=probability),
    "RandomAffine": some(
        degrees_=st.sampled_from([0.0, 30.0, [-10.0, 90.0]]),
        translate=span(0, 1),
        scale=span(0.5, 2),
        shear=st.sampled_from([10.0, [1.0, 5.0], [1.0, 5.0, -5.0, 5.0]]),
        interpolation=warping,
        fill=fill,
        center=st.just([1.0, 2.0]),
    ),
    "RandomApply": some(transforms_=inner, p=probability),
    "RandomAutocontrast": some(p=probability),
    "RandomChannelPermutation": some(),
    "RandomChoice": some(transforms_=inner),
    "RandomCrop": some(size_=size, padding=padding, pad_if_needed=st.booleans(), fill=fill, padding_mode=mode),
    "RandomEqualize": some(p=probability),
    "RandomErasing": some(
        p_=st.just(1.0), scale=span(0, 1), ratio=span(0.25, 3), value=st.one_of(fill, st.just("random"))
    ),
    "RandomGrayscale": some(p=probability),
    "RandomHorizontalFlip": some(p=probability),
    "RandomInvert": some(p=probability),
    "RandomOrder": some(transforms_=inner),
    "RandomPerspective": some(distortion_scale=probability, p_=st.just(1.0), interpolation=warping, fill=fill),
    "RandomPhotometricDistort": some(contrast=span(0, 2), hue=span(-0.5, 0.5), p=probability),
    "RandomPosterize": some(bits_=st.integers(0, 8), p=probability),
    "RandomResize": some(min_size_=st.integers(2, 4), max_size_=st.integers(5, 9), interpolation=resampling),
    "RandomResizedCrop": some(size_=size, scale=span(0, 1), ratio=span(0.25, 4), interpolation=resampling),
    "RandomRotation": some(
        degrees_=st.sampled_from([30.0, [-10.0, 90.0]]), interpolation=warping, expand=st.booleans(), fill=fill
    ),
    "RandomShortestSize": some(min_size_=st.sampled_from([3, [3, 5]]), max_size=st.integers(6, 9)),
    "RandomSolarize": some(threshold_=st.sampled_from([0.0, 0.5, 200.0]), p=probability),
    "RandomVerticalFlip": some(p=probability),
    "RandomZoomOut": some(fill=fill, side_range=span(1, 3), p=probability),
    "Resize": some(size_=st.one_of(size, st.none()), max_size=st.integers(1, 12), interpolation=resampling),
    "ScaleJitter": some(
        target_size_=st.tuples(st.integers(2, 9), st.integers(2, 9)), scale_range=span(0.5, 2), interpolation=resampling
    ),
    "ToDtype": some(dtype_=st.just("float32"), scale=st.booleans()),
    "TrivialAugmentWide": some(num_magnitude_bins=st.integers(2, 31), interpolation=warping, fill=fill),
}
"""For each transform of single images, what options it is drawn with."""
shapes = st.builds(
    lambda channels, height, width, dtype: Shape("N", channels, height, width, dtype=dtype),
    st.sampled_from([1, 3, 3, 2, 4]),
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from(["uint8", "float32"]),
)


def images_of(shape: Shape, rows: int) -> Tensor:
    levels = torch.rand((rows, *shape.row), generator=torch.Generator().manual_seed(rows))
    return (levels * 255).to(torch.uint8) if shape.dtype == "uint8" else levels


def fits(image: Tensor, row: tuple[int | str, ...], dtype: str) -> bool:
    known = all(wanted in ("H", "W", got) for wanted, got in zip(row, image.shape, strict=True))
    return known and str(image.dtype) == f"torch.{dtype}"


def test_every_transform_of_single_images_is_drawn() -> None:
    assert set(DRAWN) == set(AUGMENTATIONS.names) - {"CutMix", "MixUp"}


@pytest.mark.parametrize("name", DRAWN)
def test_what_the_rule_accepts_torchvision_does_with_that_shape(name: str) -> None:
    accepted = []

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(DRAWN[name], shapes)
    def hold(options: Options, shape: Shape) -> None:
        try:
            transform = declared(name, **options)
            ruled = transform.output_shape(shape)
        except (ValidationError, ShapeError):
            return
        accepted.append(shape)
        module = transform.build()
        torch.manual_seed(0)
        for image in images_of(shape, 3):
            assert fits(module(image), ruled.dims[1:], ruled.dtype), (options, shape)
        if not transform.random:
            batch = module(images_of(shape, 3))
            assert fits(batch, (3, *ruled.dims[1:]), ruled.dtype), (options, shape)

    hold()
    assert accepted


FIXED = sorted(TRANSFORMS.names)
STRICTER = {
    "Normalize": "one channel is made several by the numbers for each",
    "Pad": "a fill with a fraction is cut off without a word, and one negative or above 255 wraps",
    "Resize": "a single pixel can be made of some uint8 images only",
}
"""Where the language refuses what torchvision does."""


@pytest.mark.parametrize("name", [name for name in FIXED if name not in STRICTER])
def test_what_torchvision_does_the_rule_accepts(name: str) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(DRAWN[name], shapes)
    def hold(options: Options, shape: Shape) -> None:
        try:
            transform = declared(name, **options)
        except ValidationError:
            return
        module = transform.build()
        try:
            module(images_of(shape, 2))
        except (RuntimeError, ValueError, TypeError, IndexError):
            return
        if name == "RGB" and shape.dims[1] == 4:
            return  # torchvision passes four channels through, where RGB promises three
        transform.output_shape(shape)

    hold()


@pytest.mark.parametrize("name", DRAWN)
def test_rows_that_are_no_images_are_refused(name: str) -> None:
    if name == "ToDtype":
        return  # it converts any rows

    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    @given(DRAWN[name])
    def hold(options: Options) -> None:
        try:
            transform = declared(name, **options)
        except ValidationError:
            return
        with pytest.raises(ShapeError, match="needs"):
            transform.output_shape(Shape("N", 5))

    hold()


@pytest.mark.parametrize("name", ["Resize", "RandomCrop", "CenterCrop", "RandomResizedCrop"])
def test_images_of_unknown_size_become_known_ones(name: str) -> None:
    options: Options = {"size": [5, 6]} | ({"pad_if_needed": True} if name == "RandomCrop" else {})
    unknown = Shape("N", 3, "H", "W", dtype="uint8")
    assert declared(name, **options).output_shape(unknown) == Shape("N", 3, 5, 6, dtype="uint8")


def test_the_shorter_side_alone_leaves_the_size_unknown() -> None:
    unknown = Shape("N", 3, "H", "W", dtype="uint8")
    assert declared("Resize", size=5).output_shape(unknown) == unknown


def test_a_crop_of_images_of_unknown_size_is_refused_unless_they_are_filled_up() -> None:
    with pytest.raises(ShapeError, match="RandomCrop needs images of at least 5×5 pixels"):
        declared("RandomCrop", size=5).output_shape(Shape("N", 3, "H", "W", dtype="uint8"))


@pytest.mark.parametrize("std", [0, 1e-46, 1e-39])
def test_a_deviation_that_float32_cannot_divide_by_is_refused(std: float) -> None:
    assert "greater than or equal to" in refusal("Normalize", mean=[0.5], std=[std])


def test_the_smallest_deviation_gives_finite_numbers() -> None:
    module = declared("Normalize", mean=[0.0], std=[2.0**-126]).build()
    assert module(torch.full((1, 1, 1, 1), 2.0**-120)).item() == 64.0


class Holder(Strict):
    """What holds transforms, as data does."""

    transforms: tuple[AnyTransform, ...]
    """They."""


@pytest.mark.parametrize("name", ["RandomCrop", "MixUp", "RandomApply"])
def test_a_random_transform_among_the_fixed_ones_is_sent_to_the_augmentation(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Holder.model_validate({"transforms": ({"type": name},)})
    assert refused.value.errors()[0]["msg"] == (
        f"Value error, {name} is random, but transforms are the same for every split; put it into augmentation"
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Resize", {"size": None}, "Resize has no size; write size, or max_size"),
        ("Resize", {"size": [2, 3], "max_size": 5}, "max_size says nothing beside [height, width]; remove it"),
        ("Resize", {"size": 5, "max_size": 5}, "max_size is not above size, 5; write a larger max_size"),
        (
            "Resize",
            {"size": 5, "interpolation": "nearest", "antialias": False},
            'antialias says nothing with interpolation "nearest"; remove it',
        ),
        (
            "Pad",
            {"padding": 1, "fill": 3, "padding_mode": "edge"},
            'fill says nothing with padding_mode "edge"; remove one of the two',
        ),
        (
            "RandomCrop",
            {"size": 3, "fill": 4},
            "fill and padding_mode say nothing without a margin; write padding, or remove them",
        ),
        ("ColorJitter", {}, "ColorJitter changes nothing; write brightness, contrast, saturation or hue"),
        ("GaussianBlur", {"kernel_size": 4}, "kernel_size 4 has no middle; write odd numbers"),
        ("RandomResizedCrop", {"size": 4, "scale": [1.0, 0.5]}, "scale goes from 1 to 0.5; write [smallest, largest]"),
        ("RandomResize", {"min_size": 4, "max_size": 4}, "max_size is not above min_size, 4; write a larger max_size"),
        ("RandAugment", {"magnitude": 31}, "magnitude 31 is not below num_magnitude_bins, 31; write at most 30"),
        ("AugMix", {"chain_depth": 0}, "a chain of 0 transforms changes nothing; write chain_depth -1, or 1 or more"),
        (
            "RandomRotation",
            {"degrees": 5, "expand": True, "center": [1, 1]},
            "center says nothing when the image expands; remove one of the two",
        ),
        (
            "RandomApply",
            {"transforms": [{"type": "MixUp"}]},
            "RandomApply cannot hold what mixes batches; put it outside, at the end of augmentation",
        ),
        (
            "RandomChoice",
            {"transforms": [{"type": "MixUp"}, {"type": "RandomInvert"}]},
            "RandomChoice cannot hold what mixes batches; put it outside, at the end of augmentation",
        ),
        (
            "RandomChoice",
            {"transforms": [{"type": "RandomInvert"}], "p": [0.5, 0.5]},
            "2 weights for 1 transforms; write one for each",
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else str(value)[:20],
)
def test_a_contradiction_is_refused(name: str, options: Options, message: str) -> None:
    assert refusal(name, **options) == message


@pytest.mark.parametrize("name", ["CutMix", "MixUp"])
def test_mixing_gives_probabilities_of_the_datas_classes(name: str) -> None:
    module = declared(name).with_classes(4).build()
    images, targets = module(torch.rand(6, 3, 5, 5), torch.tensor([0, 1, 2, 3, 0, 1]))
    assert (tuple(images.shape), tuple(targets.shape)) == ((6, 3, 5, 5), (6, 4))
    assert targets.sum(1).tolist() == pytest.approx([1.0] * 6)


def test_mixing_is_of_batches_and_so_is_a_choice_of_it() -> None:
    choice = declared("RandomChoice", transforms=[{"type": "MixUp"}, {"type": "CutMix"}])
    assert (declared("MixUp").level, choice.level, declared("RandomInvert").level) == ("batch", "batch", "sample")


def test_a_choice_of_mixings_knows_the_classes() -> None:
    choice = declared("RandomChoice", transforms=[{"type": "MixUp"}, {"type": "CutMix"}]).with_classes(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, targets = choice.build()(torch.rand(4, 3, 5, 5), torch.tensor([0, 1, 2, 0]))
    assert tuple(targets.shape) == (4, 3)


def test_mixing_for_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ShapeError, match="MixUp expects 5 classes, but the data has 4"):
        declared("MixUp", num_classes=5).with_classes(4)


def test_mixing_without_classes_is_refused() -> None:
    with pytest.raises(ShapeError, match="CutMix needs classes as targets"):
        declared("CutMix").with_classes(0)


@pytest.mark.parametrize(("scale", "white"), [(True, 1.0), (False, 255.0)])
def test_white_becomes_one_when_it_is_scaled(scale: bool, white: float) -> None:
    module = declared("ToDtype", dtype="float32", scale=scale).build()
    assert module(torch.full((2, 1, 1, 1), 255, dtype=torch.uint8)).flatten().tolist() == [white, white]


def test_normalize_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel() -> None:
    module = declared("Normalize", mean=[1, 2, 3], std=[1, 2, 4]).build()
    assert module(torch.full((1, 3, 1, 1), 7.0)).flatten().tolist() == [6.0, 2.5, 1.0]


@pytest.mark.parametrize("name", ["Resize", "CenterCrop", "Grayscale"])
def test_a_batch_is_transformed_as_its_images_are(name: str) -> None:
    module = declared(name, **({} if name == "Grayscale" else {"size": [3, 4]})).build()
    batch = images_of(Shape("N", 3, 5, 6, dtype="uint8"), 4)
    assert torch.equal(module(batch), torch.stack([module(image) for image in batch]))


@pytest.mark.parametrize("name", ["CutMix", "MixUp"])
def test_mixing_wants_floats(name: str) -> None:
    assert declared(name).output_shape(Shape("N", 3, 4, 4)) == Shape("N", 3, 4, 4)
    with pytest.raises(ShapeError, match=f"{name} needs float32 images"):
        declared(name).output_shape(Shape("N", 3, 4, 4, dtype="uint8"))
