"""GroupNorm, InstanceNorm and response normalization: as torch normalises, row by row."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared
from holding import Options, batch_first, flags, hold, numbers, options, refusal, shapes
from zoo.layers import Layer
from zoo.layers.axis import least
from zoo.layers.local_normalization import GroupNorm
from zoo.shapes import Shape

EPS = st.sampled_from((1e-5, 0.1))
COUNTS = st.sampled_from((2, 2, 2, 1, 3))
INSTANCE_NORM = options(
    num_features=COUNTS,
    eps=EPS,
    momentum=st.sampled_from((0.1, 0.1, 0.5)),
    affine=st.sampled_from((True, True, False)),
    track_running_stats=flags,
    bias=flags,
)
RESPONSE_NORM = st.fixed_dictionaries(
    {"size": st.integers(1, 7)}, optional={"alpha": st.floats(0, 1), "beta": numbers, "k": st.floats(0, 3)}
)


def unmeasured(layer: Layer, shape: Shape) -> bool:
    """Channels have no size or another than is written, a group may be one number, or the batch is not first."""
    if isinstance(layer, GroupNorm) and layer.num_channels not in (None, shape.dims[1]):
        return True
    groups = layer.num_groups if isinstance(layer, GroupNorm) else shape.dims[1]
    channels = shape.dims[1] if isinstance(shape.dims[1], int) else 0
    alone = isinstance(groups, int) and channels // groups * least(shape.dims[2:]) <= 1
    return alone or "T" in shape.dims[:2] or batch_first(layer, shape)


@pytest.mark.parametrize(("name", "rank"), [("InstanceNorm1d", 3), ("InstanceNorm2d", 4), ("InstanceNorm3d", 5)])
def test_normalizing_each_channel_is_torchs_own(name: str, rank: int) -> None:
    hold(name, INSTANCE_NORM, shapes(low=2, usual=rank), unmeasured)


def test_normalizing_groups_of_channels_is_torchs_own() -> None:
    affine = st.sampled_from((True, True, False))
    drawn = st.fixed_dictionaries(
        {"num_groups": st.sampled_from((1, 1, 2, 3))},
        optional={"num_channels": COUNTS, "eps": EPS, "affine": affine, "bias": flags},
    )
    hold("GroupNorm", drawn, shapes(low=2), unmeasured)


def test_dividing_by_the_channels_beside_is_torchs_own() -> None:
    hold("LocalResponseNorm", RESPONSE_NORM, shapes(usual=4), batch_first)


def test_dividing_as_caffe_does_is_torchs_own() -> None:
    hold("CrossMapLRN2d", RESPONSE_NORM, shapes(usual=4), batch_first)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "GroupNorm"}, "Field required"),
        ({"type": "GroupNorm", "num_groups": 2, "affine": False, "bias": False}, "bias says nothing without affine"),
        ({"type": "InstanceNorm1d", "momentum": 0.5}, "momentum says nothing without running statistics"),
        ({"type": "InstanceNorm1d", "track_running_stats": True, "momentum": None}, "valid number"),
        ({"type": "InstanceNorm2d", "bias": False}, "bias says nothing without affine"),
        ({"type": "LocalResponseNorm", "size": 0}, "greater than or equal to 1"),
        ({"type": "CrossMapLRN2d", "size": 1}, "greater than or equal to 2"),
        ({"type": "LocalResponseNorm", "size": 2, "alpha": -1.0}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_options_without_meaning_are_refused(document: Options, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(document)


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "GroupNorm", "num_groups": 5},
            Shape("N", 6, 4),
            "GroupNorm needs num_groups to divide the 6 channels",
            "write 3",
            "num_groups",
        ),
        (
            {"type": "GroupNorm", "num_groups": 6},
            Shape("N", 6),
            "GroupNorm needs several numbers in each group of a row",
            "write fewer groups",
            "num_groups",
        ),
        (
            {"type": "GroupNorm", "num_groups": 1},
            Shape("N", 1),
            "GroupNorm needs several numbers in each group of a row",
            "give it more features, or remove it",
            "",
        ),
        (
            {"type": "GroupNorm", "num_groups": 1},
            Shape("N"),
            "GroupNorm needs channels (N, C, …)",
            "keep an axis in the layer above",
            "",
        ),
        (
            {"type": "InstanceNorm1d"},
            Shape("N", 4),
            "InstanceNorm1d needs sequences (N, C, L)",
            "keep an axis in the layer above",
            "",
        ),
        (
            {"type": "InstanceNorm1d"},
            Shape("N", 4, 8, 8),
            "InstanceNorm1d needs sequences (N, C, L)",
            "write InstanceNorm2d",
            "",
        ),
        (
            {"type": "InstanceNorm2d"},
            Shape("N", 4, 1, 1),
            "InstanceNorm2d needs several numbers for each channel of a row",
            "put it above the pooling, or remove it",
            "",
        ),
        (
            {"type": "LocalResponseNorm", "size": 5},
            Shape("N", 4),
            "LocalResponseNorm needs channels (N, C, L, …)",
            "put it above the Flatten",
            "",
        ),
        (
            {"type": "CrossMapLRN2d", "size": 5},
            Shape("N", 4, 4),
            "CrossMapLRN2d needs images (N, C, H, W)",
            "write LocalResponseNorm",
            "",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
