"""Image files that a person gives to predict."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.data.images import read_image, read_images
from zoo.errors import DataError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, so that messages hold bare names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def grey_pixels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def save_grey(name: str, add: int = 0) -> str:
    Image.fromarray(grey_pixels() + np.uint8(add)).save(name)
    return name


def save_colour(name: str) -> str:
    image = Image.new("RGB", (3, 2), RED)
    image.putpixel((1, 0), GREEN)
    image.putpixel((0, 1), BLUE)
    image.save(name)
    return name


def test_a_grey_image_is_its_pixels(folder: Path) -> None:
    assert torch.equal(read_image(save_grey("a.png"), 1, 2, 3), torch.from_numpy(grey_pixels()).unsqueeze(0))


def test_an_image_is_uint8(folder: Path) -> None:
    assert read_image(save_grey("a.png"), 1, 2, 3).dtype == torch.uint8


def test_a_colour_image_has_its_channels_first(folder: Path) -> None:
    assert read_image(save_colour("a.png"), 3, 2, 3).tolist() == [
        [[255, 0, 255], [0, 255, 255]],
        [[0, 255, 0], [0, 0, 0]],
        [[0, 0, 0], [255, 0, 0]],
    ]


def test_colours_become_the_grey_of_their_brightness_where_the_data_is_grey(folder: Path) -> None:
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B
    assert read_image(save_colour("a.png"), 1, 2, 3).tolist() == [[[76, 150, 76], [29, 76, 76]]]


def test_grey_becomes_three_equal_channels_where_the_data_has_colours(folder: Path) -> None:
    assert torch.equal(read_image(save_grey("a.png"), 3, 2, 3), torch.from_numpy(grey_pixels()).expand(3, 2, 3))


def test_a_grey_image_of_16_bits_keeps_its_brightness(folder: Path) -> None:
    Image.fromarray(grey_pixels().astype(np.uint16) * 257).save("a.png")
    assert torch.equal(read_image("a.png", 1, 2, 3), torch.from_numpy(grey_pixels()).unsqueeze(0))


def test_a_jpeg_is_read(folder: Path) -> None:
    Image.new("L", (3, 2), 128).save("a.jpg")
    assert read_image("a.jpg", 1, 2, 3).tolist() == [[[128] * 3] * 2]


def test_images_stand_in_the_order_they_were_given(folder: Path) -> None:
    batch = read_images([save_grey("b.png", 1), save_grey("a.png")], 1, 2, 3)
    assert batch[:, 0, 0, 0].tolist() == [1, 0]


def test_the_batch_has_a_row_for_each_image(folder: Path) -> None:
    assert tuple(read_images([save_grey("a.png")] * 2, 1, 2, 3).shape) == (2, 1, 2, 3)


@pytest.mark.parametrize(("height", "width", "wanted"), [(3, 2, "2×3"), (28, 28, "28×28"), (2, 2, "2×2")])
def test_an_image_of_another_size_is_refused(folder: Path, height: int, width: int, wanted: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_image(save_grey("a.png"), 1, height, width)
    assert (refusal.value.message, refusal.value.remedy) == (
        f"a.png is 3×2 pixels, but the model takes {wanted}",
        "crop or resize it first",
    )


@pytest.mark.parametrize("name", ["absent.png", "", "a\0b", "x" * 300])
def test_an_absent_image_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_image(name, 1, 2, 3)
    assert (refusal.value.message, refusal.value.remedy) == (
        f"no such file: {name}",
        "give the path of a PNG or JPEG file",
    )


def test_a_folder_is_no_image(folder: Path) -> None:
    with pytest.raises(DataError, match=r"\. is a folder"):
        read_image(".", 1, 2, 3)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused(folder: Path, content: bytes) -> None:
    Path("a.png").write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_image("a.png", 1, 2, 3)
    assert (refusal.value.message, refusal.value.remedy) == (
        "cannot read a.png as an image: cannot identify image file 'a.png'",
        "give a whole PNG or JPEG file",
    )


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_half_an_image_is_refused(folder: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(noise).save(name)
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"cannot read {name} as an image: ") as refusal:
        read_image(name, 1, 28, 28)
    assert refusal.value.remedy == "give a whole PNG or JPEG file"


def test_one_faulty_image_is_named_among_others(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no such file: absent\.png"):
        read_images([save_grey("a.png"), "absent.png"], 1, 2, 3)
