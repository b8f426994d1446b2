"""Schedulers beside torch's own: options, defaults, and the learning rates they give."""

import inspect
import json
import math
from typing import get_args

import pytest
import torch
from pydantic import ValidationError
from torch import nn, optim
from torch.optim import lr_scheduler

from zoo.schedulers import AnyScheduler, Scheduler

Options = dict[str, object]

MEMBERS: tuple[type[Scheduler], ...] = get_args(get_args(AnyScheduler)[0])
LR = 0.5

HONOURED: dict[str, Options] = {
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 0.125},
    "StepLR": {"step_size": 2, "gamma": 0.25},
}
"""For each scheduler, a value for each option that is not its default."""

REQUIRED: dict[str, Options] = {"CosineAnnealingLR": {"T_max": 9}, "StepLR": {"step_size": 9}}


def declared(name: str, options: Options) -> Scheduler:
    members = {member.__name__: member for member in MEMBERS}
    return members[name].model_validate_json(json.dumps({"type": name, **options}))


def optimizer() -> optim.Optimizer:
    return optim.SGD([nn.Parameter(torch.ones(1))], lr=LR)


def rates(name: str, options: Options, epochs: int) -> list[float]:
    """Return the learning rate of each epoch, and of the one after the last."""
    moved = optimizer()
    scheduler = declared(name, options).build(moved)
    found = [moved.param_groups[0]["lr"]]
    for _ in range(epochs):
        moved.step()
        scheduler.step()
        found.append(moved.param_groups[0]["lr"])
    return found


def options_of(member: type[Scheduler]) -> list[str]:
    return [option for option in member.model_fields if option != "type"]


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member)]


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Scheduler]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Scheduler]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Scheduler], option: str) -> None:
    assert HONOURED[member.__name__][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_is_torchs_own_with_the_same_default(member: type[Scheduler], option: str) -> None:
    field = member.model_fields[option]
    own = inspect.Parameter.empty if field.is_required() else field.default
    theirs = inspect.signature(getattr(lr_scheduler, member.__name__)).parameters[option].default
    assert (own, type(own)) == (theirs, type(theirs))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option(member: type[Scheduler], option: str) -> None:
    name = member.__name__
    scheduler = declared(name, {**REQUIRED[name], option: HONOURED[name][option]}).build(optimizer())
    assert getattr(scheduler, option) == HONOURED[name][option]


@pytest.mark.parametrize("member", MEMBERS)
def test_the_built_scheduler_is_of_torchs_class(member: type[Scheduler]) -> None:
    name = member.__name__
    assert type(declared(name, REQUIRED[name]).build(optimizer())) is getattr(lr_scheduler, name)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_first_epoch_has_the_learning_rate_of_the_optimizer(member: type[Scheduler]) -> None:
    name = member.__name__
    assert rates(name, HONOURED[name], epochs=0) == [LR]


def test_step_multiplies_by_gamma_every_step_size_epochs() -> None:
    assert rates("StepLR", {"step_size": 2, "gamma": 0.25}, epochs=5) == [LR, LR, LR / 4, LR / 4, LR / 16, LR / 16]


def test_cosine_follows_half_a_cosine_down_to_eta_min() -> None:
    down = [0.125 + (LR - 0.125) * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(5)]
    assert rates("CosineAnnealingLR", {"T_max": 4, "eta_min": 0.125}, epochs=4) == pytest.approx(down)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StepLR", {}),
        ("StepLR", {"step_size": 0}),
        ("StepLR", {"step_size": 2.5}),
        ("StepLR", {"step_size": 1, "gamma": 0}),
        ("StepLR", {"step_size": 1, "last_epoch": 3}),
        ("CosineAnnealingLR", {}),
        ("CosineAnnealingLR", {"T_max": 0}),
        ("CosineAnnealingLR", {"t_max": 4}),
        ("CosineAnnealingLR", {"T_max": 4, "eta_min": -0.1}),
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        declared(name, options)
