"""TorchScript in a fresh torch: the same interpreter that LibTorch and Triton's pytorch_libtorch run."""

import warnings

import numpy as np
import torch

FORBIDDEN = ("onnx",)
"""Modules that must not be in the process."""

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def load(path: str, options: dict[str, str | int]) -> torch.jit.ScriptModule:
    """Return the module; options: "threads", because sums split over threads may differ in the last bit."""
    torch.set_num_threads(int(options["threads"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit.load is deprecated, and what serving uses today
        warnings.simplefilter("ignore", DeprecationWarning)
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]  # torch
        return module


def run(module: torch.jit.ScriptModule, inputs: dict[str, Array]) -> list[Array]:
    """Return the outputs in the file's order."""
    with torch.no_grad():
        given = module(*(torch.from_numpy(array) for array in inputs.values()))
    return [tensor.numpy() for tensor in (given if isinstance(given, (tuple, list)) else (given,))]


def version() -> str:
    """Return torch's version."""
    return str(torch.__version__)
