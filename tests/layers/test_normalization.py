"""BatchNorm, LayerNorm and RMSNorm: as torch normalises, where a single row can be predicted."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import assert_agrees, batch_of, declared
from holding import Options, batch_first, flags, floats_only, hold, options, refusal, shapes
from zoo.layers import Layer
from zoo.layers.axis import least
from zoo.layers.normalization import BatchNorm
from zoo.shapes import Shape

EPS = st.sampled_from((1e-5, 0.1))
COUNTS = st.sampled_from((2, 2, 2, 1, 3))
BATCH_NORM = options(
    num_features=COUNTS,
    eps=EPS,
    momentum=st.sampled_from((0.1, 0.1, 0.1, None, 0.5)),
    affine=st.sampled_from((True, True, False)),
    track_running_stats=st.sampled_from((True, True, False)),
    bias=flags,
)
RANKS = {"BatchNorm1d": 3, "BatchNorm2d": 4, "BatchNorm3d": 5, "SyncBatchNorm": 3}
ENDS = st.lists(COUNTS, min_size=1, max_size=2)


def unpredictable(layer: Layer, shape: Shape) -> bool:
    """A row alone has no statistics, a channel has no size, or the batch is apart; only floats have gradients."""
    assert isinstance(layer, BatchNorm)
    alone = not layer.track_running_stats and least(shape.dims[2:]) == 1
    return alone or "T" in shape.dims[:2] or batch_first(layer, shape)


def unending(layer: Layer, shape: Shape) -> bool:
    """The end of the rows has no size, or is the batch; only floats have gradients."""
    return floats_only(layer, shape) or not shape.batched or "T" in shape.dims or shape.rank < 2


@pytest.mark.parametrize("name", RANKS)
def test_normalizing_over_the_batch_is_torchs_own(name: str) -> None:
    hold(name, BATCH_NORM, shapes(low=2, usual=RANKS[name]), unpredictable)


def test_layer_norm_is_torchs_own() -> None:
    drawn = options(normalized_shape=ENDS, eps=EPS, elementwise_affine=st.sampled_from((True, True, False)), bias=flags)
    hold("LayerNorm", drawn, shapes(), unending)


def test_rms_norm_is_torchs_own() -> None:
    eps = st.sampled_from((None, 0.1))
    hold("RMSNorm", options(normalized_shape=ENDS, eps=eps, elementwise_affine=flags), shapes(), unending)


@pytest.mark.parametrize("name", RANKS)
@pytest.mark.parametrize("rest", [(), (1,), (2,), ("T",), (1, 1), (1, 2), (1, 1, 1), (2, 1, 1)], ids=str)
def test_torch_trains_on_no_batch_below_the_smallest(name: str, rest: tuple[int | str, ...]) -> None:
    layer, shape = declared({"type": name}), Shape("N", 4, *rest)
    if assert_agrees(layer, shape) and layer.smallest_training_batch(shape) > 1:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
            layer.build(shape)(batch_of(shape, 1, length=1))


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("shape", [Shape("N", "T", 4), Shape("N", 2, "T", 3, 4)], ids=str)
def test_a_sequence_of_any_length_is_normalized_step_by_step(name: str, shape: Shape) -> None:
    assert assert_agrees(declared({"type": name}), shape)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"type": "BatchNorm1d", "track_running_stats": False, "momentum": 0.5},
            "momentum says nothing without running statistics; remove one of the two options",
        ),
        (
            {"type": "BatchNorm2d", "affine": False, "bias": False},
            "bias says nothing without affine; remove one of the two options",
        ),
        (
            {"type": "LayerNorm", "elementwise_affine": False, "bias": False},
            "bias says nothing without elementwise_affine; remove one of the two options",
        ),
        ({"type": "BatchNorm1d", "eps": 0.0}, "greater than 0"),
        ({"type": "BatchNorm1d", "momentum": 1.5}, "less than or equal to 1"),
        ({"type": "LayerNorm", "normalized_shape": []}, "at least 1 item"),
        ({"type": "LayerNorm", "normalized_shape": [0]}, "greater than or equal to 1"),
        ({"type": "RMSNorm", "bias": False}, "Extra inputs are not permitted"),
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
            {"type": "BatchNorm1d", "num_features": 5},
            Shape("N", 3, 4),
            "BatchNorm1d expects 5 features",
            "remove num_features (it follows from the layer above), or write 3",
            "num_features",
        ),
        (
            {"type": "BatchNorm1d"},
            Shape("N", 3, 4, 5),
            "BatchNorm1d needs (N, C) or (N, C, L)",
            "write BatchNorm2d, or put a Flatten above it",
            "",
        ),
        ({"type": "BatchNorm2d"}, Shape("N", 3), "BatchNorm2d needs images (N, C, H, W)", "write BatchNorm1d", ""),
        (
            {"type": "BatchNorm3d"},
            Shape("N", 3, 4, 5),
            "BatchNorm3d needs volumes (N, C, D, H, W)",
            "write BatchNorm2d",
            "",
        ),
        (
            {"type": "SyncBatchNorm"},
            Shape("N"),
            "SyncBatchNorm needs channels (N, C, …)",
            "keep an axis in the layer above",
            "",
        ),
        (
            {"type": "BatchNorm1d"},
            Shape("N", "T", 4),
            "BatchNorm1d needs axis 1 to have a known size",
            "give it rows of known sizes",
            "",
        ),
        (
            {"type": "BatchNorm1d", "track_running_stats": False},
            Shape("N", 4),
            "BatchNorm1d without running statistics needs several numbers for each feature of a row",
            "remove track_running_stats: a single row could not be predicted without them",
            "track_running_stats",
        ),
        (
            {"type": "LayerNorm", "normalized_shape": [5]},
            Shape("N", 3, 4),
            "LayerNorm needs rows that end in [5]",
            "write the last axes, such as [4], or remove normalized_shape",
            "normalized_shape",
        ),
        (
            {"type": "RMSNorm", "normalized_shape": [5, 4]},
            Shape("N", "T", 4),
            "RMSNorm needs rows that end in [5, 4]",
            "write the last axes, such as [4], or remove normalized_shape",
            "normalized_shape",
        ),
        ({"type": "RMSNorm"}, Shape("N"), "RMSNorm needs an axis after the batch", "keep one in the layer above", ""),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
