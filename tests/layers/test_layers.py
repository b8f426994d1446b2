"""Every layer of the language: named as torch names it, and each option explained."""

from typing import get_args

import pytest

from zoo.layers import LAYERS, Layer
from zoo.strict import Strict, field_docstrings

MEMBERS = tuple(LAYERS.members())


def unexplained(member: type[Strict]) -> list[str]:
    """Return the options without a docstring."""
    explained = field_docstrings(member)
    return [option for option in member.model_fields if option != "type" and not explained.get(option)]


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_is_a_layer(member: type[Strict]) -> None:
    assert issubclass(member, Layer)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Strict]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("name", LAYERS.names)
def test_the_table_says_the_name_of_the_class(name: str) -> None:
    assert LAYERS.load(name).__name__ == name


@pytest.mark.parametrize("member", MEMBERS)
def test_the_class_says_what_it_computes(member: type[Strict]) -> None:
    first = (member.__doc__ or "").partition("\n")[0]
    assert first.endswith(".")
    assert member.__doc__ not in [base.__doc__ for base in member.__mro__[1:]]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_is_explained(member: type[Strict]) -> None:
    assert unexplained(member) == []


def test_an_option_that_is_not_explained_is_found() -> None:
    assert unexplained(Mute) == ["volume"]


class Mute(Layer):
    """A layer with an option that says nothing."""

    volume: int = 0
