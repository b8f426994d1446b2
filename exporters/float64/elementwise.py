"""Operators that compute each number by itself. Source: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

from functools import reduce

import torch
from onnx import TensorProto
from torch import Tensor
from torch.nn import functional

from exporters.float64.node import Node, Operator

ROUNDED: dict[int, torch.dtype] = {TensorProto.FLOAT16: torch.float16, TensorProto.BFLOAT16: torch.bfloat16}
"""Casts to these lose digits, and so they do here; float32 and float64 are both float64 here."""
EXACT: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float64,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.BOOL: torch.bool,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.UINT8: torch.uint8,
}


def cast(node: Node, x: Tensor) -> Tensor:
    """Return the numbers as another type."""
    return _cast(node, x, node.get("to"))


def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    """Return the numbers as the type of another tensor."""
    return x.to(like.dtype)


def _cast(node: Node, x: Tensor, to: int) -> Tensor:
    if to in ROUNDED:
        return x.to(ROUNDED[to]).double()
    if to not in EXACT:
        raise node.refuse(f"the type {to}")
    return x.to(EXACT[to])


def divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Return a / b; whole numbers are cut towards zero."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Return the remainder, with the sign of b, or of a where fmod is asked for."""
    return torch.fmod(a, b) if node.count("fmod", 0) else torch.remainder(a, b)


def clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Return the numbers held between two bounds."""
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def gelu(node: Node, x: Tensor) -> Tensor:
    """Return x times the normal distribution function of x, or its tanh approximation."""
    return functional.gelu(x, approximate=node.text("approximate", "none"))


def celu(node: Node, x: Tensor) -> Tensor:
    """Return max(0, x) + min(0, alpha (exp(x / alpha) - 1))."""
    alpha = node.number("alpha", 1.0)
    return x.clamp(min=0) + (alpha * torch.expm1(x / alpha)).clamp(max=0)


def elu(node: Node, x: Tensor) -> Tensor:
    """Return x, or alpha (exp(x) - 1) below zero."""
    return torch.where(x < 0, node.number("alpha", 1.0) * torch.expm1(x), x)


def selu(node: Node, x: Tensor) -> Tensor:
    """Return gamma x, or gamma alpha (exp(x) - 1) below zero."""
    alpha, gamma = node.number("alpha", 1.67326319217681884765625), node.number("gamma", 1.05070102214813232421875)
    return gamma * torch.where(x < 0, alpha * torch.expm1(x), x)


def leaky_relu(node: Node, x: Tensor) -> Tensor:
    """Return x, or alpha x below zero."""
    return torch.where(x < 0, node.number("alpha", 0.01) * x, x)


def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    """Return x above alpha, and 0 elsewhere."""
    return torch.where(x > node.number("alpha", 1.0), x, 0.0)


def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    """Return alpha x + beta between 0 and 1."""
    return (node.number("alpha", 0.2) * x + node.number("beta", 0.5)).clamp(0, 1)


def shrink(node: Node, x: Tensor) -> Tensor:
    """Return x moved towards zero by the bias beyond lambd, and 0 within."""
    bias, bound = node.number("bias", 0.0), node.number("lambd", 0.5)
    return torch.where(x < -bound, x + bias, torch.where(x > bound, x - bias, 0.0))


def dropout(node: Node, x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None) -> Tensor:
    """Return the input, as evaluation does."""
    if training is not None and bool(training):
        raise node.refuse("training_mode")
    return x


def is_infinite(node: Node, x: Tensor) -> Tensor:
    """Return where a number is infinite."""
    return x.isinf()


def swish(node: Node, x: Tensor) -> Tensor:
    """Return x sigmoid(alpha x)."""
    return x * torch.sigmoid(node.number("alpha", 1.0) * x)


OPERATORS: dict[str, Operator] = {
    "Cast": cast,
    "CastLike": cast_like,
    "Div": divide,
    "Mod": modulo,
    "Clip": clip,
    "Gelu": gelu,
    "Celu": celu,
    "Elu": elu,
    "Selu": selu,
    "LeakyRelu": leaky_relu,
    "ThresholdedRelu": thresholded_relu,
    "HardSigmoid": hard_sigmoid,
    "Shrink": shrink,
    "IsInf": is_infinite,
    "Swish": swish,
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Pow": lambda node, a, b: torch.pow(a, b).to(a.dtype),
    "PRelu": lambda node, x, slope: torch.where(x < 0, slope * x, x),
    "Equal": lambda node, a, b: a == b,
    "Less": lambda node, a, b: a < b,
    "LessOrEqual": lambda node, a, b: a <= b,
    "Greater": lambda node, a, b: a > b,
    "GreaterOrEqual": lambda node, a, b: a >= b,
    "And": lambda node, a, b: a & b,
    "Or": lambda node, a, b: a | b,
    "Xor": lambda node, a, b: a ^ b,
    "BitwiseAnd": lambda node, a, b: a & b,
    "BitwiseOr": lambda node, a, b: a | b,
    "BitwiseXor": lambda node, a, b: a ^ b,
    "Not": lambda node, x: ~x,
    "Where": lambda node, condition, a, b: torch.where(condition, a, b),
    "Max": lambda node, *xs: reduce(torch.maximum, xs),
    "Min": lambda node, *xs: reduce(torch.minimum, xs),
    "Sum": lambda node, *xs: reduce(torch.add, xs),
    "Mean": lambda node, *xs: reduce(torch.add, xs) / len(xs),
    "Identity": lambda node, x: x,
    "Dropout": dropout,
    "Abs": lambda node, x: x.abs(),
    "Neg": lambda node, x: -x,
    "Sign": lambda node, x: x.sign(),
    "Floor": lambda node, x: x.floor(),
    "Ceil": lambda node, x: x.ceil(),
    "Round": lambda node, x: x.round(),  # half to even, as ONNX says
    "Reciprocal": lambda node, x: 1 / x,
    "Sqrt": lambda node, x: x.sqrt(),
    "Exp": lambda node, x: x.exp(),
    "Log": lambda node, x: x.log(),
    "Erf": lambda node, x: x.erf(),
    "Sin": lambda node, x: x.sin(),
    "Cos": lambda node, x: x.cos(),
    "Tan": lambda node, x: x.tan(),
    "Asin": lambda node, x: x.asin(),
    "Acos": lambda node, x: x.acos(),
    "Atan": lambda node, x: x.atan(),
    "Sinh": lambda node, x: x.sinh(),
    "Cosh": lambda node, x: x.cosh(),
    "Asinh": lambda node, x: x.asinh(),
    "Acosh": lambda node, x: x.acosh(),
    "Atanh": lambda node, x: x.atanh(),
    "Tanh": lambda node, x: x.tanh(),
    "Sigmoid": lambda node, x: x.sigmoid(),
    "Relu": lambda node, x: x.relu(),
    "Softsign": lambda node, x: x / (1 + x.abs()),
    "Softplus": lambda node, x: torch.logaddexp(x, torch.zeros_like(x)),
    "Mish": lambda node, x: x * torch.logaddexp(x, torch.zeros_like(x)).tanh(),
    "HardSwish": lambda node, x: x * (x / 6 + 0.5).clamp(0, 1),
    "IsNaN": lambda node, x: x.isnan(),
}
"""By type."""
