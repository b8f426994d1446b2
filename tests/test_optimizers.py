"""Optimizers beside torch's own: options, defaults, groups, and steps to the same bits."""

from __future__ import annotations

import json
from typing import Any, cast, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn, optim

from declaring import declared, default_of, frozen, options_of, torch_options
from zoo.optimizers import OPTIMIZERS, Decaying, Group, Optimizer

Options = dict[str, Any]  # Any: JSON values

MEMBERS = cast(list[type[Optimizer]], list(OPTIMIZERS.members()))

REASONS = {
    "LBFGS": "each step computes the loss several times, through a function",
    "Muon": "it takes matrices only; biases and norms need a second optimizer",
    "Optimizer": "the base class",
    "SparseAdam": "it takes sparse gradients only",
}
"""The optimizers of torch that are not in the language."""

OPTION_REASONS = {
    "params": "they follow from the model, and from groups",
    "foreach": "how a step is computed, not what",
    "fused": "how a step is computed, with other bits",
    "capturable": "for CUDA graphs",
    "differentiable": "for steps that are differentiated through",
}
"""The options of torch's optimizers that are not in the language."""

OWN_REASONS = {("Adam", "decoupled_weight_decay"): "AdamW says the same"}
"""The options of one optimizer that are not in the language."""

ADAM: Options = {
    "lr": 0.25,
    "betas": [0.5, 0.75],
    "eps": 0.125,
    "weight_decay": 0.375,
    "amsgrad": True,
    "maximize": True,
}
MEANS = {name: value for name, value in ADAM.items() if name != "amsgrad"}
PLAIN: Options = {"lr": 0.25, "weight_decay": 0.375, "maximize": True}
HONOURED: dict[str, Options] = {
    "ASGD": {**PLAIN, "lambd": 0.5, "alpha": 0.5, "t0": 2.0},
    "Adadelta": {**PLAIN, "rho": 0.5, "eps": 0.125},
    "Adafactor": {**PLAIN, "beta2_decay": -0.5, "eps": [0.25, 0.5], "d": 2.0},
    "Adagrad": {**PLAIN, "lr_decay": 0.5, "initial_accumulator_value": 0.25, "eps": 0.125},
    "Adam": ADAM,
    "AdamW": ADAM,
    "Adamax": MEANS,
    "NAdam": {**MEANS, "momentum_decay": 0.5, "decoupled_weight_decay": True},
    "RAdam": {**MEANS, "decoupled_weight_decay": True},
    "RMSprop": {**PLAIN, "alpha": 0.5, "eps": 0.125, "momentum": 0.5, "centered": True},
    "Rprop": {"lr": 0.25, "etas": [0.25, 2.0], "step_sizes": [0.125, 0.5], "maximize": True},
    "SGD": {**PLAIN, "momentum": 0.5, "dampening": 0.125, "nesterov": True},
}
"""For each optimizer, a value for each option that is not its default."""

BESIDE: dict[tuple[str, str], Options] = {
    ("SGD", "nesterov"): {"momentum": 0.5},
    ("SGD", "dampening"): {"momentum": 0.5},
    ("NAdam", "decoupled_weight_decay"): {"weight_decay": 0.5},
    ("RAdam", "decoupled_weight_decay"): {"weight_decay": 0.5},
}
"""What an option needs beside it."""


def optimizer_of(name: str, options: Options) -> Optimizer:
    return cast(Optimizer, declared(OPTIMIZERS, {"type": name, **options}))


def named(sizes: tuple[tuple[int, ...], ...] = ((2, 3), (3,))) -> list[tuple[str, nn.Parameter]]:
    generator = torch.Generator().manual_seed(0)
    names = ("conv.weight", "conv.bias", "fc.weight", "fc.bias")
    return [
        (name, nn.Parameter(torch.randn(size, generator=generator))) for name, size in zip(names, sizes, strict=False)
    ]


def stepped(optimizer: optim.Optimizer, parameters: list[tuple[str, nn.Parameter]]) -> list[list[float]]:
    """Return the parameters after three steps whose gradients change their signs."""
    for scale in (1.0, -0.5, 0.25):
        optimizer.zero_grad()
        loss = sum((parameter * scale).sin().sum() for _, parameter in parameters)
        assert isinstance(loss, torch.Tensor)
        loss.backward()  # type: ignore[no-untyped-call]  # torch
        optimizer.step()
    return [parameter.flatten().tolist() for _, parameter in parameters]


def torchs(name: str, options: Options, parameters: list[tuple[str, nn.Parameter]]) -> optim.Optimizer:
    found: optim.Optimizer = getattr(optim, name)([parameter for _, parameter in parameters], **frozen(options))
    return found


OPTIONS = [(member, option) for member in MEMBERS for option in options_of(member, "groups", "decay")]


def test_each_optimizer_of_torch_is_in_the_language_or_has_a_reason() -> None:
    own = {name for name in dir(optim) if isinstance(getattr(optim, name), type)}
    assert own == set(OPTIMIZERS.names) | set(REASONS)
    assert not set(OPTIMIZERS.names) & set(REASONS)


@pytest.mark.parametrize("member", MEMBERS)
def test_each_option_of_torch_is_in_the_language_or_has_a_reason(member: type[Optimizer]) -> None:
    reasons = set(OPTION_REASONS) | {option for name, option in OWN_REASONS if name == member.__name__}
    assert set(torch_options(getattr(optim, member.__name__))) - reasons == set(options_of(member, "groups", "decay"))


def test_each_reason_is_of_an_option_that_torch_has() -> None:
    assert set(OPTION_REASONS) <= {n for member in MEMBERS for n in torch_options(getattr(optim, member.__name__))}
    assert all(option in torch_options(getattr(optim, name)) for name, option in OWN_REASONS)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_type_is_the_name_of_the_class(member: type[Optimizer]) -> None:
    assert get_args(member.model_fields["type"].annotation) == (member.__name__,)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_option_has_a_value_to_be_honoured(member: type[Optimizer]) -> None:
    assert sorted(HONOURED[member.__name__]) == sorted(options_of(member, "groups", "decay"))


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_value_to_be_honoured_is_not_the_default(member: type[Optimizer], option: str) -> None:
    assert frozen(HONOURED[member.__name__])[option] != member.model_fields[option].default


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_the_option_has_torchs_default(member: type[Optimizer], option: str) -> None:
    assert default_of(member, option) == torch_options(getattr(optim, member.__name__))[option]


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_building_honours_the_option_and_leaves_the_others(member: type[Optimizer], option: str) -> None:
    name = member.__name__
    options = {**BESIDE.get((name, option), {}), option: HONOURED[name][option]}
    assert optimizer_of(name, options).build(named()).defaults == torchs(name, options, named()).defaults


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("honoured", [False, True])
def test_the_built_optimizer_steps_to_the_bits_of_torchs(member: type[Optimizer], honoured: bool) -> None:
    name = member.__name__
    options = {option: value for option, value in HONOURED[name].items() if honoured and option != "nesterov"}
    ours, theirs = named(), named()
    before = [parameter.flatten().tolist() for _, parameter in ours]
    built = optimizer_of(name, options).build(iter(ours))
    assert type(built) is getattr(optim, name)
    after = stepped(built, ours)
    assert after == stepped(torchs(name, options, theirs), theirs)
    assert after != before


@pytest.mark.parametrize("member", MEMBERS)
def test_a_group_has_the_options_of_its_optimizer_without_defaults(member: type[Optimizer]) -> None:
    (group, _) = get_args(member.model_fields["groups"].annotation)
    assert options_of(group, "match") == options_of(member, "groups", "decay")
    assert not any("default" in option for option in group.model_json_schema()["properties"].values())


@pytest.mark.parametrize(("member", "option"), OPTIONS)
def test_a_group_steps_by_its_own_options_to_the_bits_of_torchs(member: type[Optimizer], option: str) -> None:
    name = member.__name__
    own = {**BESIDE.get((name, option), {}), option: HONOURED[name][option]}
    ours, theirs = named(), named()
    built = optimizer_of(name, {"groups": [{"match": "*.bias", **own}]}).build(ours)
    groups = [{"params": [theirs[0][1]]}, {"params": [theirs[1][1]], **frozen(own)}]
    assert stepped(built, ours) == stepped(getattr(optim, name)(groups), theirs)


def test_the_first_group_that_matches_takes_a_parameter_and_the_rest_come_first() -> None:
    parameters = named(((2,), (3,), (4,), (5,)))
    groups = [{"match": "*.bias", "lr": 0.1}, {"match": ["fc.*", "!fc.bias"], "lr": 0.2}, {"match": "!*", "lr": 0.3}]
    optimizer = optimizer_of("SGD", {"groups": groups})
    owners = {"conv.weight": None, "conv.bias": 0, "fc.weight": 1, "fc.bias": 0}
    assert optimizer.owners(dict(parameters)) == owners
    built = optimizer.build(parameters)
    assert [[len(p) for p in group["params"]] for group in built.param_groups] == [[2], [3, 5], [4], []]
    assert [group["lr"] for group in built.param_groups] == [1e-3, 0.1, 0.2, 0.3]


DECAYING = [member for member in MEMBERS if issubclass(member, Decaying)]


def test_each_optimizer_with_a_weight_decay_can_spare_vectors() -> None:
    assert [member for member in MEMBERS if "weight_decay" in member.model_fields] == DECAYING


@pytest.mark.parametrize("member", DECAYING)
def test_vectors_that_are_spared_step_as_a_group_without_decay(member: type[Optimizer]) -> None:
    name, ours, theirs = member.__name__, named(), named()
    built = optimizer_of(name, {"weight_decay": 0.375, "decay": "matrices"}).build(ours)
    groups = [{"params": [theirs[0][1]]}, {"params": [theirs[1][1]], "weight_decay": 0.0}]
    assert stepped(built, ours) == stepped(getattr(optim, name)(groups, weight_decay=0.375), theirs)


def test_spared_vectors_keep_the_other_options_of_their_groups_and_stand_behind_all_matrices() -> None:
    parameters = named(((2, 2), (3,), (4, 1), (5,)))
    groups = [{"match": "fc.*", "lr": 0.1, "weight_decay": 0.5}]
    built = optimizer_of("AdamW", {"groups": groups, "decay": "matrices"}).build(parameters)
    assert [[name for name, p in parameters if p in set(group["params"])] for group in built.param_groups] == [
        ["conv.weight"],
        ["fc.weight"],
        ["conv.bias"],
        ["fc.bias"],
    ]
    assert [group["lr"] for group in built.param_groups] == [1e-3, 0.1, 1e-3, 0.1]
    assert [group["weight_decay"] for group in built.param_groups] == [0.01, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.0, "groups": [{"match": "*", "lr": 1.0}]}], ids=str)
def test_a_decay_of_nothing_says_what_to_write(options: Options) -> None:
    with pytest.raises(ValidationError) as refusal:
        optimizer_of("SGD", {"decay": "matrices", **options})
    assert refusal.value.errors()[0]["msg"] == (
        'Value error, decay says nothing without a weight_decay; write one above 0, or "decay": "all"'
    )


def test_frozen_parameters_are_left_out() -> None:
    parameters = named()
    parameters[0][1].requires_grad_(False)
    built = optimizer_of("Adam", {"groups": [{"match": "conv.*", "lr": 0.1}]}).build(parameters)
    assert [group["params"] for group in built.param_groups] == [[], [parameters[1][1]]]


def test_the_document_of_a_group_has_what_it_writes_and_reads_as_the_same() -> None:
    document = {"momentum": 0.9, "groups": [{"match": "*.bias", "weight_decay": 0.0}]}
    optimizer = optimizer_of("SGD", document)
    assert optimizer.document()["groups"] == [{"weight_decay": 0.0, "match": "*.bias"}]
    assert declared(OPTIMIZERS, json.loads(json.dumps(optimizer.document()))).document() == optimizer.document()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"groups": [{"match": "*", "nesterov": True}]},
            "in groups.0, nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov",
        ),
        (
            {"groups": [{"match": "*"}]},
            "a group without options of its own says nothing; write one, such as lr, or remove the group",
        ),
        (
            {"momentum": 0.9, "nesterov": True, "groups": [{"match": "*", "lr": 1.0}, {"match": "*", "momentum": 0.0}]},
            "in groups.1, nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov",
        ),
    ],
    ids=str,
)
def test_the_options_of_a_group_are_judged_with_those_it_takes_over(options: Options, message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        optimizer_of("SGD", options)
    assert refusal.value.errors()[0]["msg"] == f"Value error, {message}"


def test_a_group_may_go_without_the_decay_that_the_others_have() -> None:
    groups = [{"match": "*.bias", "weight_decay": 0.0}]
    optimizer_of("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "groups": groups})


@pytest.mark.parametrize(
    "group",
    [{"lr": 0.1}, {"match": "", "lr": 0.1}, {"match": [], "lr": 0.1}, {"match": "*", "betas": [0.9, 0.9]}],
    ids=str,
)
def test_a_group_that_is_none_is_refused(group: Options) -> None:
    with pytest.raises(ValidationError):
        optimizer_of("SGD", {"groups": [group]})


@st.composite
def changed(draw: st.DrawFn, name: str) -> Options:
    """Draw values for some options, also such that torch refuses."""
    honoured = HONOURED[name]
    some: Options = {}
    for option in draw(st.lists(st.sampled_from(sorted(honoured)), unique=True, max_size=4)):
        value = honoured[option]
        number = st.sampled_from([-0.5, 0.0, 0.25, 1.0, 1.5])
        if isinstance(value, bool):
            some[option] = draw(st.booleans())
        else:
            some[option] = [draw(number), draw(number)] if isinstance(value, list) else draw(number)
    return some


@pytest.mark.parametrize("name", OPTIMIZERS.names)
def test_what_the_language_accepts_torch_steps_and_what_torch_refuses_it_refuses(name: str) -> None:
    @given(options=changed(name))
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    def agrees(options: Options) -> None:
        ours, theirs = named(), named()
        try:
            optimizer = optimizer_of(name, options)
        except ValidationError:
            return
        assert stepped(optimizer.build(ours), ours) == stepped(torchs(name, options, theirs), theirs)

    agrees()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"lr": -0.1}) for name in HONOURED),
        *((name, {"weight_decay": -0.1}) for name in HONOURED if name != "Rprop"),
        *((name, {"betas": betas}) for name in ("Adam", "NAdam") for betas in ([1.0, 0.9], [0.9, 1.0], [-0.1, 0.9])),
        *((name, {"eps": -1e-8}) for name in ("Adam", "RMSprop", "Adagrad", "Adadelta")),
        ("SGD", {"momentum": -0.1}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        ("Rprop", {"etas": [1.5, 2.0]}),
        ("Adafactor", {"d": 0.5}),
        ("Adafactor", {"beta2_decay": 0.5}),
        ("Adadelta", {"rho": 1.5}),
    ],
    ids=str,
)
def test_what_torch_refuses_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValueError, match=r"^Invalid|^Nesterov|should be"):
        torchs(name, options, named())
    with pytest.raises(ValidationError):
        optimizer_of(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"eps": 0}) for name in ("Adam", "AdamW")),
        *((name, {"betas": betas}) for name in ("Adam", "AdamW") for betas in ([0.9], [0.9, 0.9, 0.9], 0.9)),
        *((name, {"lr": 1e31}) for name in HONOURED),
        *((name, {"foreach": True}) for name in HONOURED),
        ("SGD", {"dampening": 1e31}),
        ("SGD", {"dampening": 0.5}),
        ("SGD", {"betas": [0.9, 0.999]}),
        ("RMSprop", {"alpha": 1.0}),
        ("Rprop", {"step_sizes": [2.0, 1.0]}),
        ("RAdam", {"decoupled_weight_decay": True}),
        ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    ],
    ids=str,
)
def test_what_would_not_train_or_says_nothing_is_refused(name: str, options: Options) -> None:
    with pytest.raises(ValidationError):
        optimizer_of(name, options)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "dampening": 0.1}], ids=str)
def test_nesterov_without_its_momentum_says_what_to_write(options: Options) -> None:
    with pytest.raises(ValidationError) as refusal:
        optimizer_of("SGD", {"nesterov": True, **options})
    assert refusal.value.errors()[0]["msg"] == (
        "Value error, nesterov needs a momentum above 0 and a dampening of 0; write both, or remove nesterov"
    )


def test_an_optimizer_without_groups_has_none() -> None:
    assert optimizer_of("SGD", {}).parameter_groups == ()
    assert issubclass(type(optimizer_of("SGD", {"groups": [{"match": "*", "lr": 1.0}]}).parameter_groups[0]), Group)
