"""Every layer of the language as TorchScript: traced with three rows, it gives eager torch's numbers bit for bit."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from agreement import batch_of
from cases import CASES, LONGEST, Case, module_of, placed
from zoo.layers import LAYERS


def traced(module: nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit announces its end, and warns of what stays the same at every size
        made: torch.jit.ScriptModule = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]  # torch
        return made


def test_every_layer_of_the_language_is_tried() -> None:
    tried = {layer["type"] for case in CASES for layer in case.layers}

    assert set(LAYERS.names) - tried == set()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # torch makes a copy
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_traced_layer_gives_the_numbers_of_eager_torch_at_other_batches_and_lengths(case: Case) -> None:
    module = module_of(placed(case))
    with torch.no_grad():
        copy = traced(module, batch_of(case.input, 3, LONGEST))
        for rows in (1, 3):
            for length in (LONGEST, 2, 1) if "T" in case.input.dims else (LONGEST,):
                batch = batch_of(case.input, rows, length)
                torch.testing.assert_close(copy(batch.clone()), module(batch.clone()), rtol=0, atol=0)
