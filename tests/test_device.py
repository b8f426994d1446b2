"""The device a person asks for."""

from __future__ import annotations

import pytest
import torch

from zoo.device import describe, find_device
from zoo.errors import DeviceError


def test_the_cpu_is_the_cpu() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert describe(find_device("cpu")) == "cpu"


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:-1", "cpu:0"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"no such device: {name}") as refused:
        find_device(name)
    assert refused.value.remedy == "write auto, cpu, cuda or cuda:1"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_gpu_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name}: torch finds no CUDA here"):
        find_device(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_beyond_the_last_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"cuda:99: there are \d+ GPUs here"):
        find_device("cuda:99")
