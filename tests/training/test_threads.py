"""Threads: one for small steps, torch's own number for others, and what the environment says before both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from zoo.check import check_file
from zoo.training import threads
from zoo.training.threads import settle_threads, share_cores


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


@pytest.mark.parametrize(("cores", "processes", "expected"), [(8, 4, 2), (2, 4, 1), (64, 4, 3)])
def test_processes_share_the_cores_and_none_takes_more_than_torch_gave_it(
    cores: int, processes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    share_cores(processes)
    assert torch.get_num_threads() == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    share_cores(64)
    assert torch.get_num_threads() == expected
