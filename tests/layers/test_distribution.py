"""Layers that give probabilities: as torch computes them, along any axis but the batch."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared
from holding import Options, axes, batch_first, floats_only, hold, options, refusal, shapes
from zoo.layers import Layer
from zoo.layers.distribution import Distribution
from zoo.shapes import Shape

ALONG_AN_AXIS = ("LogSoftmax", "Softmax", "Softmin")


def over_the_batch(layer: Layer, shape: Shape) -> bool:
    assert isinstance(layer, Distribution)
    return floats_only(layer, shape) or shape.dims[layer.dim] == "N"


@pytest.mark.parametrize("name", ALONG_AN_AXIS)
def test_probabilities_are_torchs_own(name: str) -> None:
    hold(name, st.fixed_dictionaries({"dim": axes}), shapes(low=2), over_the_batch)


def test_softmax_over_channels_is_torchs_own() -> None:
    hold(
        "Softmax2d",
        options(),
        shapes(low=2, usual=4),
        lambda layer, shape: batch_first(layer, shape) or shape.rank == 3,
    )


@pytest.mark.parametrize("name", ALONG_AN_AXIS)
@pytest.mark.parametrize("written", [{}, {"dim": None}, {"dim": 8}, {"dim": -9}, {"dim": 1.5}], ids=str)
def test_the_axis_is_written(name: str, written: Options) -> None:
    with pytest.raises(ValidationError):
        declared({"type": name, **written})


@pytest.mark.parametrize(
    ("document", "shape", "message", "remedy", "option"),
    [
        (
            {"type": "Softmax", "dim": 0},
            Shape("N", 4, 5),
            "Softmax needs dim 0 to be an axis after the batch",
            "write an axis from 1 to 2, or from -1 to -2",
            "dim",
        ),
        (
            {"type": "Softmax", "dim": 1},
            Shape(2, "N", 3),
            "Softmax needs dim 1 to be an axis beside the batch",
            "write 0 or 2",
            "dim",
        ),
        (
            {"type": "LogSoftmax", "dim": 1},
            Shape("N"),
            "LogSoftmax needs an axis after the batch",
            "remove the LogSoftmax",
            "",
        ),
        (
            {"type": "Softmax2d"},
            Shape("N", 4),
            "Softmax2d needs images (N, C, H, W)",
            'write {"type": "Softmax", "dim": 1}',
            "",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(
    document: Options, shape: Shape, message: str, remedy: str, option: str
) -> None:
    assert refusal(document, shape) == (message, remedy, option)
