"""The device a person asks for: auto, cpu, cuda, cuda:1."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from zoo import economy
from zoo.errors import DeviceError, OutOfMemory


def find_device(name: str) -> torch.device:
    """Return the torch device; "auto" is the first GPU where CUDA works, else the CPU.

    Raises:
        DeviceError: the name is none of the four forms, or there is no such GPU.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", name)
    if match is None:
        raise DeviceError(f"no such device: {name}", "write auto, cpu, cuda or cuda:1")
    if not torch.cuda.is_available():
        raise DeviceError(f"{name}: torch finds no CUDA here", "use --device cpu; `zoo doctor` says what is missing")
    index, count = int(match.group(1) or 0), torch.cuda.device_count()
    if index >= count:
        raise DeviceError(f"{name}: there are {count} GPUs here", f"write cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", index)


@contextmanager
def fitting(what: str, remedy: str) -> Iterator[None]:
    """Turn an allocation that fails inside the block into an OutOfMemory that names what does not fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # Torch has a type of its own for a full GPU, and none for a full machine.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise OutOfMemory(f"{what} does not fit into memory", remedy) from error
        raise


def describe(device: torch.device) -> str:
    """Return the device with its name: "cuda:0 (NVIDIA H100)"."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def free_memory(device: torch.device) -> int:
    """Return the bytes that are free, on the machine and on the device: the fewer of them."""
    free = economy.free_memory()
    return min(free, torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else free


def generator_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return where torch's global generators stand: the CPU's, and the device's where it has one of its own."""
    own = {"cuda_generator": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"generator": torch.get_rng_state(), **own}


def set_generators(device: torch.device, states: Mapping[str, torch.Tensor | None]) -> None:
    """Set torch's global generators to where they stood; one that was not noted stays as it is."""
    if states["generator"] is not None:
        torch.set_rng_state(states["generator"])
    own = states.get("cuda_generator")
    if device.type == "cuda" and own is not None:
        torch.cuda.set_rng_state(own, device)
