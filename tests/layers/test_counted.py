"""What every layer of the language costs is what torch counts while it runs."""

from __future__ import annotations

import pytest
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from agreement import batch_of, declared, given
from cases import CASES, LONGEST, Case, module_of, placed
from zoo.graph import layer_module
from zoo.shapes import Shape

UNCOUNTED = {"LSTM": "torch does not count inside the CPU's kernel of a whole LSTM"}
REBUILT = {"orthogonal": "the weight is made anew at each step, which is no part of the layer's own arithmetic"}


def counted(module: nn.Module, *inputs: object) -> int:
    """Return torch's own count for one row, in multiplications with additions."""
    # With gradients, and without fused kernels: torch does not count inside attention's fast paths.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(*inputs)
    total = counter.get_total_flops()
    assert isinstance(total, int)
    return total // 2


def is_told(case: Case) -> bool:
    """Return whether torch tells what a case costs."""
    types = {layer["type"] for layer in case.layers}
    parametrizations = {layer.get("parametrization", {}).get("type") for layer in case.layers}
    kernels = types & UNCOUNTED.keys() and not any("proj_size" in layer for layer in case.layers)
    return not (kernels or parametrizations & REBUILT.keys())


def test_torch_tells_the_cost_of_all_but_a_few() -> None:
    assert sum(not is_told(case) for case in CASES) == 3


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # torch makes a copy
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("case", [case for case in CASES if is_told(case)], ids=str)
def test_a_layer_costs_what_torch_counts(case: Case) -> None:
    steps = placed(case)

    assert sum(step.layer.cost(step.values) for step in steps) == counted(
        module_of(steps), batch_of(case.input, 1, LONGEST)
    )


@pytest.mark.parametrize(
    "document",
    [
        {"type": "MultiheadAttention", "num_heads": 2, "kdim": 6, "vdim": 6},
        {"type": "MultiheadAttention", "num_heads": 2, "kdim": 6, "vdim": 6, "add_bias_kv": True},
    ],
    ids=str,
)
def test_a_memory_of_another_length_and_width_costs_what_torch_counts(document: dict[str, object]) -> None:
    layer, values = declared(document | {"memory": "memory"}), (Shape("N", 5, 8), Shape("N", 9, 6))

    assert layer.cost(values) == counted(layer_module(layer, values), *given(values, 1))


def test_a_decoder_costs_what_torch_counts() -> None:
    part = {"type": "TransformerDecoderLayer", "nhead": 2, "dim_feedforward": 4, "memory": "memory"}
    layer = declared({"type": "TransformerDecoder", "decoder_layer": part, "num_layers": 2})
    values = Shape("N", 5, 8), Shape("N", 9, 8)

    assert layer.cost(values) == counted(layer_module(layer, values), *given(values, 1))
