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

from exporters import probing, storage
from exporters.certificate import Format
from exporters.golden import outputs_of
from exporters.tolerance import SMALLEST_REACTION, reaction
from zoo.training.evaluation import evaluating

ROWS = 32  # that normalisations measure their statistics on
SPREAD = 0.5  # how far apart numbers are drawn that were all the same
ENOUGH = 2  # times the reaction that a proof asks for
SMALLEST = 1e-3  # of the largest deviation of a layer's channels; below it a channel is as good as constant
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Weights = Mapping[str, Tensor]


def drawn(module: nn.Module, rows: Tensor, values: int = 0) -> nn.Module:
    """Return a copy whose numbers all count: constants are drawn anew, normalisations measure the rows and the probes.

    Without the probes a deep model answers noise a million times as large as any row, and its last bits are all of it.
    Where the outputs hardly differ from row to row even so, the layers with weights are made to normalise as well.
    """
    result = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in result.parameters():
            if tensor.is_floating_point() and bool((tensor == tensor.flatten()[0]).all()):
                spread = SPREAD if tensor.dim() < 2 else float(tensor[0].numel()) ** -0.5
                tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=spread)
    some, probes = rows[:ROWS], probing.probe_rows(rows, values)
    measured = some if probes is None else torch.cat([some, probes])
    _measure(result, measured)
    if _reaction(result, some) < ENOUGH * SMALLEST_REACTION:
        _spread(result, some)
        _measure(result, measured)
    return result


def _reaction(module: nn.Module, rows: Tensor) -> float:
    """Return by how much the first output differs from row to row, of its size."""
    with evaluating(module):
        return reaction([outputs_of(module, rows.clone())[0].double().numpy()])


def _spread(module: nn.Module, rows: Tensor) -> None:
    """Let every layer with weights and a bias give each channel mean 0 and deviation 1 on the rows, before a new bias.

    One layer after the other, each on what the layers before it now give. Source: Krähenbühl et al. 2016,
    Data-dependent Initializations of Convolutional Neural Networks.
    """
    generator = torch.Generator().manual_seed(0)

    def rescale(layer: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> Tensor:
        assert isinstance(layer, LAYERS)
        assert layer.bias is not None
        numbers = answer.movedim(-1 if isinstance(layer, nn.Linear) else 1, -1).flatten(0, -2)  # (places, channels)
        deviation, mean = numbers.std(0, correction=0), numbers.mean(0)
        deviation[deviation < SMALLEST * deviation.max()] = 1.0  # a channel that says the same of everything
        layer.weight.div_(deviation.reshape(-1, *[1] * (layer.weight.dim() - 1)))
        layer.bias.sub_(mean).div_(deviation)
        layer.bias.add_(torch.randn(mean.shape, generator=generator), alpha=SPREAD)
        changed: Tensor = layer.forward(given[0])
        return changed

    layers = [part for part in module.modules() if type(part) in LAYERS and part.bias is not None]
    hooks = [layer.register_forward_hook(rescale) for layer in layers]
    with evaluating(module):
        module(rows.clone())
    for hook in hooks:
        hook.remove()


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
