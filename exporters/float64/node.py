"""Node: one operator of a graph as the functions that compute it see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from torch import Tensor

from zoo.errors import ProofFailed

MOST_PARTS = 64  # of a fraction
SILENT = {
    *("alpha", "beta", "cubic_coeff_a", "dilations", "extrapolation_value", "group"),
    *("hidden_size", "kernel_shape", "momentum", "nearest_mode", "ratio", "seed", "stash_type"),
}
"""Attributes that say nothing in another mode of their operator, nothing of the answer, or what the tensors say too."""


@dataclass(frozen=True)
class Node:
    """An operator with its attributes."""

    operator: str
    """Its type, such as "Conv"."""
    name: str
    opset: int
    outputs: int
    """How many of its outputs are used, counted to the last one."""
    # Any: numbers, texts, lists of them, tensors and graphs.
    attributes: Mapping[str, Any]
    seen: set[str] = field(default_factory=set)
    """The attributes that were asked for: one that nobody asks for is not computed."""

    # Any: as the attribute.
    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute; the default where it is not written."""
        self.seen.add(name)
        return self.attributes.get(name, default)

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a float: the number that its float32 stands for."""
        return meant(float(self.get(name, default)))

    def count(self, name: str, default: int) -> int:
        """Return an attribute that is a whole number."""
        return int(self.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a text."""
        return str(self.get(name, default.encode()).decode())

    @property
    def ignored(self) -> list[str]:
        """Return the attributes that nobody asked for, though they say something else than when they are left out."""
        known = onnx.defs.get_schema(self.operator, self.opset, "").attributes
        return [name for name in sorted(self.attributes.keys() - self.seen - SILENT) if not self._usual(name, known)]

    def _usual(self, name: str, known: Mapping[str, onnx.defs.OpSchema.Attribute]) -> bool:
        if name not in known or not known[name].default_value.name:
            return False
        usual: object = onnx.helper.get_attribute_value(known[name].default_value)
        return bool(usual == self.attributes[name])

    def refuse(self, what: str) -> ProofFailed:
        """Return the error that this replay does not know what the node asks for."""
        message = f"ONNX: {self.operator} {self.name}: the float64 replay does not know {what}"
        return ProofFailed(message, "nothing was published; please report the spec")


Operator = Callable[..., Tensor | Sequence[Tensor]]
"""operator(node, *inputs) -> its output, or all of them; an input that is left out is None."""


def meant(single: float) -> float:
    """Return the short decimal or the small fraction that a float32 is the rounding of; itself where there is none.

    An attribute holds float32 alone. Torch has the epsilon 0.001 and the slope 1/6 in double precision, and in a deep
    model the difference of 5e-8 grows beyond what the graph may be off.
    """
    for near in (float(f"{single:.6g}"), float(Fraction(single).limit_denominator(MOST_PARTS))):
        if np.float32(near) == np.float32(single):
            return near
    return single


def whole(tensor: Tensor | None) -> list[int] | None:
    """Return the whole numbers of an input; None where it is left out."""
    return None if tensor is None else [int(number) for number in tensor.flatten().tolist()]


def axes_of(node: Node, given: Tensor | None) -> list[int] | None:
    """Return the axes of a node: an attribute up to opset 12 or 17, an input since."""
    return whole(given) if given is not None else node.get("axes")
