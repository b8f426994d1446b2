"""The language beside torch.nn: every module and every option is a word of ours, or has a reason."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, get_overloads

import pytest
from pydantic.fields import FieldInfo
from torch import nn

from zoo.layers import LAYERS
from zoo.strict import Strict

CONTAINER = "holds modules: the language has layers, Repeat, Parallel and Block"
LAZY = "learns its sizes from the first batch: ours follow from the shapes before any batch"
CELL = "is one step of a loop that a spec cannot write: RNN, LSTM and GRU run it"
TWO_INPUTS = "compares two inputs: no layer of a chain"

REASONS = {
    "AdaptiveLogSoftmaxWithLoss": "is a loss that holds weights: it needs the targets",
    "Bilinear": "takes two inputs: no layer of a chain",
    "Container": CONTAINER,
    "CosineSimilarity": TWO_INPUTS,
    "DataParallel": "spreads a batch over devices: training does that, not the model",
    "GRUCell": CELL,
    "LSTMCell": CELL,
    "LazyBatchNorm1d": LAZY,
    "LazyBatchNorm2d": LAZY,
    "LazyBatchNorm3d": LAZY,
    "LazyConv1d": LAZY,
    "LazyConv2d": LAZY,
    "LazyConv3d": LAZY,
    "LazyConvTranspose1d": LAZY,
    "LazyConvTranspose2d": LAZY,
    "LazyConvTranspose3d": LAZY,
    "LazyInstanceNorm1d": LAZY,
    "LazyInstanceNorm2d": LAZY,
    "LazyInstanceNorm3d": LAZY,
    "LazyLinear": LAZY,
    "Module": "is the base of all modules",
    "ModuleDict": CONTAINER,
    "ModuleList": CONTAINER,
    "PairwiseDistance": TWO_INPUTS,
    "ParameterDict": CONTAINER,
    "ParameterList": CONTAINER,
    "RNNBase": "is the base of RNN, LSTM and GRU",
    "RNNCell": CELL,
    "RNNCellBase": CELL,
    "Sequential": CONTAINER,
    "Transformer": "takes two sequences: a TransformerEncoder and a TransformerDecoder that names it as memory",
}

SPARSE = "gives gradients that most optimizers, clipping and weight decay refuse"
OLD_NAME = "is a deprecated name of another option"
IMPLICIT = "torch guesses the axis, and warns that it will stop doing so: write it"
EVERYWHERE = {
    "batch_first": "the batch is first on every tensor",
    "device": "training chooses the device",
    "dtype": "training chooses the precision",
}
OPTION_REASONS = {
    ("Embedding", "sparse"): SPARSE,
    ("EmbeddingBag", "include_last_offset"): "bags are rows: there are no offsets",
    ("EmbeddingBag", "sparse"): SPARSE,
    ("Hardtanh", "max_value"): OLD_NAME,
    ("Hardtanh", "min_value"): OLD_NAME,
    ("SyncBatchNorm", "process_group"): "all processes of the training share their statistics",
    ("TransformerEncoder", "enable_nested_tensor"): "only for padding masks, which no layer gives",
    ("TransformerEncoder", "mask_check"): "only for padding masks, which no layer gives",
}
DEFAULT_REASONS = {
    ("LogSoftmax", "dim"): IMPLICIT,
    ("Softmax", "dim"): IMPLICIT,
    ("Softmin", "dim"): IMPLICIT,
}

REQUIRED = "required"
LOSSES = "torch.nn.modules.loss"
MODULES = {
    name: found
    for name, found in vars(nn).items()
    if isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ != LOSSES
}
SHARED = sorted(MODULES.keys() & set(LAYERS.names))


def unsaid(modules: Collection[str], words: Collection[str], reasons: Collection[str]) -> list[str]:
    """The modules of torch that the language neither has nor gives a reason for."""
    return sorted(set(modules) - set(words) - set(reasons))


def idle(modules: Collection[str], words: Collection[str], reasons: Collection[str]) -> list[str]:
    """The reasons for what the language has, or for what torch has not."""
    return sorted(name for name in reasons if name in words or name not in modules)


def options_of(module: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The public options of torch's class, from its overloads where the signature hides them."""
    signatures = get_overloads(module.__init__) or [module.__init__]
    options: dict[str, inspect.Parameter] = {}
    for signature in signatures:
        options |= inspect.signature(signature).parameters
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: option
        for name, option in options.items()
        if name != "self" and not name.startswith("_") and option.kind not in hidden
    }


def fields_of(layer: type[Strict]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in layer.model_fields.items()}


def unsaid_options(name: str, module: type[nn.Module], layer: type[Strict]) -> list[str]:
    """The options of torch that a class of ours neither has nor gives a reason for."""
    said = {*fields_of(layer), *EVERYWHERE, *(option for owner, option in OPTION_REASONS if owner == name)}
    return sorted(options_of(module).keys() - said)


# Any: a default of torch or of ours.
def plain(value: Any) -> Any:
    """A default as a spec would write it: functions by their names, lists as tuples."""
    if callable(value):
        return value.__name__
    return tuple(value) if isinstance(value, list) else value


def other_defaults(module: type[nn.Module], layer: type[Strict]) -> dict[str, tuple[Any, Any]]:
    """The options whose default differs, with (ours, torch's). What torch requires may follow from the shape."""
    fields = fields_of(layer)
    found = {}
    for option, parameter in options_of(module).items():
        if option in fields:
            field, required = fields[option], parameter.default is inspect.Parameter.empty
            ours = REQUIRED if field.is_required() else plain(field.default)
            theirs = (None if ours is None else REQUIRED) if required else plain(parameter.default)
            if ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
                found[option] = (ours, theirs)
    return found


def test_every_module_of_torch_is_a_layer_or_has_a_reason() -> None:
    assert unsaid(MODULES, LAYERS.names, REASONS) == []


def test_no_reason_has_lost_its_object() -> None:
    assert idle(MODULES, LAYERS.names, REASONS) == []


def test_a_module_that_is_neither_is_found() -> None:
    words = [name for name in LAYERS.names if name != "LSTM"]
    assert "LSTM" in unsaid(MODULES, words, REASONS)
    assert unsaid({**MODULES, "Newest": nn.Module}, [*MODULES, *words], REASONS) == ["Newest"]


def test_a_reason_for_a_layer_that_is_there_or_for_no_module_is_found() -> None:
    reasons = {"LSTM": "too long", "Gone": "no more", "Module": "is the base"}
    assert idle(MODULES, ["LSTM"], reasons) == ["Gone", "LSTM"]


@pytest.mark.parametrize("name", SHARED)
def test_every_option_of_torch_is_a_field_or_has_a_reason(name: str) -> None:
    assert unsaid_options(name, MODULES[name], LAYERS.load(name)) == []


@pytest.mark.parametrize("name", SHARED)
def test_every_default_is_torch_s_own(name: str) -> None:
    reasons = {option for owner, option in DEFAULT_REASONS if owner == name}
    assert other_defaults(MODULES[name], LAYERS.load(name)).keys() == reasons


def idle_options(reasons: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """The reasons for options that a class of ours has, or that torch has not."""
    return [
        (name, option)
        for name, option in reasons
        if name not in SHARED or option in fields_of(LAYERS.load(name)) or option not in options_of(MODULES[name])
    ]


def test_no_reason_for_an_option_has_lost_its_object() -> None:
    assert idle_options(OPTION_REASONS) == []
    assert {option for option in EVERYWHERE if not any(option in options_of(MODULES[name]) for name in SHARED)} == set()
    assert {name for name in SHARED if fields_of(LAYERS.load(name)).keys() & EVERYWHERE.keys()} == set()
    assert {name for name, _ in DEFAULT_REASONS} <= set(SHARED)


def test_an_option_or_a_default_that_differs_is_found() -> None:
    class Dropout(nn.Module):
        def __init__(self, p: float = 0.25, inplace: bool = False, seed: int = 0) -> None: ...

    assert unsaid_options("Dropout", Dropout, LAYERS.load("Dropout")) == ["seed"]
    assert other_defaults(Dropout, LAYERS.load("Dropout")) == {"p": (0.5, 0.25)}


def test_a_reason_for_an_option_that_is_there_or_that_torch_has_not_is_found() -> None:
    reasons = {("Dropout", "p"): "", ("LSTM", "sparse"): "", ("Gone", "p"): ""}
    assert idle_options(reasons) == list(reasons)


def test_options_that_a_signature_hides_are_found() -> None:
    assert {"hidden_size", "bidirectional", "nonlinearity"} <= options_of(nn.RNN).keys()
