"""Image files that a person gives to predict, decoded to the size and the channels of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.data.paths import absent, refuse_path
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
    image = decode_image(path, channels)
    if image.shape[1:] != (height, width):
        got = f"{image.shape[2]}×{image.shape[1]}"
        raise DataError(f"{path} is {got} pixels, but the model takes {width}×{height}", "crop or resize it first")
    return image


def decode_image(path: str, channels: int, remedy: str = "give a whole PNG or JPEG file") -> Tensor:
    """Return the image of any size as uint8 of (channels, height, width), 1 or 3 channels.

    Args:
        path: of the file.
        channels: 1 or 3.
        remedy: what to do about a file that is no image.

    Raises:
        DataError: the file is absent, or is not an image.
    """
    import torch
    from PIL import Image, UnidentifiedImageError

    if not is_file(path):
        refuse_path(path, "give the path of a PNG or JPEG file")
        raise absent(path, "give the path of a PNG or JPEG file")
    try:
        with Image.open(path) as image:
            pixels = _eight_bit(image, "L" if channels == 1 else "RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path} as an image: {reason(error)}", remedy) from error
    return torch.from_numpy(pixels).reshape(*pixels.shape[:2], -1).permute(2, 0, 1)  # (channels, height, width)


def _eight_bit(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Return the pixels as 0…255; Pillow's own conversion would clip 16 bits instead of scaling them."""
    import numpy as np

    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64) / 257
        levels = np.rint(grey).astype(np.uint8)
        return levels if mode == "L" else np.repeat(levels[..., None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.array(image.convert(mode))


def read_images(paths: Sequence[str], channels: int, height: int, width: int) -> Tensor:
    """Return the images as one batch, uint8 of (N, channels, height, width)."""
    import torch

    if channels not in (1, 3):
        raise DataError(f"image files hold no {channels} channels", "give rows of 1 or 3 channels")
    return torch.stack([read_image(path, channels, height, width) for path in paths])
