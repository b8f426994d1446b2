"""Dropout layers: as torch drops, on the shapes they are made for."""

import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from agreement import declared
from holding import Options, batch_first, flags, floats_only, hold, options, refusal, shapes
from zoo.layers import Layer
from zoo.shapes import Shape

DRAWN = options(p=st.floats(0, 1, exclude_max=True), inplace=flags)


def without_a_batch(layer: Layer, shape: Shape) -> bool:
    """Torch takes a row alone too; here every row is in a batch."""
    return batch_first(layer, shape) or shape.rank in (2, 4)


@pytest.mark.parametrize("name", ["Dropout", "AlphaDropout"])
def test_dropping_numbers_is_torchs_own(name: str) -> None:
    hold(name, DRAWN, shapes(), floats_only)


@pytest.mark.parametrize(("name", "rank"), [("Dropout1d", 3), ("Dropout2d", 4), ("Dropout3d", 5)])
def test_dropping_channels_is_torchs_own(name: str, rank: int) -> None:
    hold(name, DRAWN, shapes(low=rank - 1, high=rank + 1, usual=rank), without_a_batch)


def test_dropping_features_is_torchs_own() -> None:
    hold("FeatureAlphaDropout", DRAWN, shapes(low=2), batch_first)


@pytest.mark.parametrize("written", [{"p": -0.1}, {"p": 1.1}, {"p": "0.5"}, {"inplace": 0}], ids=str)
def test_a_value_out_of_bounds_is_refused(written: Options) -> None:
    with pytest.raises(ValidationError):
        declared({"type": "Dropout", **written})


@pytest.mark.parametrize(
    ("name", "shape", "message", "remedy"),
    [
        ("Dropout1d", Shape("N", 4), "Dropout1d needs sequences (N, C, L)", "write Dropout"),
        ("Dropout1d", Shape("N", 4, 5, 5), "Dropout1d needs sequences (N, C, L)", "write Dropout2d"),
        ("Dropout2d", Shape("N", 4, 5), "Dropout2d needs images (N, C, H, W)", "write Dropout1d"),
        ("Dropout3d", Shape("N", 4), "Dropout3d needs volumes (N, C, D, H, W)", "write Dropout"),
        ("FeatureAlphaDropout", Shape("N"), "FeatureAlphaDropout needs channels (N, C, …)", "write AlphaDropout"),
    ],
)
def test_the_refusal_says_what_is_wrong_and_what_to_write(name: str, shape: Shape, message: str, remedy: str) -> None:
    assert refusal({"type": name}, shape) == (message, remedy, "")
