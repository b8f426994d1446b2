"""Nearest: the name that a person probably meant, and what a message says of it."""

import pytest

from zoo.nearest import nearest, suggestion

LAYERS = ["BatchNorm1d", "Dropout", "Linear", "ReLU", "LeakyReLU"]
LETTERS = list("cbadefghijklm")  # thirteen, and none close to another


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Liner", "Linear"),
        ("linear", "Linear"),
        ("RELU", "ReLU"),
        ("relu", "ReLU"),
        ("LeakyRelu", "LeakyReLU"),
        ("BatchNorm2d", "BatchNorm1d"),
        ("dropuot", "Dropout"),
    ],
)
def test_the_nearest_name_is_the_one_most_alike_in_any_case(name: str, meant: str) -> None:
    assert nearest(name, LAYERS) == meant


@pytest.mark.parametrize("name", ["Transformer", "", "x", "é" * 100_000])
def test_nothing_is_near_when_no_name_is_alike(name: str) -> None:
    assert nearest(name, LAYERS) is None


def test_nothing_is_near_when_no_name_is_known() -> None:
    assert nearest("Linear", []) is None


def test_known_names_may_be_read_once_only() -> None:
    assert nearest("Liner", iter(LAYERS)) == "Linear"


def test_a_near_name_is_asked_for() -> None:
    assert suggestion("Liner", LAYERS) == 'did you mean "Linear"?'


def test_a_suggestion_reads_known_names_once_only() -> None:
    assert suggestion("?", iter(["b", "a"])) == "write one of: a, b"


def test_without_a_near_name_the_known_ones_are_listed_in_order() -> None:
    assert suggestion("Transformer", ["ReLU", "Linear"]) == "write one of: Linear, ReLU"


@pytest.mark.parametrize(
    ("known", "text"),
    [
        (LETTERS[:12], "write one of: a, b, c, d, e, f, g, h, i, j, k, l"),
        (LETTERS, "write one of: a, b, c, d, e, f, g, h, i, j, k, l, …"),
    ],
    ids=["twelve", "thirteen"],
)
def test_at_most_twelve_names_are_listed(known: list[str], text: str) -> None:
    assert suggestion("?", known) == text


def test_where_no_name_is_known_the_remedy_is_to_remove_it() -> None:
    assert suggestion("bias", []) == "remove it"


@pytest.mark.parametrize(("name", "meant"), [("Adma", "Adam"), ("Adamx", "Adamax"), ("Adan", "Adam")])
def test_of_names_as_much_alike_the_one_with_fewer_slips_is_meant(name: str, meant: str) -> None:
    assert nearest(name, ["Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam"]) == meant
