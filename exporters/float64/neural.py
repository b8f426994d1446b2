"""Operators that multiply with weights, pool and normalise. Source: https://onnx.ai/onnx/operators/."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor
from torch.nn import functional

from exporters.float64.node import Node, Operator

CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
MAXIMA = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)


def general_product(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return alpha a b + beta c, a and b transposed where asked for."""
    a = a.T if node.count("transA", 0) else a
    b = b.T if node.count("transB", 0) else b
    product = node.number("alpha", 1.0) * (a @ b)
    return product if c is None else product + node.number("beta", 1.0) * c


def einsum(node: Node, *xs: Tensor) -> Tensor:
    """Return the sum of products that an equation says."""
    result: Tensor = torch.einsum(node.get("equation"), *xs)
    return result


def _sides(node: Node, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the pads before and behind each spatial axis."""
    axes = x.dim() - 2
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
        rows = zip(x.shape[2:], kernel, strides, dilations, strict=True)
        whole = [max(0, (-(-size // stride) - 1) * stride + (k - 1) * d + 1 - size) for size, k, stride, d in rows]
        less, more = [total // 2 for total in whole], [total - total // 2 for total in whole]
        return (less, more) if automatic == "SAME_UPPER" else (more, less)
    pads = node.get("pads", [0] * 2 * axes)
    return pads[:axes], pads[axes:]


def _padded(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    sides = [side for pair in reversed(list(zip(before, after, strict=True))) for side in pair]
    return functional.pad(x, sides, value=value) if any(sides) else x


def convolve(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the convolution of (N, C, …) in groups."""
    axes = x.dim() - 2
    x = _padded(x, *_sides(node, x, weight.shape[2:]))
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    # Any: torch's functions for one, two and three axes are of three types.
    result: Tensor = CONVOLUTIONS[axes - 1](x, weight, bias, strides, 0, dilations, node.count("group", 1))
    return result


def convolve_transposed(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the transposed convolution of (N, C, …) in groups."""
    axes = x.dim() - 2
    if node.get("output_shape") is not None or node.text("auto_pad", "NOTSET") != "NOTSET":
        raise node.refuse("output_shape and auto_pad")
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    more, pads = node.get("output_padding", [0] * axes), node.get("pads", [0] * 2 * axes)
    # The output padding may be larger than torch allows, so the result is made whole, padded, and cut.
    whole: Tensor = TRANSPOSED[axes - 1](x, weight, None, strides, 0, 0, node.count("group", 1), dilations)
    whole = _padded(whole, [0] * axes, more)
    for axis in range(axes):
        whole = whole.narrow(axis + 2, pads[axis], whole.shape[axis + 2] - pads[axis] - pads[axis + axes])
    return whole if bias is None else whole + bias.reshape(-1, *[1] * axes)


def pool_largest(node: Node, x: Tensor) -> Tensor | Sequence[Tensor]:
    """Return the largest number of each window, and where it stands in its tensor where that is used."""
    axes, kernel = x.dim() - 2, node.get("kernel_shape")
    before, after = _sides(node, x, kernel)
    options = (node.get("strides", [1] * axes), 0, node.get("dilations", [1] * axes), bool(node.count("ceil_mode", 0)))
    pool = MAXIMA[axes - 1]
    if node.outputs == 1:
        padded = _padded(x, before, after, float("-inf"))
        # Any: torch's pools are of several types.
        result: Tensor = pool(padded, kernel, *options)
        return _trimmed(node, x, result, before, after)
    places = torch.arange(prod(x.shape), dtype=torch.float64).reshape(x.shape)
    padded, where = _padded(x, before, after, float("-inf")), _padded(places, before, after)
    values, indices = pool(padded, kernel, *options, True)
    values, indices = (_trimmed(node, x, found, before, after) for found in (values, indices))
    return values, where.flatten(2).gather(2, indices.flatten(2)).reshape(values.shape).long()


def _trimmed(node: Node, x: Tensor, pooled: Tensor, before: Sequence[int], after: Sequence[int]) -> Tensor:
    """Return windows that begin within the input or its pad before: torch and ONNX drop a last one that does not."""
    if not node.count("ceil_mode", 0):
        return pooled
    strides = node.get("strides", [1] * len(before))
    for axis, (left, stride) in enumerate(zip(before, strides, strict=True), 2):
        pooled = pooled.narrow(axis, 0, min(pooled.shape[axis], -(-(x.shape[axis] + left) // stride)))
    return pooled


def pool_mean(node: Node, x: Tensor) -> Tensor:
    """Return the mean of each window; pads count only where that is asked for, and what lies behind them never."""
    axes, kernel = x.dim() - 2, node.get("kernel_shape")
    before, after = _sides(node, x, kernel)
    ones = torch.ones_like(x[:1, :1])
    ones = _padded(ones, before, after, 1.0 if node.count("count_include_pad", 0) else 0.0)
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    more = [0] * axes
    padded = _padded(x, before, after)
    if node.count("ceil_mode", 0):
        for axis in range(axes):
            left = padded.shape[axis + 2] - dilations[axis] * (kernel[axis] - 1) - 1
            more[axis] = -left % strides[axis]
    window = torch.ones([x.shape[1], 1, *kernel], dtype=x.dtype)
    pooled = CONVOLUTIONS[axes - 1]
    total: Tensor = pooled(_padded(padded, [0] * axes, more), window, None, strides, 0, dilations, x.shape[1])
    count: Tensor = pooled(_padded(ones, [0] * axes, more), window[:1], None, strides, 0, dilations)
    return _trimmed(node, x, total / count, before, after)


def pool_norm(node: Node, x: Tensor) -> Tensor:
    """Return the p-norm of each window."""
    axes, kernel, p = x.dim() - 2, node.get("kernel_shape"), node.count("p", 2)
    padded = _padded(x.abs() ** p, *_sides(node, x, kernel))
    window = torch.ones([x.shape[1], 1, *kernel], dtype=x.dtype)
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    total: Tensor = CONVOLUTIONS[axes - 1](padded, window, None, strides, 0, dilations, x.shape[1])
    return total ** (1 / p)


def _channels(x: Tensor, vector: Tensor) -> Tensor:
    """Return a vector of channels so that it broadcasts over (N, C, …)."""
    return vector.reshape(-1, *[1] * (x.dim() - 2))


def normalize_batch(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return the input normalised by kept statistics."""
    if node.count("training_mode", 0):
        raise node.refuse("training_mode")
    deviation = (variance + node.number("epsilon", 1e-5)).sqrt()
    return (x - _channels(x, mean)) / _channels(x, deviation) * _channels(x, scale) + _channels(x, bias)


def _normalized(x: Tensor, axes: Sequence[int], epsilon: float) -> Tensor:
    centred = x - x.mean(tuple(axes), keepdim=True)
    return centred / (centred.square().mean(tuple(axes), keepdim=True) + epsilon).sqrt()


def normalize_instance(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Return each channel of each row normalised by its own statistics."""
    normal = _normalized(x, range(2, x.dim()), node.number("epsilon", 1e-5))
    return normal * _channels(x, scale) + _channels(x, bias)


def normalize_group(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Return groups of channels normalised by their own statistics; scales are by group up to opset 20."""
    groups = node.get("num_groups")
    parts = x.reshape(x.shape[0], groups, -1)
    normal = _normalized(parts, (2,), node.number("epsilon", 1e-5))
    if len(scale) == groups != x.shape[1]:
        return (normal * scale[:, None] + bias[:, None]).reshape(x.shape)
    return normal.reshape(x.shape) * _channels(x, scale) + _channels(x, bias)


def normalize_layer(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Sequence[Tensor]:
    """Return the last axes normalised by their own statistics, the mean, and one over the deviation."""
    axes = tuple(range(node.count("axis", -1) % x.dim(), x.dim()))
    mean = x.mean(axes, keepdim=True)
    inverse = 1 / ((x - mean).square().mean(axes, keepdim=True) + node.number("epsilon", 1e-5)).sqrt()
    normal = (x - mean) * inverse * scale
    return normal if bias is None else normal + bias, mean, inverse


def normalize_rms(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """Return the last axes divided by the root of their mean square."""
    axes = tuple(range(node.count("axis", -1) % x.dim(), x.dim()))
    return x / (x.square().mean(axes, keepdim=True) + node.number("epsilon", 1e-5)).sqrt() * scale


def normalize_response(node: Node, x: Tensor) -> Tensor:
    """Return each number divided by a power of the squares of its neighbouring channels."""
    size, alpha = node.get("size"), node.number("alpha", 1e-4)
    squares = functional.pad(x.square().transpose(1, -1), ((size - 1) // 2, size // 2))
    total = squares.unfold(-1, size, 1).sum(-1).transpose(1, -1)
    result: Tensor = x / (node.number("bias", 1.0) + alpha / size * total) ** node.number("beta", 0.75)
    return result


def attend(node: Node, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *past: Tensor) -> Tensor:
    """Return softmax(q kᵀ · scale + mask) v, for heads on an axis or side by side."""
    if past or node.number("softcap", 0.0) or node.outputs > 1:
        raise node.refuse("past keys, softcap and further outputs")
    packed = q.dim() == 3
    if packed:
        heads = node.get("q_num_heads"), node.get("kv_num_heads"), node.get("kv_num_heads")
        q, k, v = (
            x.reshape(*x.shape[:2], count, -1).transpose(1, 2) for x, count in zip((q, k, v), heads, strict=True)
        )
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * node.number("scale", 1 / sqrt(q.shape[-1]))
    if node.count("is_causal", 0):
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    found = scores.softmax(-1) @ v
    return found.transpose(1, 2).flatten(2) if packed else found


def sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """Return the input read at the places of a grid."""
    named = {"linear": "bilinear", "cubic": "bicubic"}
    mode = node.text("mode", "linear")
    where, aligned = node.text("padding_mode", "zeros"), bool(node.count("align_corners", 0))
    return functional.grid_sample(x, grid, named.get(mode, mode), where, aligned)


OPERATORS: dict[str, Operator] = {
    "MatMul": lambda node, a, b: a @ b,
    "Gemm": general_product,
    "Einsum": einsum,
    "Conv": convolve,
    "ConvTranspose": convolve_transposed,
    "MaxPool": pool_largest,
    "AveragePool": pool_mean,
    "LpPool": pool_norm,
    "GlobalAveragePool": lambda node, x: x.mean(tuple(range(2, x.dim())), keepdim=True),
    "GlobalMaxPool": lambda node, x: x.amax(tuple(range(2, x.dim())), keepdim=True),
    "BatchNormalization": normalize_batch,
    "InstanceNormalization": normalize_instance,
    "GroupNormalization": normalize_group,
    "LayerNormalization": normalize_layer,
    "RMSNormalization": normalize_rms,
    "LRN": normalize_response,
    "Attention": attend,
    "GridSample": sample,
}
"""By type."""
