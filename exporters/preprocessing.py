"""Preprocessing: what a source does to its rows before the model, as torch modules that every exporter can trace.

Their numbers are tensors of the state dict: they are compared bit for bit, and module.double() computes in float64. All
transforms that only move pixels are one module, whose places come from what torchvision does to a picture of places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.shapes import Shape
from zoo.transforms import Transform

if TYPE_CHECKING:
    from zoo.data.cells import Plan


class Uncompilable(Exception):
    """A transform whose numbers another runtime would not give exactly; the message says why."""


class Scaled(nn.Module):
    """Floats of whole numbers, times a factor."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return x · factor."""
        return x.to(self.factor.dtype) * self.factor


class Normalized(nn.Module):
    """Numbers less a mean, over a deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Return (x - mean) / deviation."""
        return (x - self.mean) / self.deviation


class Moved(nn.Module):
    """Pixels taken from other places."""

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the rows and columns at those places; (N, channels, height, width)."""
        return x.index_select(2, self.rows).index_select(3, self.columns)


class Margin(nn.Module):
    """Pixels from outside the image replaced by a fill."""

    inside: Tensor
    fill: Tensor

    def __init__(self, inside: Tensor, fill: Tensor) -> None:
        super().__init__()
        self.register_buffer("inside", inside)  # (height, width)
        self.register_buffer("fill", fill)  # (channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return x inside, and the fill elsewhere."""
        return torch.where(self.inside, x, self.fill)


class Tripled(nn.Module):
    """Three equal channels of one."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with 3 channels."""
        return torch.cat((x, x, x), 1)


class Columns(nn.Module):
    """Features of the cells of a table: a number is itself, a word 1 in the place of its number."""

    column: Tensor
    word: Tensor
    worded: Tensor

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        known = [plan.categories.get(column) for column in plan.columns]
        places = [(number, word) for number, words in enumerate(known) for word in range(len(words or "1"))]
        self.register_buffer("column", torch.tensor([number for number, _ in places]))
        self.register_buffer("word", torch.tensor([float(word) for _, word in places], dtype=torch.float64))
        self.register_buffer("worded", torch.tensor([known[number] is not None for number, _ in places]))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features; (N, columns) becomes (N, features)."""
        cells = x.index_select(1, self.column)
        return torch.where(self.worded, (cells == self.word).to(cells.dtype), cells)


class Rounded(nn.Module):
    """Numbers of float64 as the model takes them."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype = torch.float32

    # Any: as torch has it, whose double() this follows.
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Rounded:
        self.dtype = fn(torch.zeros((), dtype=self.dtype)).dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Return x in the model's precision."""
        return x.to(self.dtype)


def table(plan: Plan, statistics: tuple[Tensor, Tensor] | None) -> nn.Sequential:
    """Return what makes features of cells (N, columns) of float64.

    Args:
        plan: the columns and their words.
        statistics: mean and deviation of each feature in float64, where they are standardised.
    """
    steps: list[nn.Module] = [Columns(plan)] if plan.categories else []
    if statistics is not None:
        steps.append(Normalized(*statistics))
    return nn.Sequential(*steps, Rounded())


def compiled(transform: Transform, shape: Shape) -> list[nn.Module]:
    """Return the modules that do what a transform does to batches of a shape.

    Raises:
        Uncompilable: no module does exactly that in every runtime.
    """
    if any(isinstance(side, str) for side in shape.dims[1:]):
        raise Uncompilable("images of any size come in, and a graph takes one")
    return _COMPILERS[type(transform).__name__](transform, shape)


def _scaled(transform: Transform, shape: Shape) -> list[nn.Module]:
    if shape.dtype == "float32":
        return []
    one = torch.ones(shape.concrete(1), dtype=getattr(torch, shape.dtype))
    return [Scaled(transform.build()(one).flatten()[0].clone())]


def _normalized(transform: Transform, shape: Shape) -> list[nn.Module]:
    given = transform.arguments()
    mean, deviation = (torch.tensor(given[name], dtype=torch.float32).view(-1, 1, 1) for name in ("mean", "std"))
    return [Normalized(mean, deviation)]


def _colored(transform: Transform, shape: Shape) -> list[nn.Module]:
    before, after = shape.dims[1], transform.output_shape(shape).dims[1]
    if type(transform).__name__ == "Grayscale" and before == 3:  # 3 of the 2^24 colours differ from whole numbers
        raise Uncompilable("the weighed sum of colours is rounded by each runtime in its own way")
    return [Tripled()] if before != after else []


def _resized(transform: Transform, shape: Shape) -> list[nn.Module]:
    given = transform.arguments()
    if transform.output_shape(shape) == shape:
        return []
    if not given["interpolation"].value.startswith("nearest"):
        smoothed = " and antialias" if given["antialias"] else ""
        raise Uncompilable(
            f"{given['interpolation'].value} interpolation{smoothed} is rounded by each runtime in its own way"
        )
    return _moved(transform, shape)


def _moved(transform: Transform, shape: Shape) -> list[nn.Module]:
    """Return what moves pixels as the transform does, read from what it makes of pictures of places."""
    step = transform.build()
    channels, height, width = shape.row
    down = torch.arange(height, dtype=torch.float32).view(1, 1, -1, 1).expand(1, channels, height, width)
    across = torch.arange(width, dtype=torch.float32).expand(1, channels, height, width)
    rows, columns, later = (step(picture.contiguous())[0] for picture in (down, across, down + 1))
    inside = (rows != later).all(0)  # a fill is the same in all pictures
    found = (torch.where(inside, rows, 0.0).amax((0, 2)), torch.where(inside, columns, 0.0).amax((0, 1)))
    moved = Moved(*(places.long() for places in found))
    return [moved] if inside.all() else [moved, Margin(inside, _fill(rows, inside, shape))]


def _fill(picture: Tensor, inside: Tensor, shape: Shape) -> Tensor:
    """Return what stands outside, of each channel; (channels, 1, 1)."""
    fill: Tensor = picture[:, ~inside][:, 0].view(-1, 1, 1).to(getattr(torch, shape.dtype))
    return fill


_COMPILERS: dict[str, Callable[[Transform, Shape], list[nn.Module]]] = {
    "CenterCrop": _moved,
    "Grayscale": _colored,
    "Normalize": _normalized,
    "Pad": _moved,
    "RGB": _colored,
    "Resize": _resized,
    "ToDtype": _scaled,
}
"""By the transform's type; every transform that is the same for all splits has its line."""
