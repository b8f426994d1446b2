"""Structure: a file of fresh weights, whose own answers prove nothing, held against the module with drawn ones.

Fresh weights often give an answer that hardly depends on the input: a head of zeros, residual branches of zeros,
statistics that nobody measured. Any file would pass with them. So weights are drawn that make every layer count, and
are put into the module and into the very file, in the place of the equal ones that were there. If that file is the
module with drawn weights, and the file's own weights are the module's bit for bit, then the file is the module.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from exporters import storage
from exporters.certificate import Format
from zoo.training.evaluation import evaluating

ROWS = 32  # that normalisations measure their statistics on
SPREAD = 0.5  # how far apart numbers are drawn that were all the same
Weights = Mapping[str, Tensor]


def drawn(module: nn.Module, rows: Tensor) -> nn.Module:
    """Return a copy whose numbers all count: constants are drawn anew, normalisations measure the rows."""
    result = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in result.parameters():
            if tensor.is_floating_point() and bool((tensor == tensor.flatten()[0]).all()):
                spread = SPREAD if tensor.dim() < 2 else float(tensor[0].numel()) ** -0.5
                tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=spread)
    _measure(result, rows[:ROWS])
    return result


def _measure(module: nn.Module, rows: Tensor) -> None:
    """Let every normalisation that keeps statistics measure them; dropout stays off."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    with evaluating(module):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean
            norm.train()
        module(rows.clone())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def put(name: Format, weights: Weights, path: Path, target: Path) -> None:
    """Write the file `path` to `target` with other weights under the same names."""
    _PUT[name](weights, path, target)


def _put_onnx(weights: Weights, path: Path, target: Path) -> None:
    model = storage.read(path)
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].detach().numpy(), tensor.name))
    storage.write(model, target)


def _put_torchscript(weights: Weights, path: Path, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but not the runtimes that load it
        loaded = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # torch
        _copy(weights, loaded.state_dict())
        torch.jit.save(loaded, str(target))


def _put_pt2(weights: Weights, path: Path, target: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.load(str(path))
        _copy(weights, program.state_dict)
        torch.export.save(program, str(target))


def _copy(weights: Weights, state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in weights.items():
            state[name].copy_(tensor)


_PUT: dict[Format, Callable[[Weights, Path, Path], None]] = {
    "onnx": _put_onnx,
    "torchscript": _put_torchscript,
    "pt2": _put_pt2,
}
