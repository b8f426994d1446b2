"""Initializers beside torch's own: options, defaults, the numbers they draw, and the tensors they refuse."""

from __future__ import annotations

import inspect
from typing import Any, cast, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import init

from declaring import declared, default_of, options_of, torch_options
from zoo.errors import ShapeError
from zoo.initializers import INITIALIZERS, Filling
from zoo.initializers.scaled import Nonlinearity
from zoo.initializers.warm_start import WarmStart

Options = dict[str, Any]  # Any: JSON values

MEMBERS = cast(list[type[Filling]], [INITIALIZERS.load(name) for name in INITIALIZERS.names])
REASONS = {"calculate_gain": "it fills nothing"}
"""The functions of torch.nn.init that are not in the language; those without a last underscore are old names."""
OPTION_REASONS = {"tensor": "match says it", "generator": "the seed of the training says it"}
"""The options of torch's functions that are not in the language."""

HONOURED: dict[str, Options] = {
    "constant_": {"val": 0.5},
    "dirac_": {"groups": 2},
    "eye_": {},
    "kaiming_normal_": {"a": 0.5, "mode": "fan_out", "nonlinearity": "relu"},
    "kaiming_uniform_": {"a": 0.5, "mode": "fan_out", "nonlinearity": "relu"},
    "normal_": {"mean": 0.5, "std": 2.0},
    "ones_": {},
    "orthogonal_": {"gain": 2.0},
    "sparse_": {"sparsity": 0.5, "std": 2.0},
    "trunc_normal_": {"mean": 0.5, "std": 2.0, "a": -0.5, "b": 1.0},
    "uniform_": {"a": -0.5, "b": 0.5},
    "xavier_normal_": {"gain": 2.0},
    "xavier_uniform_": {"gain": 2.0},
    "zeros_": {},
}
"""For each initializer, a value for each option that is not its default."""

REQUIRED: dict[str, Options] = {"constant_": {"val": 2.0}, "sparse_": {"sparsity": 0.25}}
SIZES: dict[str, tuple[int, ...]] = {"dirac_": (4, 2, 3)}


def filling_of(name: str, options: Options) -> Filling:
    return cast(Filling, declared(INITIALIZERS, {"type": name, "match": "*", **options}))


def filled(initializer: Filling, sizes: tuple[int, ...]) -> torch.Tensor:
    torch.manual_seed(0)
    parameter = nn.Parameter(torch.full(sizes, 7.0))
    initializer.apply(parameter)
    return parameter.detach()


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member, "match")]


def test_each_function_of_torch_is_in_the_language_or_has_a_reason() -> None:
    old = {name for name in init.__all__ if f"{name}_" in init.__all__}
    assert set(init.__all__) - old == set(INITIALIZERS.names) | set(REASONS)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_option_of_torch_is_in_the_language_or_has_a_reason(member: type[Filling]) -> None:
    theirs = set(torch_options(getattr(init, member.__name__)))
    assert theirs - set(OPTION_REASONS) == set(options_of(member, "match"))


def test_each_reason_is_of_an_option_that_torch_has() -> None:
    assert set(OPTION_REASONS) <= {name for m in MEMBERS for name in torch_options(getattr(init, m.__name__))}


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Filling]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Filling]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member, "match"))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_has_torchs_default(member: type[Filling], option: str) -> None:
    theirs = torch_options(getattr(init, member.__name__))[option]
    assert default_of(member, option) == theirs
    assert HONOURED[member.__name__][option] != theirs


def test_what_may_follow_a_layer_is_what_torch_knows() -> None:
    hint = inspect.get_annotations(init.kaiming_normal_, eval_str=True)["nonlinearity"]
    assert get_args(hint) == get_args(Nonlinearity)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_numbers_are_torchs_to_the_bit(member: type[Filling]) -> None:
    name = member.__name__
    sizes = SIZES.get(name, (4, 3))
    every = {
        option: value
        for option, value in HONOURED[name].items()
        if option != "a" or "nonlinearity" not in HONOURED[name]
    }
    for options in ({}, every, *({option: value} for option, value in HONOURED[name].items())):
        written = REQUIRED.get(name, {}) | options
        torch.manual_seed(0)
        theirs = getattr(init, name)(torch.full(sizes, 7.0), **written)
        assert torch.equal(filled(filling_of(name, written), sizes), theirs), written


@pytest.mark.parametrize("name", INITIALIZERS.names)
def test_what_torch_cannot_fill_is_refused_and_the_rest_is_filled(name: str) -> None:
    initializer = filling_of(name, REQUIRED.get(name, {}))

    @given(sizes=st.lists(st.integers(1, 4), max_size=6).map(tuple))
    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    def agrees(sizes: tuple[int, ...]) -> None:
        try:
            initializer.require("fc.weight", sizes)
        except ShapeError:
            with pytest.raises((ValueError, RuntimeError, IndexError)):
                filled(initializer, sizes)
        else:
            assert filled(initializer, sizes).isfinite().all()

    agrees()


@pytest.mark.parametrize(
    ("name", "options", "sizes", "message", "remedy"),
    [
        (
            "eye_",
            {},
            (3,),
            "eye_ needs tensors of 2 axes, but fc.bias has (3,)",
            'leave it out: add "!fc.bias" to match',
        ),
        (
            "dirac_",
            {},
            (3, 3),
            "dirac_ needs tensors of 3 to 5 axes, but fc.bias has (3, 3)",
            'leave it out: add "!fc.bias" to match',
        ),
        (
            "kaiming_normal_",
            {},
            (3,),
            "kaiming_normal_ needs tensors of 2 or more axes, but fc.bias has (3,)",
            'leave it out: add "!fc.bias" to match',
        ),
        (
            "dirac_",
            {"groups": 2},
            (3, 3, 3),
            "dirac_ has 2 groups, but fc.bias has 3 output channels",
            "write the groups of the convolution",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_to_write(
    name: str, options: Options, sizes: tuple[int, ...], message: str, remedy: str
) -> None:
    with pytest.raises(ShapeError) as refusal:
        filling_of(name, options).require("fc.bias", sizes)
    assert (refusal.value.message, refusal.value.remedy) == (message, remedy)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("uniform_", {"a": 1.0, "b": 0.0}),
        ("trunc_normal_", {"a": 1.0, "b": 1.0}),
        ("trunc_normal_", {"mean": 9.0}),
        ("kaiming_normal_", {"a": 0.5, "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "gelu"}),
        ("normal_", {"std": -1.0}),
        ("xavier_uniform_", {"gain": -1.0}),
        ("constant_", {}),
        ("sparse_", {"sparsity": 1.5}),
        ("normal_", {"match": []}),
        ("normal_", {"generator": 1}),
    ],
    ids=str,
)
def test_a_value_that_says_nothing_or_is_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        filling_of(name, options)


def test_an_initializer_without_a_match_is_refused() -> None:
    with pytest.raises(ValidationError):
        declared(INITIALIZERS, {"type": "zeros_"})


def test_patterns_choose_the_parameters() -> None:
    initializer = filling_of("zeros_", {"match": ["*.bias", "!fc.*"]})
    assert [initializer.matches(name) for name in ("conv.bias", "fc.bias", "conv.weight")] == [True, False, False]


@pytest.mark.parametrize(
    ("name", "here"),
    [("backbone.0.weight", "features.0.weight"), ("head", "fc"), ("a.x.b", "c.x"), ("other", "other"), ("a.b", "a.b")],
)
def test_a_warm_start_renames(name: str, here: str) -> None:
    rename = {"backbone.*": "features.*", "head": "fc", "a.*.b": "c.*"}
    warm = declared(INITIALIZERS, {"from": "runs/other", "rename": rename})
    assert isinstance(warm, WarmStart)
    assert warm.renamed(name) == here


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"from": ""},
        {"from": "x", "by": "size"},
        {"from": "x", "by": "order", "rename": {"a": "b"}},
        {"from": "x", "rename": {"a.*": "b"}},
        {"from": "x", "rename": {"a.*.*": "b.*.*"}},
        {"from": "x", "rename": {}},
        {"source": "x"},
    ],
    ids=str,
)
def test_a_warm_start_that_contradicts_itself_is_refused(options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(INITIALIZERS, options)
