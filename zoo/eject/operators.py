"""Operators: what a model does, operator by operator, on torch's meta device, where nothing is computed.

Two models that call the same operators with the same arguments, in the same order, on tensors of the same names, draw
the same weights from the same seed and give the same outputs. Millions of weights are so compared without drawing them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zoo.shapes import Shape

Call = tuple[object, ...]
"""An operator with its arguments; a tensor is the number of the operator's result that it is."""


OUTSIDE = "a tensor from outside"


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """A context that writes down each operator."""

    def __init__(self, named: Mapping[Tensor, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.calls: list[Call] = []
        self._known: dict[int, object] = {id(tensor): name for tensor, name in named.items()}
        self._kept: list[object] = []  # so that no id is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return that torch's compiler needs no word that this is not to be compiled: its import takes a second."""
        return False

    # Any: whatever torch's operators take and give.
    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operator and write it down."""
        given = dict(kwargs or {})
        result = func(*args, **given)
        self._kept.append((args, given, result))
        if func is torch.ops.aten.detach.default:  # the same tensor, which a copy of a module makes
            self._known[id(result)] = self._known.get(id(args[0]), OUTSIDE)
            return result
        self.calls.append((str(func), *map(self._said, tree_leaves((args, given)))))
        for place, tensor in enumerate(tree_leaves(result)):
            self._known.setdefault(id(tensor), (len(self.calls), place))
        return result

    def _said(self, value: object) -> object:
        if not isinstance(value, Tensor):
            return repr(value)
        return self._known.get(id(value), OUTSIDE), tuple(value.shape), value.dtype


def operators(build: Callable[[], nn.Module], taken: Shape) -> tuple[nn.Module, list[Call]]:
    """Return what a function builds, on the meta device, and the operators of building it and of its evaluation.

    Raises:
        NotImplementedError: an operator does not run there.
        RuntimeError: an operator looks at numbers, which are not there.
    """
    with torch.device("meta"), _Recorder({}) as built:
        model = build().eval()
    inputs = torch.empty(taken.concrete(2, taken.longest or 3), dtype=getattr(torch, taken.dtype), device="meta")
    named = {tensor: name for name, tensor in tensors_of(model)}
    with torch.no_grad(), _Recorder(named | {inputs: "the input"}) as evaluated:
        model(inputs)
    return model, [*built.calls, *evaluated.calls]


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors of a model with their names, the fixed ones that no state dict holds included."""
    yield from model.named_parameters()
    yield from model.named_buffers()
