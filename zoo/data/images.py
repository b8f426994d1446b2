"""Image files that a person gives to predict, decoded to the size and the channels of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.errors import DataError, reason
from zoo.files import is_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor


def read_image(path: str, channels: int, height: int, width: int) -> Tensor:
    """Return the image as uint8 of (channels, height, width); colours become grey where the data is grey.

    Raises:
        DataError: the file is absent, is not an image, or has another size.
    """
    import torch
    from PIL import Image, UnidentifiedImageError

    if not is_file(path):
        raise DataError(f"no such image file: {path}", "give the path of a PNG or JPEG file")
    try:
        with Image.open(path) as image:
            pixels = _eight_bit(image, "L" if channels == 1 else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path} as an image: {reason(error)}", "give a whole PNG or JPEG file") from error
    if pixels.shape[:2] != (height, width):
        got = f"{pixels.shape[1]}×{pixels.shape[0]}"
        raise DataError(f"{path} is {got} pixels, but the model takes {width}×{height}", "crop or resize it first")
    return torch.from_numpy(pixels).reshape(height, width, -1).permute(2, 0, 1)


def _eight_bit(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Return the pixels as 0…255; Pillow's own conversion would clip 16 bits instead of scaling them."""
    import numpy as np

    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64) / 257
        levels = np.rint(grey).astype(np.uint8)
        return levels if mode == "L" else np.repeat(levels[..., None], 3, axis=2)
    return np.array(image.convert(mode))


def read_images(paths: Sequence[str], channels: int, height: int, width: int) -> Tensor:
    """Return the images as one batch, uint8 of (N, channels, height, width)."""
    import torch

    return torch.stack([read_image(path, channels, height, width) for path in paths])
