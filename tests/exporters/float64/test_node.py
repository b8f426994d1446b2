from __future__ import annotations

import numpy as np
import pytest

from exporters.float64.node import Node, meant


@pytest.mark.parametrize("number", [1e-3, 1e-5, 1 / 6, 0.01, 1 / 3, 2.0, -0.75])
def test_an_attribute_is_the_number_that_its_float32_was_made_from(number: float) -> None:
    assert meant(float(np.float32(number))) == number


@pytest.mark.parametrize("factor", [1 + 1e-6, 1.01, 100.0])
def test_another_epsilon_is_not_taken_for_the_usual_one(factor: float) -> None:
    wrong = float(np.float32(1e-3 * factor))

    assert abs(meant(wrong) / (1e-3 * factor) - 1) < 1e-7
    assert meant(wrong) != 1e-3


def test_a_number_that_is_no_short_one_stays_as_it_is() -> None:
    number = float(np.float32(2.0**0.5))

    assert meant(number) == number
    assert Node("Elu", "", 20, 1, {"alpha": number}).number("alpha", 1.0) == number
