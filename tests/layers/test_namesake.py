"""A namesake is torch's class of the same name; what the installed torch lacks is left out or refused."""

from typing import Literal

import pytest
from torch import nn

from zoo.errors import UsageError
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape

IMAGES = Shape("N", 3, 8, 8)


class Softmax(Namesake):
    """A layer with an option of a later torch."""

    type: Literal["Softmax"] = "Softmax"
    dim: int = 1
    temperature: float = 1.0


def test_the_module_is_torchs_class_with_the_options() -> None:
    module = Softmax(dim=-1).build(IMAGES)
    assert type(module) is nn.Softmax
    assert module.dim == -1


def test_what_is_at_its_default_is_not_given_to_a_torch_that_lacks_it() -> None:
    assert repr(Softmax(temperature=1.0).build(IMAGES)) == "Softmax(dim=1)"


def test_what_the_installed_torch_lacks_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        Softmax(temperature=0.5).build(IMAGES)
    assert (refused.value.message, refused.value.remedy) == (
        "Softmax has no temperature in the installed torch",
        "install a newer one",
    )


def test_the_names_of_the_language_are_not_given_to_torch() -> None:
    named = Softmax.model_validate({"id": "probabilities", "from": "logits"})
    assert repr(named.build(IMAGES)) == "Softmax(dim=1)"
