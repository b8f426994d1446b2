"""MNIST and FashionMNIST: reading IDX files, and every way in which they can be faulty."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision import datasets

from zoo.data import DATA
from zoo.data.data import Split
from zoo.data.mnist import EMNIST, KMNIST, MNIST, FashionMNIST, IdxImages
from zoo.errors import DataError
from zoo.shapes import Shape
from zoo.transforms.conversion import ToDtype

IMAGES, LABELS = 2051, 2049  # magic numbers of the two files
TRAINING_LABELS = [3, 0, 9]
TEST_LABELS = [7, 1]
AGAIN = "remove the file and fetch it again (data.download: true)"
TRAINING_IMAGES_FILE, TRAINING_LABELS_FILE = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES_FILE, TEST_LABELS_FILE = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
SOURCES: list[type[IdxImages]] = [MNIST, FashionMNIST]
SPLITS: tuple[Split, ...] = ("train", "test")

Damage = Callable[[Path], object]


def idx(magic: int, sizes: tuple[int, ...], numbers: bytes) -> bytes:
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + numbers


def pixels(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, 28, 28), generator=generator, dtype=torch.uint8)


def write_split(folder: Path, prefix: str, labels: list[int], seed: int) -> None:
    rows = len(labels)
    images = idx(IMAGES, (rows, 28, 28), pixels(rows, seed).numpy().tobytes())
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(images)
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(LABELS, (rows,), bytes(labels)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with five rows of both data sets under data/; so messages hold short paths."""
    monkeypatch.chdir(tmp_path)
    for name in ("MNIST", "FashionMNIST"):
        folder = Path("data") / name / "raw"
        folder.mkdir(parents=True)
        write_split(folder, "train", TRAINING_LABELS, seed=1)
        write_split(folder, "t10k", TEST_LABELS, seed=2)
    return tmp_path


def declared(source: type[IdxImages] = MNIST, **options: object) -> IdxImages:
    return source.model_validate_json(json.dumps({"type": source.__name__, **options}))


def refused(source: IdxImages, split: Split = "train") -> tuple[str, str]:
    with pytest.raises(DataError) as refusal:
        source.load(split)
    return refusal.value.message, refusal.value.remedy


@pytest.mark.parametrize("source", SOURCES)
def test_the_example_is_a_grey_image_of_28_by_28_pixels(source: type[IdxImages]) -> None:
    assert declared(source).example().input == Shape("N", 1, 28, 28, dtype="uint8")


@pytest.mark.parametrize("source", SOURCES)
def test_the_targets_are_class_numbers(source: type[IdxImages]) -> None:
    assert declared(source).example().target == Shape("N", dtype="int64")


@pytest.mark.parametrize("source", SOURCES)
def test_the_sizes_name_ten_classes(source: type[IdxImages]) -> None:
    assert declared(source).example().sizes == {"classes": 10}


@pytest.mark.parametrize("source", SOURCES)
def test_the_class_names_are_torchvisions(source: type[IdxImages]) -> None:
    assert list(declared(source).class_names()) == getattr(datasets, source.__name__).classes


@pytest.mark.parametrize("source", SOURCES)
def test_the_data_set_is_torchvisions(source: type[IdxImages]) -> None:
    assert declared(source).dataset() is getattr(datasets, source.__name__)


@pytest.mark.parametrize("source", SOURCES)
def test_the_folder_is_where_torchvision_reads(source: type[IdxImages], here: Path) -> None:
    theirs = getattr(datasets, source.__name__)("data").raw_folder
    assert declared(source).folder == Path(theirs)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("split", "labels", "seed"), [("train", TRAINING_LABELS, 1), ("test", TEST_LABELS, 2)])
def test_the_images_are_those_of_the_file(
    source: type[IdxImages], split: Split, labels: list[int], seed: int, here: Path
) -> None:
    assert torch.equal(declared(source).load(split).inputs, pixels(len(labels), seed).unsqueeze(1))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("split", "labels"), [("train", TRAINING_LABELS), ("test", TEST_LABELS)])
def test_the_labels_are_those_of_the_file(source: type[IdxImages], split: Split, labels: list[int], here: Path) -> None:
    assert declared(source).load(split).targets.tolist() == labels


@pytest.mark.parametrize("split", SPLITS)
def test_the_inputs_are_what_the_example_says(split: Split, here: Path) -> None:
    inputs = declared().load(split).inputs
    assert (tuple(inputs.shape[1:]), inputs.dtype) == ((1, 28, 28), torch.uint8)


def test_the_labels_are_int64(here: Path) -> None:
    assert declared().load("train").targets.dtype == torch.int64


def test_another_root_is_read(here: Path) -> None:
    Path("data").rename("elsewhere")
    assert len(declared(root="elsewhere").load("train")) == 3


def test_nothing_is_downloaded_when_the_files_are_there(here: Path) -> None:
    before = sorted(here.rglob("*"))
    declared(download=True).load("train")
    assert sorted(here.rglob("*")) == before


def test_a_download_that_fails_leaves_no_folders(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **options: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", unreachable)
    before = sorted(here.rglob("*"))
    with pytest.raises(DataError, match="cannot download MNIST to mistyped/place"):
        declared(root="mistyped/place", download=True).load("train")
    assert sorted(here.rglob("*")) == before


def test_the_pipeline_is_the_transforms_of_the_spec() -> None:
    written = {"type": "ToDtype", "dtype": "float32"}
    assert declared(transforms=[written]).pipeline() == (ToDtype(type="ToDtype", dtype="float32"),)


def test_without_transforms_the_pipeline_is_empty() -> None:
    assert declared().pipeline() == ()


def test_an_image_file_is_read_as_a_row(here: Path) -> None:
    Image.fromarray(pixels(1, 3)[0].numpy()).save("digit.png")
    assert torch.equal(declared().read(["digit.png"]).rows, pixels(1, 3).unsqueeze(1))


def test_a_row_that_is_read_is_named_by_its_path(here: Path) -> None:
    Image.new("L", (28, 28)).save("digit.png")
    assert declared().read(["digit.png"]).names == ("digit.png",)


def test_an_image_file_of_another_size_is_refused(here: Path) -> None:
    Image.new("L", (32, 28)).save("digit.png")
    with pytest.raises(DataError, match=r"digit\.png is 32×28 pixels, but the model takes 28×28"):
        declared().read(["digit.png"])


@pytest.mark.parametrize("source", SOURCES)
def test_an_absent_folder_is_refused(source: type[IdxImages], here: Path) -> None:
    name = source.__name__
    assert refused(declared(source, root="nowhere")) == (
        f"data.root 'nowhere': nowhere/{name}/raw has no {TRAINING_IMAGES_FILE}, {TRAINING_LABELS_FILE}, "
        f"{TEST_IMAGES_FILE}, {TEST_LABELS_FILE}",
        f"set data.root to the folder that holds {name}/raw, or data.download to true; relative paths begin in {here}",
    )


@pytest.mark.parametrize(
    ("split", "file"),
    [
        ("train", TRAINING_IMAGES_FILE),
        ("train", TRAINING_LABELS_FILE),
        ("test", TEST_IMAGES_FILE),
        ("test", TEST_LABELS_FILE),
    ],
)
def test_an_absent_file_is_refused_by_its_name(split: Split, file: str, here: Path) -> None:
    Path("data/MNIST/raw", file).unlink()
    assert refused(declared(), split) == (
        f"data.root 'data': data/MNIST/raw has no {file}",
        f"set data.root to the folder that holds MNIST/raw, or data.download to true; relative paths begin in {here}",
    )


@pytest.mark.parametrize("file", [TEST_IMAGES_FILE, TEST_LABELS_FILE])
def test_an_absent_file_of_the_other_split_is_refused_too(file: str, here: Path) -> None:
    # A download that was interrupted leaves this; torchvision refuses it with a bare RuntimeError.
    Path("data/MNIST/raw", file).unlink()
    assert file in refused(declared(), "train")[0]


def test_files_beside_the_idx_files_do_not_take_their_place(here: Path) -> None:
    # torchvision prefers the files that its releases before 0.10 wrote, unread by any check of ours.
    processed = Path("data/MNIST/processed")
    processed.mkdir()
    for name in ("training.pt", "test.pt"):
        torch.save((torch.zeros(1, 28, 28), torch.zeros(1)), processed / name)
    assert declared().load("train").targets.tolist() == TRAINING_LABELS


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def lengthen(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut_in_the_header(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:7])


def exchange_magic(file: Path) -> None:
    content = file.read_bytes()
    magic = LABELS if "images" in file.name else IMAGES
    file.write_bytes(struct.pack(">I", magic) + content[4:])


def write_little_endian(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[3::-1] + content[4:])


def declare_floats(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"\0\0\x0d" + content[3:])


def compress(file: Path) -> None:
    file.write_bytes(b"\x1f\x8b\x08\x00" + file.read_bytes())


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        (TRAINING_IMAGES_FILE, truncate, "is incomplete: 2,367 bytes, but its header says 2,368"),
        (TRAINING_IMAGES_FILE, lengthen, "is incomplete: 2,369 bytes, but its header says 2,368"),
        (TRAINING_IMAGES_FILE, empty, "is not an IDX file of images"),
        (TRAINING_IMAGES_FILE, cut_in_the_header, "is not an IDX file of images"),
        (TRAINING_IMAGES_FILE, declare_floats, "is not an IDX file of images"),
        (TRAINING_IMAGES_FILE, exchange_magic, "is not an IDX file of images"),
        (TRAINING_IMAGES_FILE, write_little_endian, "is not an IDX file of images"),
        (TRAINING_IMAGES_FILE, compress, "is not an IDX file of images"),
        (TRAINING_LABELS_FILE, truncate, "is incomplete: 10 bytes, but its header says 11"),
        (TRAINING_LABELS_FILE, lengthen, "is incomplete: 12 bytes, but its header says 11"),
        (TRAINING_LABELS_FILE, empty, "is not an IDX file of labels"),
        (TRAINING_LABELS_FILE, cut_in_the_header, "is not an IDX file of labels"),
        (TRAINING_LABELS_FILE, declare_floats, "is not an IDX file of labels"),
        (TRAINING_LABELS_FILE, exchange_magic, "is not an IDX file of labels"),
    ],
)
def test_a_damaged_file_is_refused(file: str, damage: Damage, message: str, here: Path) -> None:
    damage(Path("data/MNIST/raw", file))
    assert refused(declared()) == (f"data/MNIST/raw/{file} {message}", AGAIN)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (TRAINING_IMAGES_FILE, idx(IMAGES, (0, 28, 28), b""), f"data/MNIST/raw/{TRAINING_IMAGES_FILE} holds no rows"),
        (TRAINING_LABELS_FILE, idx(LABELS, (0,), b""), f"data/MNIST/raw/{TRAINING_LABELS_FILE} holds no rows"),
        (
            TRAINING_LABELS_FILE,
            idx(LABELS, (2,), b"\1\2"),
            "data/MNIST/raw has 3 images but 2 labels for train",
        ),
        (
            TRAINING_LABELS_FILE,
            idx(LABELS, (3,), b"\0\x0a\1"),
            f"data/MNIST/raw/{TRAINING_LABELS_FILE} has the label 10, but there are 10 classes",
        ),
        (
            TRAINING_IMAGES_FILE,
            idx(IMAGES, (3, 14, 56), bytes(2352)),
            f"data/MNIST/raw/{TRAINING_IMAGES_FILE} holds images of (14, 56), not 28×28 pixels",
        ),
        (
            TRAINING_IMAGES_FILE,
            idx(IMAGES, (3, 0, 0), b""),
            f"data/MNIST/raw/{TRAINING_IMAGES_FILE} holds images of (0, 0), not 28×28 pixels",
        ),
    ],
    ids=["no images", "no labels", "fewer labels", "label 10", "14×56", "0×0"],
)
def test_a_file_that_does_not_fit_is_refused(file: str, content: bytes, message: str, here: Path) -> None:
    Path("data/MNIST/raw", file).write_bytes(content)
    assert refused(declared()) == (message, AGAIN)


def test_the_test_split_is_verified_too(here: Path) -> None:
    truncate(Path("data/MNIST/raw", TEST_IMAGES_FILE))
    message = "is incomplete: 1,583 bytes, but its header says 1,584"
    assert refused(declared(), "test") == (f"data/MNIST/raw/{TEST_IMAGES_FILE} {message}", AGAIN)


@pytest.mark.parametrize("options", [{"root": ""}, {"root": "x" * 4097}, {"download": 1}, {"transforms": {}}], ids=str)
def test_a_value_out_of_bounds_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MNIST.model_validate_json(json.dumps({"type": "MNIST", **options}))


FAMILY = ["MNIST", "FashionMNIST", "KMNIST"]
SELECTIONS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


@pytest.mark.parametrize("name", FAMILY)
def test_without_files_the_training_rows_are_those_that_are_published(name: str, here: Path) -> None:
    source = DATA.validate({"type": name, "root": "nowhere", "validation": 0.1})
    assert isinstance(source, IdxImages)
    assert source.example().training_rows == 54_000


def test_the_training_rows_are_those_of_the_header_where_it_is_there(here: Path) -> None:
    assert declared().example().training_rows == 3


def test_a_spoiled_header_leaves_the_published_rows(here: Path) -> None:
    Path("data/MNIST/raw", TRAINING_LABELS_FILE).write_bytes(b"\0\0")
    assert declared().example().training_rows == 60_000


def test_the_validation_rows_come_from_the_training_files(here: Path) -> None:
    source = declared(validation=0.4)
    assert [len(source.load(split)) for split in source.splits] == [2, 1, 2]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_classes_of_emnist_are_torchvisions(selection: str) -> None:
    source = declared(EMNIST, split=selection)
    assert list(source.class_names()) == datasets.EMNIST.classes_split_dict[selection]


@pytest.mark.parametrize("selection", SELECTIONS)
def test_the_files_of_emnist_are_where_torchvision_reads(selection: str, here: Path) -> None:
    source = declared(EMNIST, split=selection)
    source.folder.mkdir(parents=True)
    write_files(source)
    for split in SPLITS:
        theirs = datasets.EMNIST("data", split=selection, train=split == "train")
        assert torch.equal(source.load(split).inputs.squeeze(1), theirs.data)
        assert source.load(split).targets.tolist() == theirs.targets.tolist()


def write_files(source: IdxImages) -> None:
    for images, labels in source.files().values():
        (source.folder / images).write_bytes(idx(IMAGES, (2, 28, 28), pixels(2, 5).numpy().tobytes()))
        (source.folder / labels).write_bytes(idx(LABELS, (2,), bytes([1, 2])))


def test_kmnist_is_read_from_its_own_folder(here: Path) -> None:
    source = declared(KMNIST)
    source.folder.mkdir(parents=True)
    write_files(source)
    assert torch.equal(source.load("test").inputs.squeeze(1), datasets.KMNIST("data", train=False).data)
    assert list(source.class_names()) == datasets.KMNIST.classes


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_the_real_files_have_as_many_rows_as_are_published(name: str, real_data: Path) -> None:
    source = DATA.validate({"type": name, "root": str(real_data)})
    assert isinstance(source, IdxImages)
    assert source.example().training_rows == source.published_rows() == 60_000
    assert torch.equal(source.load("test").targets, getattr(datasets, name)(str(real_data), train=False).targets)
