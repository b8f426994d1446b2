"""Names: what inputs and outputs are called in a file, for every loss of the language and every spec here."""

from __future__ import annotations

import pytest

from zoo import catalog
from zoo.check import check_file
from zoo.losses import LOSSES

OUTPUTS = {"logits", "log_probabilities", "probabilities", "scores", "distance", "prediction", "means_and_variances"}


@pytest.mark.parametrize("loss", list(LOSSES.members()), ids=lambda loss: loss.__name__)
def test_every_loss_names_what_the_model_gives(loss: type) -> None:
    assert getattr(loss, "output_name", "") in OUTPUTS


@pytest.mark.parametrize("name", catalog.names())
def test_every_spec_names_what_goes_in(name: str) -> None:
    assert check_file(name).example.input_name in {"image", "tokens", "features"}
