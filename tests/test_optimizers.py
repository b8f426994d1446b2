"""Optimizers beside torch's own: options, defaults, and what both refuse."""

import inspect
import json
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn, optim

from zoo.optimizers import AnyOptimizer, Optimizer

Options = dict[str, object]

MEMBERS: tuple[type[Optimizer], ...] = get_args(get_args(AnyOptimizer)[0])

ADAM: Options = {
    "lr": 0.25,
    "betas": [0.5, 0.75],
    "eps": 0.125,
    "weight_decay": 0.375,
    "amsgrad": True,
    "maximize": True,
}
HONOURED: dict[str, Options] = {
    "Adam": ADAM,
    "AdamW": ADAM,
    "SGD": {
        "lr": 0.25,
        "momentum": 0.5,
        "dampening": 0.125,
        "weight_decay": 0.375,
        "nesterov": True,
        "maximize": True,
    },
}
"""For each optimizer, a value for each option that is not its default."""

BESIDE: dict[tuple[str, str], Options] = {
    ("SGD", "nesterov"): {"momentum": 0.5},
    ("SGD", "dampening"): {"momentum": 0.5},
}
"""What an option needs beside it."""


def declared(name: str, options: Options) -> Optimizer:
    members = {member.__name__: member for member in MEMBERS}
    return members[name].model_validate_json(json.dumps({"type": name, **options}))


def weight() -> nn.Parameter:
    return nn.Parameter(torch.ones(2))


def options_of(member: type[Optimizer]) -> list[str]:
    return [option for option in member.model_fields if option != "type"]


def as_torch(options: Options) -> Options:
    return {option: tuple(value) if isinstance(value, list) else value for option, value in options.items()}


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Optimizer]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Optimizer]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Optimizer], option: str) -> None:
    assert as_torch(HONOURED[member.__name__])[option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_is_torchs_own_with_the_same_default(member: type[Optimizer], option: str) -> None:
    theirs = inspect.signature(getattr(optim, member.__name__)).parameters[option].default
    assert member.model_fields[option].default == theirs


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option_and_leaves_the_others(member: type[Optimizer], option: str) -> None:
    name = member.__name__
    options = {**BESIDE.get((name, option), {}), option: HONOURED[name][option]}
    theirs = getattr(optim, name)([weight()], **as_torch(options))
    assert declared(name, options).build([weight()]).defaults == theirs.defaults


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_optimizer_is_of_torchs_class(member: type[Optimizer]) -> None:
    assert type(declared(member.__name__, {}).build([weight()])) is getattr(optim, member.__name__)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_optimizer_moves_the_parameters_it_is_given(member: type[Optimizer]) -> None:
    parameter = weight()
    optimizer = declared(member.__name__, {"lr": 0.5}).build(iter([parameter]))
    parameter.sum().backward()  # type: ignore[no-untyped-call]  # torch
    optimizer.step()
    assert parameter.tolist() != [1, 1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"lr": -0.1}) for name in HONOURED),
        *((name, {"weight_decay": -0.1}) for name in HONOURED),
        *((name, {"betas": betas}) for name in ("Adam", "AdamW") for betas in ([1.0, 0.9], [0.9, 1.0], [-0.1, 0.9])),
        *((name, {"eps": -1e-8}) for name in ("Adam", "AdamW")),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ],
    ids=str,
)
def test_what_torch_refuses_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValueError, match=r"^Invalid|^Nesterov"):
        getattr(optim, name)([weight()], **options)
    with pytest.raises(ValidationError):
        declared(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"eps": 0}) for name in ("Adam", "AdamW")),
        *((name, {"betas": betas}) for name in ("Adam", "AdamW") for betas in ([0.9], [0.9, 0.9, 0.9], 0.9)),
        *((name, {"lr": 1e31}) for name in HONOURED),
        *((name, {"foreach": True}) for name in HONOURED),
        ("SGD", {"dampening": 1e31}),
        ("SGD", {"betas": [0.9, 0.999]}),
    ],
    ids=str,
)
def test_what_would_not_train_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(name, options)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}], ids=str)
def test_nesterov_without_its_momentum_says_what_to_write(options: Options) -> None:
    with pytest.raises(ValidationError) as refusal:
        declared("SGD", {"nesterov": True, **options})
    assert refusal.value.errors()[0]["msg"] == (
        "Value error, nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov"
    )


def test_an_option_that_torch_would_ignore_is_refused() -> None:
    with pytest.raises(ValidationError):
        declared("SGD", {"dampening": 0.5})
