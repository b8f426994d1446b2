from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from exporters.doubling import as_double, doubled


class Rounding(nn.Module):
    """A layer that knows its precision itself."""

    precision = torch.float32

    # Any: as torch has it.
    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        self.precision = fn(torch.zeros((), dtype=self.precision)).dtype
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch

    def forward(self, given: tuple[torch.Tensor, Any]) -> torch.Tensor:
        return given[0].to(self.precision)


@pytest.fixture
def module() -> nn.Module:
    """Layers with parameters, buffers of whole numbers, and a weight that two of them share."""
    torch.manual_seed(0)
    first, last = nn.Linear(2, 2), nn.Linear(2, 2)
    last.weight = first.weight
    return nn.Sequential(first, nn.BatchNorm1d(2), last, nn.LSTM(2, 2, batch_first=True), Rounding()).eval()


def test_a_doubled_module_computes_in_float64_what_its_copy_does(module: nn.Module) -> None:
    rows = torch.randn(3, 2)
    double = nn.Linear(2, 2).double()
    double.load_state_dict(module.get_submodule("0").state_dict())

    with torch.no_grad(), doubled(module):
        found = module.get_submodule("0")(as_double(rows))
        assert torch.equal(found, double(rows.double()))
        assert module(rows.double()).dtype == torch.float64
    with torch.no_grad():
        assert module(rows).dtype == torch.float32


def test_afterwards_its_tensors_are_what_they_were(module: nn.Module) -> None:
    before = {name: (id(tensor), tensor.clone()) for name, tensor in module.state_dict(keep_vars=True).items()}

    with pytest.raises(RuntimeError, match="stop"), doubled(module):
        raise RuntimeError("stop")

    after = module.state_dict(keep_vars=True)
    assert all(id(after[name]) == place and torch.equal(after[name], kept) for name, (place, kept) in before.items())
    assert {name: kept.dtype for name, (_, kept) in before.items()} == {n: t.dtype for n, t in after.items()}


def test_rows_of_whole_numbers_stay_whole_and_are_copied() -> None:
    rows = torch.tensor([1, 2])

    assert as_double(rows).dtype == torch.int64
    assert as_double(rows).data_ptr() != rows.data_ptr()
    assert as_double(rows.double()).dtype == torch.float64


def test_an_epsilon_that_is_the_precision_of_the_numbers_stays_that_of_float32() -> None:
    norm, rows = nn.RMSNorm(2), torch.tensor([[1e-4, 2e-4]])
    with doubled(norm) as double:
        truth = double(as_double(rows))

    assert torch.allclose(truth, norm(rows).double(), rtol=1e-6)
    assert norm.eps is None
