"""Thumbnails: a row that a model was given, as a person saw it before the transforms, in a data address."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from zoo.report.evaluation import PNG
from zoo.shapes import Shape
from zoo.transforms import Transform

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 96  # pixels of the longer side
COLOURS = 256  # of a photograph; a third of the bytes that all colours take


def is_picture(shape: Shape) -> bool:
    """Return whether a batch of this shape holds images of grey or of three colours."""
    return shape.rank == 4 and shape.dims[1] in (1, 3)


def thumbnail(image: Tensor, pipeline: Sequence[Transform]) -> str:
    """Return an image as a PNG in a data address; a small one is enlarged as squares.

    Args:
        image: (channels, height, width), as the model was given it.
        pipeline: the transforms it met.
    """
    from PIL import Image

    levels = restored(image, pipeline).permute(1, 2, 0).numpy()  # (height, width, channels)
    drawn = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    larger = LARGEST // max(drawn.size)
    if larger > 1:
        drawn = drawn.resize((drawn.width * larger, drawn.height * larger), Image.Resampling.NEAREST)
    drawn.thumbnail((LARGEST, LARGEST))
    if drawn.mode == "RGB":
        drawn = drawn.quantize(COLOURS)
    written = BytesIO()
    drawn.save(written, "PNG")
    return PNG + base64.b64encode(written.getvalue()).decode("ascii")


def restored(image: Tensor, pipeline: Sequence[Transform]) -> Tensor:
    """Return an image with the levels of its file, uint8: Normalize and ToDtype are undone.

    Numbers that never were levels are stretched between black and white.
    """
    import torch

    from zoo.transforms.conversion import Normalize, ToDtype

    if image.dtype == torch.uint8:
        return image
    levels = image.double()
    for transform in reversed(pipeline):
        if isinstance(transform, Normalize):
            mean, std = (torch.tensor(option, dtype=torch.float64) for option in (transform.mean, transform.std))
            levels = levels * std.reshape(-1, 1, 1) + mean.reshape(-1, 1, 1)
        elif isinstance(transform, ToDtype):
            levels = levels * 255 if transform.scale else levels
            break
    else:
        low, high = float(levels.min()), float(levels.max())
        levels = (levels - low) * (255 / (high - low) if high > low else 0.0)
    return levels.round().clamp(0, 255).to(torch.uint8)
