"""Classes of ejected files: every layer of the language gives the same weights and outputs."""

from __future__ import annotations

from collections import OrderedDict
from math import log
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from agreement import given
from cases import CASES, Case, placed
from zoo.eject.forward import class_source
from zoo.graph import graph_module, is_chain


# Any: a tensor, or rows of them.
def equal(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor):
        return torch.equal(first.nan_to_num(), second.nan_to_num())
    return all(map(equal, first, second))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch: padding that costs a copy, and what oneDNN has not
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_layer_draws_the_same_weights_and_gives_the_same_outputs(case: Case) -> None:
    steps = placed(case)
    torch.manual_seed(3)
    chain = is_chain(steps)
    own: nn.Module = graph_module(steps)
    if chain:
        torch.manual_seed(3)
        own = nn.Sequential(OrderedDict((step.name, step.layer.build(step.input)) for step in steps))
    names: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": Tensor, "torchvision": torchvision, "log": log}
    names["OrderedDict"] = OrderedDict
    exec(class_source(steps, own, "A layer."), names)
    torch.manual_seed(3)
    made: nn.Module = names["Model"]()
    assert list(own.state_dict()) == list(made.state_dict())
    assert all(map(torch.equal, own.state_dict().values(), made.state_dict().values()))
    for rows, training in ((3, False), (2, True)):
        found = []
        for module in (own.train(training), made.train(training)):
            torch.manual_seed(1)
            found.append(module(given(case.input, rows).clone()))
        assert equal(*found)
