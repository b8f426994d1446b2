"""Schedulers beside torch's own: options, defaults, the rates they give, and the trainings that they fit."""

from __future__ import annotations

import math
from typing import Any, cast, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn, optim
from torch.optim import lr_scheduler

from declaring import declared, default_of, frozen, options_of, torch_options
from zoo.errors import ShapeError
from zoo.optimizers import OPTIMIZERS, Optimizer
from zoo.schedulers import SCHEDULERS, Scheduler

Options = dict[str, Any]  # Any: JSON values

MEMBERS = cast(list[type[Scheduler]], list(SCHEDULERS.members()))
LR = 0.5
COMPOSITE = ("ChainedScheduler", "SequentialLR")

REASONS = {
    "LRScheduler": "the base class",
    "LambdaLR": "it takes a function",
    "MultiplicativeLR": "it takes a function",
}
"""The schedulers of torch that are not in the language."""

OPTION_REASONS = {
    "optimizer": "it is the spec's",
    "last_epoch": "where a training goes on is in its checkpoint",
    "scale_fn": "it is a function",
    "scale_mode": "it says nothing without scale_fn",
    "epochs": "total_steps follows from the training",
    "steps_per_epoch": "total_steps follows from the training",
}
"""The options of torch's schedulers that are not in the language."""

OWN = ("interval", "metric")
"""The options that torch does not have."""

HONOURED: dict[str, Options] = {
    "ConstantLR": {"factor": 0.25, "total_iters": 3},
    "CosineAnnealingLR": {"T_max": 4, "eta_min": 0.125},
    "CosineAnnealingWarmRestarts": {"T_0": 2, "T_mult": 2, "eta_min": 0.125},
    "CyclicLR": {
        "base_lr": 0.125,
        "max_lr": [1.0],
        "step_size_up": 3,
        "step_size_down": 2,
        "mode": "exp_range",
        "gamma": 0.5,
        "cycle_momentum": False,
        "base_momentum": 0.25,
        "max_momentum": [0.75],
    },
    "ExponentialLR": {"gamma": 0.5},
    "LinearLR": {"start_factor": 0.5, "end_factor": 0.25, "total_iters": 3},
    "MultiStepLR": {"milestones": [1, 3], "gamma": 0.25},
    "OneCycleLR": {
        "max_lr": 1.0,
        "total_steps": 6,
        "pct_start": 0.5,
        "anneal_strategy": "linear",
        "cycle_momentum": False,
        "base_momentum": 0.25,
        "max_momentum": 0.75,
        "div_factor": 2.0,
        "final_div_factor": 4.0,
        "three_phase": True,
    },
    "PolynomialLR": {"total_iters": 6, "power": 2.0},
    "ReduceLROnPlateau": {
        "mode": "max",
        "factor": 0.5,
        "patience": 1,
        "threshold": 0.5,
        "threshold_mode": "abs",
        "cooldown": 1,
        "min_lr": 0.125,
        "eps": 0.01,
    },
    "StepLR": {"step_size": 2, "gamma": 0.25},
}
"""For each scheduler, a value for each option that is not its default."""

REQUIRED: dict[str, Options] = {
    "CosineAnnealingLR": {"T_max": 6},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 0.25, "max_lr": 1.0},
    "ExponentialLR": {"gamma": 0.75},
    "MultiStepLR": {"milestones": [2]},
    "OneCycleLR": {"max_lr": 1.0},
    "StepLR": {"step_size": 3},
}

BESIDE: dict[tuple[str, str], Options] = {
    ("CyclicLR", "gamma"): {"mode": "exp_range"},
    ("ReduceLROnPlateau", "mode"): {"metric": "accuracy"},
}
"""What an option needs beside it."""


def scheduler_of(name: str, options: Options) -> Scheduler:
    return cast(Scheduler, declared(SCHEDULERS, {"type": name, **options}))


def optimizer_of(name: str = "SGD", **options: object) -> Optimizer:
    return cast(Optimizer, declared(OPTIMIZERS, {"type": name, "lr": LR, **options}))


def sgd() -> optim.Optimizer:
    return optim.SGD([nn.Parameter(torch.ones(1))], lr=LR)


def rates(moved: optim.Optimizer, scheduler: lr_scheduler.LRScheduler, intervals: int) -> list[tuple[float, float]]:
    """Return rate and momentum of each interval, and of the one after the last."""
    found = []
    for index in range(intervals + 1):
        group = moved.param_groups[0]
        found.append((group["lr"], group["momentum"]))
        moved.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step((3.0, 2.0, 2.0, 2.0, 2.0, 5.0, 5.0)[index])
        elif index < intervals:
            scheduler.step()
    return found


def torchs(name: str, options: Options, moved: optim.Optimizer, intervals: int) -> lr_scheduler.LRScheduler:
    own = {option: value for option, value in options.items() if option not in OWN}
    if name == "OneCycleLR":
        own = {"total_steps": intervals, **own}
    if name in COMPOSITE:
        own["schedulers"] = [
            torchs(inner["type"], {k: v for k, v in inner.items() if k != "type"}, moved, intervals)
            for inner in options["schedulers"]
        ]
    if name == "ChainedScheduler":
        return lr_scheduler.ChainedScheduler(**own)
    return cast(lr_scheduler.LRScheduler, getattr(lr_scheduler, name)(moved, **own))


def assert_agrees(name: str, options: Options, intervals: int = 6) -> None:
    """Hold a scheduler against torch's: the same class, and the same rates to the bit."""
    ours, theirs = sgd(), sgd()
    built, wanted = scheduler_of(name, options).build(ours, intervals), torchs(name, options, theirs, intervals)
    assert type(built) is type(wanted)
    assert rates(ours, built, intervals) == rates(theirs, wanted, intervals)


PLAIN = [member for member in MEMBERS if member.__name__ not in COMPOSITE]
OPTIONS = [(member, option) for member in PLAIN for option in options_of(member, *OWN)]


def test_each_scheduler_of_torch_is_in_the_language_or_has_a_reason() -> None:
    assert set(lr_scheduler.__all__) == set(SCHEDULERS.names) | set(REASONS)
    assert not set(SCHEDULERS.names) & set(REASONS)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_option_of_torch_is_in_the_language_or_has_a_reason(member: type[Scheduler]) -> None:
    theirs = set(torch_options(getattr(lr_scheduler, member.__name__)))
    assert theirs - set(OPTION_REASONS) == set(options_of(member, *OWN))


def test_each_reason_is_of_an_option_that_torch_has() -> None:
    theirs = {name for member in MEMBERS for name in torch_options(getattr(lr_scheduler, member.__name__))}
    assert set(OPTION_REASONS) <= theirs
    assert not set(OWN) & theirs


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Scheduler]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", PLAIN)
def test_every_option_has_a_value_to_be_honoured(member: type[Scheduler]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member, *OWN))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Scheduler], option: str) -> None:
    assert HONOURED[member.__name__][option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_has_torchs_default(member: type[Scheduler], option: str) -> None:
    assert default_of(member, option) == torch_options(getattr(lr_scheduler, member.__name__))[option]


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_rates_are_torchs_to_the_bit_with_each_option(member: type[Scheduler], option: str) -> None:
    name = member.__name__
    own = HONOURED[name][option]
    assert_agrees(name, {**REQUIRED.get(name, {}), **BESIDE.get((name, option), {}), option: own})


@pytest.mark.parametrize("member", PLAIN)
def test_the_rates_are_torchs_to_the_bit_with_no_option_and_with_all(member: type[Scheduler]) -> None:
    name = member.__name__
    assert_agrees(name, REQUIRED.get(name, {}))
    unused = ("base_momentum", "max_momentum") if "cycle_momentum" in member.model_fields else ()
    options = {option: value for option, value in HONOURED[name].items() if option not in unused}
    assert_agrees(name, {"metric": "accuracy", **options} if name == "ReduceLROnPlateau" else options)


INNER: list[Options] = [
    {"type": "LinearLR", "total_iters": 2},
    {"type": "CosineAnnealingLR", "T_max": 4, "eta_min": 0.125},
    {"type": "StepLR", "step_size": 1},
    {"type": "MultiStepLR", "milestones": [1, 2]},
    {"type": "ExponentialLR", "gamma": 0.5},
    {"type": "ConstantLR", "total_iters": 1},
    {"type": "PolynomialLR", "total_iters": 4},
]
RESTARTS: Options = {"type": "CosineAnnealingWarmRestarts", "T_0": 2}


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_schedulers_one_after_the_other_are_torchs_to_the_bit(data: st.DataObject) -> None:
    schedulers = data.draw(st.lists(st.sampled_from([*INNER, RESTARTS]), min_size=2, max_size=3))
    after = st.lists(st.integers(1, 5), min_size=len(schedulers) - 1, max_size=len(schedulers) - 1, unique=True)
    assert_agrees("SequentialLR", {"schedulers": schedulers, "milestones": sorted(data.draw(after))})


@given(schedulers=st.lists(st.sampled_from(INNER), min_size=2, max_size=3))
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_schedulers_at_once_are_torchs_to_the_bit(schedulers: list[Options]) -> None:
    assert_agrees("ChainedScheduler", {"schedulers": schedulers})


def test_warm_up_and_cosine_give_the_rates_of_the_textbook() -> None:
    options = {"schedulers": [{"type": "LinearLR", "start_factor": 0.5, "total_iters": 2}, INNER[1]], "milestones": [2]}
    moved = sgd()
    found = [rate for rate, _ in rates(moved, scheduler_of("SequentialLR", options).build(moved, 6), 6)]
    down = [0.125 + (LR - 0.125) * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(5)]
    assert found == pytest.approx([LR / 2, LR * 3 / 4, *down])


def test_an_inner_scheduler_counts_as_the_outer_one() -> None:
    options = {"interval": "step", "schedulers": INNER[:2], "milestones": [2]}
    scheduler = scheduler_of("SequentialLR", options)
    assert [inner["interval"] for inner in scheduler.document()["schedulers"]] == ["step", "step"]
    assert declared(SCHEDULERS, scheduler.document()) == scheduler


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "SequentialLR",
            {"schedulers": INNER[:2], "milestones": [1, 2]},
            "2 schedulers need 1 milestone(s), but there are 2; write where each but the first begins",
        ),
        (
            "SequentialLR",
            {"schedulers": INNER[:3], "milestones": [2, 2]},
            "milestones must increase; write the smaller first",
        ),
        (
            "SequentialLR",
            {"schedulers": [INNER[0], {"type": "OneCycleLR", "max_lr": 1.0}], "milestones": [2]},
            "OneCycleLR cannot stand in SequentialLR; use it alone, or write another",
        ),
        (
            "ChainedScheduler",
            {"schedulers": [INNER[0], RESTARTS]},
            "CosineAnnealingWarmRestarts cannot stand in ChainedScheduler, because it sets the rate whatever "
            "the others do; use CosineAnnealingLR",
        ),
        (
            "ChainedScheduler",
            {"schedulers": [INNER[0], {"type": "ReduceLROnPlateau"}]},
            "ReduceLROnPlateau cannot stand in ChainedScheduler; use it alone, or write another",
        ),
        (
            "ChainedScheduler",
            {"schedulers": [INNER[0], {**INNER[1], "interval": "step"}]},
            "ChainedScheduler counts in epochs, but schedulers.1 in steps; write interval on the outer scheduler only",
        ),
        ("MultiStepLR", {"milestones": [3, 1]}, "milestones must increase; write each once, the smaller first"),
        (
            "CyclicLR",
            {**REQUIRED["CyclicLR"], "gamma": 0.5},
            'gamma says nothing in this mode; write "mode": "exp_range", or remove gamma',
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "cycle_momentum": False, "max_momentum": 0.5},
            "max_momentum says nothing without cycle_momentum; remove one of the two options",
        ),
        (
            "ReduceLROnPlateau",
            {"mode": "max"},
            'a loss is better when it is less; write "mode": "min", or another metric',
        ),
    ],
    ids=str,
)
def test_a_contradiction_says_what_to_write(name: str, options: Options, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        scheduler_of(name, options)
    assert refusal.value.errors()[0]["msg"] == f"Value error, {message}"


@pytest.mark.parametrize(
    ("name", "options", "fewest", "most"),
    [
        ("StepLR", {"step_size": 3}, 4, None),
        ("MultiStepLR", {"milestones": [1, 5]}, 6, None),
        ("ConstantLR", {"total_iters": 3}, 4, None),
        ("ExponentialLR", {"gamma": 0.5}, 2, None),
        ("LinearLR", {"total_iters": 3}, 3, None),
        ("LinearLR", {"total_iters": 3, "end_factor": 0.0}, 3, 3),
        ("PolynomialLR", {"total_iters": 3}, 3, 3),
        ("CosineAnnealingLR", {"T_max": 3}, 3, 3),
        ("CosineAnnealingWarmRestarts", {"T_0": 3}, 4, None),
        ("CyclicLR", {**REQUIRED["CyclicLR"], "step_size_up": 3}, 4, None),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 3}, 3, 3),
        ("OneCycleLR", {"max_lr": 1.0}, 1, None),
        ("ReduceLROnPlateau", {"patience": 3}, 6, None),
        ("SequentialLR", {"schedulers": [INNER[0], INNER[4]], "milestones": [2]}, 4, None),
        ("SequentialLR", {"schedulers": [INNER[0], INNER[1]], "milestones": [2]}, 6, 6),
        ("SequentialLR", {"schedulers": [INNER[0], INNER[1]], "milestones": [1]}, None, None),
        ("ChainedScheduler", {"schedulers": [INNER[0], INNER[1]]}, 4, 4),
    ],
    ids=str,
)
def test_a_scheduler_fits_a_training_that_is_neither_too_short_nor_too_long(
    name: str, options: Options, fewest: int | None, most: int | None
) -> None:
    scheduler = scheduler_of(name, options)
    optimizer = cast(Optimizer, declared(OPTIMIZERS, {"type": "SGD"}))

    def fits(intervals: int) -> bool:
        try:
            scheduler.require(optimizer, intervals)
        except ShapeError:
            return False
        return True

    allowed = range(fewest, (most or 10) + 1) if fewest else range(0)
    assert [intervals for intervals in range(1, 11) if fits(intervals)] == list(allowed)


@pytest.mark.parametrize(
    ("name", "options", "optimizer", "intervals", "message", "remedy", "option"),
    [
        (
            "CosineAnnealingLR",
            {"T_max": 5},
            {},
            3,
            "CosineAnnealingLR needs 5 epochs to do what it says, but it has 3 epochs",
            'write fewer in T_max, or "interval": "step"',
            "T_max",
        ),
        (
            "CosineAnnealingLR",
            {"T_max": 5, "interval": "step"},
            {},
            2000,
            "CosineAnnealingLR ends after 5 steps, but it has 2,000 steps",
            "write more in T_max",
            "T_max",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0},
            {"lr": 0.5},
            6,
            "lr of SGD says nothing, because OneCycleLR sets it",
            "leave lr out of the optimizer; max_lr says it here",
            "max_lr",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0},
            {"momentum": 0.5},
            6,
            "momentum of SGD says nothing, because OneCycleLR sets it",
            "leave momentum out of the optimizer; max_momentum says it here",
            "max_momentum",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0},
            {"type": "Adagrad"},
            6,
            "OneCycleLR moves the momentum, but Adagrad has none",
            'write "cycle_momentum": false, or use SGD or Adam',
            "cycle_momentum",
        ),
        (
            "ReduceLROnPlateau",
            {"min_lr": [0.0], "patience": 1},
            {"groups": [{"match": "*", "lr": 1.0}]},
            6,
            "ReduceLROnPlateau has 1 number(s) in min_lr, but the optimizer has 2 parameter group(s)",
            "write one number for all, or 2: for what no group takes, then for each group",
            "min_lr",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(
    name: str, options: Options, optimizer: Options, intervals: int, message: str, remedy: str, option: str
) -> None:
    beside = cast(Optimizer, declared(OPTIMIZERS, {"type": "SGD", **optimizer}))
    with pytest.raises(ShapeError) as refusal:
        scheduler_of(name, options).require(beside, intervals)
    assert (refusal.value.message, refusal.value.remedy, refusal.value.option) == (message, remedy, option)


def test_a_cycle_moves_the_first_beta_and_takes_the_second_as_written() -> None:
    adam = cast(Optimizer, declared(OPTIMIZERS, {"type": "Adam", "betas": [0.9, 0.5]}))
    scheduler = scheduler_of("OneCycleLR", {"max_lr": 1.0})
    scheduler.require(adam, 6)
    with pytest.raises(ShapeError, match="the first of betas of Adam says nothing"):
        scheduler.require(cast(Optimizer, declared(OPTIMIZERS, {"type": "Adam", "betas": [0.5, 0.5]})), 6)


@given(
    intervals=st.integers(1, 8),
    start=st.sampled_from([0.0, 0.125, 0.2, 0.25, 0.3, 0.5, 0.9]),
    three=st.booleans(),
    anneal=st.sampled_from(["cos", "linear"]),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_one_cycle_fits_each_training_that_torch_can_step(
    intervals: int, start: float, three: bool, anneal: str
) -> None:
    options = {"max_lr": 1.0, "pct_start": start, "three_phase": three and start <= 0.5, "anneal_strategy": anneal}
    scheduler = scheduler_of("OneCycleLR", options)
    moved = sgd()
    try:
        scheduler.require(cast(Optimizer, declared(OPTIMIZERS, {"type": "SGD"})), intervals)
    except ShapeError:
        with pytest.raises(ZeroDivisionError):
            scheduler.build(moved, intervals)
        return
    built = scheduler.build(moved, intervals)
    for _ in range(intervals):
        moved.step()
        built.step()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StepLR", {}),
        ("StepLR", {"step_size": 0}),
        ("StepLR", {"step_size": 2.5}),
        ("StepLR", {"step_size": 1, "gamma": 0}),
        ("StepLR", {"step_size": 1, "last_epoch": 3}),
        ("StepLR", {"step_size": 1, "interval": "batch"}),
        ("CosineAnnealingLR", {}),
        ("CosineAnnealingLR", {"T_max": 0}),
        ("CosineAnnealingLR", {"t_max": 4}),
        ("CosineAnnealingLR", {"T_max": 4, "eta_min": -0.1}),
        ("ConstantLR", {"factor": 0.0}),
        ("ConstantLR", {"factor": 1.5}),
        ("LinearLR", {"start_factor": 0.0}),
        ("LinearLR", {"end_factor": 1.5}),
        ("ReduceLROnPlateau", {"factor": 1.0}),
        ("ReduceLROnPlateau", {"interval": "step"}),
        ("OneCycleLR", {"max_lr": 1.0, "pct_start": 1.5}),
        ("OneCycleLR", {"max_lr": 1.0, "pct_start": 1.0}),
        ("OneCycleLR", {"max_lr": 1.0, "pct_start": 0.6, "three_phase": True}),
        ("ChainedScheduler", {"schedulers": [INNER[0]]}),
        ("ChainedScheduler", {"schedulers": INNER[0]}),
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        scheduler_of(name, frozen(options))


def test_numbers_for_groups_hold_for_their_spared_vectors_too() -> None:
    groups = [{"match": "b.*", "lr": 0.1}]
    declaring = optimizer_of("AdamW", decay="matrices", groups=groups)
    named = [(name, nn.Parameter(torch.ones(size))) for name, size in {"a.w": (2, 2), "a.b": (2,), "b.b": (2,)}.items()]
    built = declaring.build(named)
    scheduler = scheduler_of("ReduceLROnPlateau", {"min_lr": [0.25, 0.5]}).build(built, 6)
    assert isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    assert scheduler.min_lrs == [0.25, 0.5, 0.25, 0.5]
