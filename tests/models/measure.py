"""Measures what the table says of torchvision's models; `python tests/models/measure.py` writes the table anew."""

from __future__ import annotations

import sys
from bisect import bisect_left
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models
from torchvision.models import get_model, get_model_weights, list_models

from zoo.models.known import builder_options
from zoo.models.table import FILE, Entry, packed

LARGEST_TRIED = 160  # pixels; Inception, the most demanding, trains a single row from 107 on
REFUSALS = (RuntimeError, ValueError, IndexError, AssertionError)
SEGMENTING: frozenset[str] = frozenset(list_models(module=models.segmentation))
NAMES: tuple[str, ...] = tuple(sorted({*list_models(module=models), *SEGMENTING}))


DRAWING = (Tensor.normal_, Tensor.uniform_)


class Undrawn(TorchFunctionMode):
    """Puts fresh parameters on the meta device, and draws none of them, which would take its time there too."""

    # Any: torch's own signature.
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in DRAWING:
            return args[0]
        return func(*args, **((kwargs or {}) | ({"device": "meta"} if func is torch.empty else {})))


def undrawn(name: str, **options: object) -> nn.Module:
    """Return a model as the language builds it, its parameters on the meta device."""
    with Undrawn():
        model: nn.Module = get_model(
            name, weights=None, **builder_options(name, name in SEGMENTING, False, None), **options
        )
    return model


def zeroed(model: nn.Module) -> nn.Module:
    """Return the model with zeros for its parameters, to be run on the CPU."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.zeros(parameter.shape)))
    return model


def accepts(model: nn.Module, rows: int, height: int, width: int, train: bool) -> bool:
    """Return whether torch computes the model for images of this size."""
    try:
        with torch.no_grad():
            model.train(train)(torch.zeros(rows, 3, height, width))
    except REFUSALS:
        return False
    return True


def heads(model: nn.Module, other: nn.Module) -> tuple[str, ...]:
    """Return the modules that differ between two models for different numbers of classes."""
    sizes = {name: parameter.shape for name, parameter in other.named_parameters()}
    found = [name for name, parameter in model.named_parameters() if sizes[name] != parameter.shape]
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in found))


def multiply_adds(model: nn.Module, side: int) -> int:
    """Return how many multiplications with additions one row costs."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.to("meta").eval()(torch.zeros(1, 3, side, side, device="meta"))
    return int(counter.get_total_flops()) // 2


class Making(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch
    """Counts the numbers that torch makes: the floats of every tensor with memory of its own."""

    def __init__(self, *there: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch
        self.numbers = 0
        self._kept = {tensor.untyped_storage()._cdata: tensor for tensor in there}

    # Any: whatever torch's operators take and give.
    def __torch_dispatch__(self, operator: Any, types: Any, inputs: Any = (), options: Any = None) -> Any:
        given = operator(*inputs, **(options or {}))
        for tensor in tree_leaves(given):
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                memory = tensor.untyped_storage()._cdata
                self.numbers += 0 if memory in self._kept else tensor.numel()
                self._kept.setdefault(memory, tensor)
        return given


def made(model: nn.Module, side: int) -> int:
    """Return how many numbers one row makes in training: torch keeps nearly all of them for the gradient."""
    model, rows = model.to("meta").train(), torch.zeros(2, 3, side, side, device="meta")
    making = Making(rows, *model.parameters(), *model.buffers())
    with torch.no_grad(), making:
        model(rows)
    return making.numbers // 2


def parameters(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the sizes of every learned tensor."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def smallest(model: nn.Module, rows: int, train: bool) -> int | None:
    """Return the smallest size that torch accepts."""
    found = 1 + bisect_left(range(1, LARGEST_TRIED + 1), True, key=lambda side: accepts(model, rows, side, side, train))
    return found if found <= LARGEST_TRIED else None


def entry(name: str) -> Entry:
    """Return what is measured of a model."""
    weights = get_model_weights(name)
    default = weights["DEFAULT"]
    model = zeroed(undrawn(name))
    transforms = default.transforms()
    usual = (transforms.resize_size if name in SEGMENTING else transforms.crop_size)[0]
    sides = {}
    if not accepts(model, 1, 256, 256, False):
        sides = {"": 224} | {w.name: w.meta["min_size"][0] for w in weights if w.meta["min_size"][0] != 224}
        assert accepts(model, 1, 224, 224, True)
        usual = 224
    least = max(smallest(model, 1, False) or 224, smallest(model, 2, True) or 224)
    alone = 1 if sides else smallest(model, 1, True)
    one, two = (multiply_adds(undrawn(name, num_classes=classes), usual) for classes in (1, 2))
    first, second = (made(undrawn(name, num_classes=classes), usual) for classes in (1, 2))
    return Entry(
        name=name,
        segments=name in SEGMENTING,
        weights=tuple(weight.name for weight in weights),
        default=default.name,
        heads=heads(model, undrawn(name, num_classes=2)),
        outputs=len(default.meta["categories"]),
        least=least,
        alone=least if alone == least else alone,
        sides=sides,
        cost=(usual, 2 * one - two, two - one),
        made=(2 * first - second, second - first),
        tensors=packed(parameters(model)),
    )


def main() -> None:
    """Write the table."""
    lines = []
    for name in NAMES:
        lines.append(entry(name).line() + "\n")
        print(lines[-1][:160], file=sys.stderr)
    FILE.write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()
