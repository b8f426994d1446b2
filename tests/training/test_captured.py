"""Gradients that are taken from autograd itself are those of backward()."""

from __future__ import annotations

import torch
from torch import nn, optim

from zoo.training.captured import take_gradients


def test_the_summands_of_a_sum_have_gradients_of_their_own() -> None:
    one, two = (nn.Parameter(torch.full((3,), value)) for value in (1.0, 2.0))
    optimizer = optim.SGD([one, two], lr=0.1)
    take_gradients((3 * (one + two)).sum(), optimizer)

    nn.utils.clip_grad_norm_([one, two], 1.0)

    assert one.grad is not None
    assert two.grad is not None
    torch.testing.assert_close(torch.cat([one.grad, two.grad]).norm(), torch.tensor(1.0))


def test_a_parameter_without_a_part_in_the_loss_has_none() -> None:
    one, two = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    take_gradients(one.sum(), optim.SGD([one, two], lr=0.1))
    assert two.grad is None


def test_a_gradient_lies_in_memory_as_its_parameter() -> None:
    weight = nn.Parameter(torch.ones(2, 3))
    take_gradients((weight.t().contiguous() * torch.arange(6.0).reshape(3, 2)).sum(), optim.SGD([weight], lr=0.1))
    assert weight.grad is not None
    assert weight.grad.stride() == weight.stride()
    assert torch.equal(weight.grad, torch.arange(6.0).reshape(3, 2).t())
