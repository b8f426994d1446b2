"""CausalConv1d: torch's Conv1d behind zeros, at every length, and no step sees a later one."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from agreement import REFUSALS, batch_of, declared
from holding import batch_first, refusal, shapes
from writing import assert_exports, assert_written, written
from zoo.shapes import Shape

Options = dict[str, Any]  # JSON values

SMALL: Options = {"type": "CausalConv1d", "out_channels": 4, "kernel_size": 3}


COUNTS = st.integers(1, 3)
DRAWN = st.fixed_dictionaries(
    {"out_channels": st.sampled_from((2, 4)), "kernel_size": COUNTS},
    optional={
        "in_channels": st.sampled_from((2, 2, 3)),
        "stride": st.sampled_from((1, 1, 2)),
        "dilation": COUNTS,
        "groups": st.sampled_from((1, 1, 2)),
        "bias": st.booleans(),
    },
)


def own(options: Options, channels: int) -> nn.Conv1d:
    """Return torch's own convolution."""
    arguments: Options = {"in_channels": channels} | options
    return nn.Conv1d(**arguments)


def padded(module: nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """Return what a convolution makes of `x` behind as many zeros as its kernel reaches back."""
    result = module(functional.pad(x, (module.dilation[0] * (module.kernel_size[0] - 1), 0)))
    assert isinstance(result, torch.Tensor)
    return result


def refused(options: Options, x: torch.Tensor) -> bool:
    try:
        padded(own(options, x.size(1)), x)
    except REFUSALS:
        return True
    return False


def test_it_is_torchs_convolution_behind_zeros() -> None:
    taken: list[bool] = []

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(DRAWN, shapes(usual=3))
    def each(options: Options, shape: Shape) -> None:
        layer = declared({"type": "CausalConv1d", **options})
        taken.append(assert_written(layer, shape))
        batch = batch_of(shape, 3)
        if taken[-1]:
            module, torchs = written(layer, shape), own(options, batch.size(1))
            torchs.load_state_dict(
                {name.removeprefix("layer."): tensor for name, tensor in module.state_dict().items()}
            )
            assert torch.equal(module(batch), padded(torchs, batch))
        elif not batch_first(layer, shape) and shape.rank == 3 and "T" not in shape.dims:
            assert refused(options, batch), shape

    each()
    assert sum(taken) > len(taken) / 4


@pytest.mark.parametrize("length", [1, 2, 9])
def test_no_step_sees_a_later_one(length: int) -> None:
    shape = Shape("N", 2, "T")
    module = written(declared(SMALL | {"dilation": 2}), shape).eval()
    batch = batch_of(shape, 2, 9)
    later = batch.clone()
    later[:, :, length:] += 1
    assert torch.equal(module(batch)[:, :, :length], module(later)[:, :, :length])
    assert length == 9 or not torch.equal(module(batch), module(later))


def test_each_step_sees_as_far_back_as_the_kernel_reaches() -> None:
    module = written(declared(SMALL | {"dilation": 2}), Shape("N", 2, "T"))
    batch = torch.zeros(1, 2, 9, requires_grad=True)
    module(batch)[0, :, 8].sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum((0, 1)).nonzero().flatten().tolist() == [4, 6, 8]


def test_its_tensors_stand_at_its_own_name() -> None:
    assert list(written(declared(SMALL), Shape("N", 2, "T")).state_dict()) == ["layer.weight", "layer.bias"]


@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm", "orthogonal"])
def test_its_weight_may_be_parametrised(norm: str) -> None:
    layer, shape = declared(SMALL | {"parametrization": {"type": norm}}), Shape("N", 2, "T")
    learned = {name: tuple(parameter.shape) for name, parameter in written(layer, shape).named_parameters()}
    assert learned == {f"layer.{name}": sizes for name, sizes in layer.parameter_shapes(shape).items()}


def test_traced_and_exported_copies_take_any_length() -> None:
    assert_exports(declared(SMALL), Shape("N", 2, "T"))


def test_its_costs_are_those_that_torch_counts() -> None:
    layer, shape = declared(SMALL | {"stride": 2, "groups": 2}), Shape("N", 2, 7)
    with FlopCounterMode(display=False) as counter:
        written(layer, shape)(batch_of(shape, 1))
    assert 2 * layer.multiply_adds(shape) == counter.get_total_flops()


@pytest.mark.parametrize(
    "wrong",
    [{"padding": 1}, {"padding_mode": "zeros"}, {"kernel_size": 0}, {"kernel_size": [1, 2]}, {"stride": 0}],
    ids=str,
)
def test_a_padding_or_a_value_out_of_bounds_is_refused(wrong: Options) -> None:
    with pytest.raises(ValidationError):
        declared(SMALL | wrong)


@pytest.mark.parametrize(
    ("document", "shape", "message", "option"),
    [
        (
            SMALL | {"stride": 2},
            Shape("N", 2, "T"),
            "CausalConv1d needs a known length on axis 2, which it changes",
            "",
        ),
        (SMALL, Shape("N", 2), "CausalConv1d needs sequences (N, C, L)", ""),
        (
            SMALL | {"groups": 3},
            Shape("N", 2, 5),
            "CausalConv1d needs in_channels (2) to be a multiple of groups (3)",
            "groups",
        ),
    ],
    ids=str,
)
def test_the_refusal_says_what_is_wrong(document: Options, shape: Shape, message: str, option: str) -> None:
    assert refusal(document, shape)[::2] == (message, option)
