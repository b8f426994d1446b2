"""A .pt2 archive in a fresh torch."""

import warnings

import numpy as np
import torch

FORBIDDEN = ("onnx",)
"""Modules that must not be in the process."""

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def load(path: str, options: dict[str, str | int]) -> torch.nn.Module:
    """Return the module; options: "threads", because sums split over threads may differ in the last bit."""
    torch.set_num_threads(int(options["threads"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.load(path).module()


def run(module: torch.nn.Module, inputs: dict[str, Array]) -> list[Array]:
    """Return the outputs in the file's order."""
    with torch.no_grad():
        given = module(*(torch.from_numpy(array) for array in inputs.values()))
    return [tensor.numpy() for tensor in (given if isinstance(given, (tuple, list)) else (given,))]


def version() -> str:
    """Return torch's version."""
    return str(torch.__version__)
