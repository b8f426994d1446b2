"""Threads: one for small steps, torch's own number for others, and what the environment says before both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from zoo.check import check_file
from zoo.training.threads import settle_threads


@pytest.fixture(autouse=True)
def _three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("spec", "threads"),
    [("linear3", 1), ("mnist_mlp", 1), ("fashion_mlp", 1), ("lenet5", 1), ("resnet18", 3), ("gpt_mini", 3)],
)
def test_small_steps_have_one_thread(spec: str, threads: int) -> None:
    settle_threads(check_file(spec))
    assert torch.get_num_threads() == threads


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    settle_threads(check_file("linear3"))
    assert torch.get_num_threads() == 3
