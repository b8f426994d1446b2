"""ImageFolder: folders of classes, with and without their root, and photographs of any size."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision import datasets

from sources import assert_loads_what_it_says, contradiction, declared, refusal
from zoo.data.data import OptionError
from zoo.data.folders import EXTENSIONS
from zoo.shapes import Shape

FIXED = [{"type": "Resize", "size": [4, 5]}, {"type": "ToDtype", "dtype": "float32"}]


def save(path: Path, size: tuple[int, int] = (6, 5), level: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, 0, 255 - level)).save(path)


@pytest.fixture
def root(here: Path) -> Path:
    """Six training and three test images of two classes, of different sizes."""
    for split, count in (("train", 3), ("test", 1)):
        for name, level in (("cats", 10), ("dogs", 200)):
            for index in range(count):
                save(here / "pets" / split / name / f"{index}.png", (6 + index, 5), level + index)
    save(here / "pets" / "test" / "dogs" / "deeper" / "more.jpg")
    return Path("pets")


def test_the_extensions_are_torchvisions() -> None:
    assert EXTENSIONS == datasets.folder.IMG_EXTENSIONS


def test_the_example_is_images_of_unknown_size_and_the_folders_as_classes(root: Path) -> None:
    example = declared("ImageFolder", root="pets").example()
    assert (example.input, example.classes, example.training_rows) == (
        Shape("N", 3, "H", "W", dtype="uint8"),
        ("cats", "dogs"),
        6,
    )


def test_the_rows_are_what_the_example_says(root: Path) -> None:
    assert_loads_what_it_says(declared("ImageFolder", root="pets", transforms=FIXED, validation=0.5))


def test_files_and_class_numbers_are_torchvisions(root: Path) -> None:
    theirs = datasets.ImageFolder("pets/test")
    source = declared("ImageFolder", root="pets", transforms=FIXED)
    assert list(source._files("test")) == theirs.samples
    assert source.load("test").targets.tolist() == theirs.targets


def test_pixels_are_those_of_the_file(root: Path) -> None:
    save(Path("one/train/a/1.png"), level=7)
    save(Path("one/test/a/1.png"), level=9)
    rows = declared("ImageFolder", root="one").load("test")
    assert rows.inputs[0, :, 0, 0].tolist() == [9, 0, 246]


def test_val_is_the_test_where_there_is_no_test_folder(root: Path) -> None:
    Path("pets/test").rename("pets/val")
    assert len(declared("ImageFolder", root="pets", transforms=FIXED).load("test")) == 3


def test_val_may_be_the_validation_split(root: Path) -> None:
    save(Path("pets/val/cats/1.png"))
    save(Path("pets/val/dogs/1.png"))
    source = declared("ImageFolder", root="pets", transforms=FIXED, validation="val")
    assert [len(source.load(split)) for split in source.splits] == [6, 2, 3]
    assert source.example().training_rows == 6


def test_val_as_validation_is_not_the_test_too(root: Path) -> None:
    Path("pets/test").rename("pets/val")
    source = declared("ImageFolder", root="pets", transforms=FIXED, validation="val")
    assert refusal(source.load, "test")[0] == "data.root 'pets': there is no folder pets/test"
    (missing,) = source.missing()
    assert (missing.option, missing.message) == ("validation", "data.root 'pets': there is no folder pets/test")


def test_a_root_without_rows_to_test_on_is_missed_before_the_training(root: Path) -> None:
    assert declared("ImageFolder", root="pets").missing() == ()
    Path("pets/test").rename("pets/testing")
    (missing,) = declared("ImageFolder", root="pets").missing()
    assert (missing.option, missing.message, missing.remedy) == (
        "root",
        "data.root 'pets': there is no folder pets/test or pets/val",
        "add one of them, with a folder of images for each class",
    )


def test_who_does_not_test_does_without_the_folder(root: Path) -> None:
    Path("pets/test").rename("pets/testing")
    assert declared("ImageFolder", root="pets").example().training_rows == 6


def test_without_its_root_the_written_classes_are_the_classes_and_its_absence_is_told() -> None:
    source = declared("ImageFolder", root="nowhere", classes=["b", "a"])
    assert [doubt.message for doubt in source.doubts()] == ["data.root 'nowhere': there is no folder nowhere/train"]
    example = source.example()
    assert (example.classes, example.training_rows) == (("b", "a"), None)


def test_without_its_root_and_classes_there_is_one_problem() -> None:
    with pytest.raises(OptionError) as refused:
        declared("ImageFolder", root="nowhere").example()
    assert (refused.value.message, refused.value.remedy, refused.value.option) == (
        "data.root 'nowhere': there is no folder nowhere/train, so the classes are not known",
        "set data.root to the folder that holds train, or write classes",
        "root",
    )


def test_the_written_order_numbers_the_classes(root: Path) -> None:
    source = declared("ImageFolder", root="pets", transforms=FIXED, classes=["dogs", "cats"])
    assert source.load("train").targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert int(source.load("train").inputs[0, 0, 0, 0]) >= 200


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cats"], "the class 'dogs' is in pets/train, but not in classes"),
        (["cats", "dogs", "eels"], "the class 'eels' is in classes, but not in pets/train"),
    ],
)
def test_other_classes_than_the_folders_are_refused(root: Path, classes: list[str], message: str) -> None:
    source = declared("ImageFolder", root="pets", classes=classes)
    assert refusal(source.example) == (message, "write the names of the folders")


def test_a_class_that_stands_twice_is_refused() -> None:
    assert contradiction("ImageFolder", root="x", classes=["a", "a"]) == "a class stands twice in classes; remove one"


def test_a_class_of_the_test_that_train_lacks_is_refused(root: Path) -> None:
    save(Path("pets/test/eels/1.png"))
    source = declared("ImageFolder", root="pets", transforms=FIXED)
    assert refusal(source.load, "test") == ("pets/test holds 'eels', which is no class of train", "remove the folder")


def test_an_empty_class_is_refused(root: Path) -> None:
    Path("pets/train/eels").mkdir()
    assert refusal(declared("ImageFolder", root="pets").load, "train")[0] == "pets/train/eels holds no images"


def test_a_spoiled_image_is_refused_by_its_name(root: Path) -> None:
    Path("pets/train/cats/1.png").write_bytes(b"no image")
    source = declared("ImageFolder", root="pets", transforms=FIXED)
    assert "cannot read pets/train/cats/1.png as an image" in refusal(source.load, "train")[0]


def test_images_that_stay_of_different_sizes_are_refused(root: Path) -> None:
    assert refusal(declared("ImageFolder", root="pets").load, "train") == (
        "pets/train/cats/0.png has 6×5 pixels, but pets/train/cats/1.png has 7×5",
        'add {"type": "Resize", "size": [height, width]} to data.transforms',
    )


def test_images_to_predict_are_resized_likewise(root: Path) -> None:
    source = declared("ImageFolder", root="pets", transforms=FIXED)
    read = source.read(["pets/train/cats/0.png", "pets/train/cats/1.png"])
    assert torch.equal(read.rows, source.load("train").inputs[:2])


def test_real_photographs_are_read(real_data: Path) -> None:
    fixed = [{"type": "Resize", "size": 16}, {"type": "CenterCrop", "size": 12}]
    source = declared("ImageFolder", root=str(real_data / "hymenoptera"), transforms=fixed)
    assert (source.example().classes, source.example().training_rows) == (("ants", "bees"), 243)
    rows = source.load("test")
    assert (tuple(rows.inputs.shape), rows.targets.bincount().tolist()) == ((153, 3, 12, 12), [70, 83])


def test_resolved_it_needs_no_folder_to_say_its_classes(root: Path) -> None:
    source = declared("ImageFolder", root="pets").resolved()
    Path("pets").rename("away")
    assert source.example().classes == ("cats", "dogs")


def test_folders_that_are_linked_to_themselves_are_counted_once(root: Path) -> None:
    cats = root / "train" / "cats"
    for name in ("again", "back", "up"):
        (cats / name).symlink_to(cats.resolve() if name != "up" else root.resolve())
    source = declared("ImageFolder", root="pets", transforms=FIXED)
    (root / "train" / "dogs" / "self").symlink_to(".")
    assert source.example().training_rows == len(source.load("train"))


def test_a_check_stops_to_count_where_there_are_too_many(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.data.folders.COUNTED", 5)
    assert declared("ImageFolder", root="pets").example().training_rows is None


def test_a_check_stops_to_look_where_there_are_no_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(20):
        (root / "train" / "cats" / f"{index}.txt").touch()
    monkeypatch.setattr("zoo.data.folders.COUNTED", 15)
    assert declared("ImageFolder", root="pets").example().training_rows is None


def spoil(*names: str) -> None:
    for name in names:
        Path(name).write_bytes(Path(name).read_bytes()[:40])


def test_a_corrupt_file_stops_and_says_how_to_skip(root: Path) -> None:
    spoil("pets/train/dogs/1.png")
    message, remedy = refusal(declared("ImageFolder", root="pets", transforms=FIXED).load, "train")
    assert message.startswith("cannot read pets/train/dogs/1.png as an image")
    assert remedy == 'mend or remove the file; or write "corrupt": "skip" into data'


def test_corrupt_files_are_skipped_counted_and_kept_in_the_run(root: Path) -> None:
    spoil("pets/train/dogs/1.png", "pets/test/cats/0.png")
    save(Path("pets/test/cats/1.png"))
    source = declared("ImageFolder", root="pets", transforms=FIXED, corrupt="skip").fitted()
    assert source.skipped == ("train/dogs/1.png", "test/cats/0.png")
    assert source.notes() == ("2 file(s) cannot be decoded and are skipped: train/dogs/1.png, test/cats/0.png",)
    assert source.example().training_rows == 5
    assert_loads_what_it_says(source)
    unfitted = declared("ImageFolder", root="pets", transforms=FIXED, corrupt="skip")
    assert unfitted.load("train").targets.tolist() == [0, 0, 0, 1, 1]


def test_rows_are_kept_out_of_what_is_left_after_skipping(root: Path) -> None:
    spoil("pets/train/dogs/1.png")
    source = declared("ImageFolder", root="pets", transforms=FIXED, corrupt="skip", validation=0.4).fitted()
    assert [len(source.load(split)) for split in source.splits] == [3, 2, 3]


def test_a_run_that_skips_goes_on_with_the_files_it_began_with(root: Path) -> None:
    source = declared("ImageFolder", root="pets", transforms=FIXED, corrupt="skip").fitted()
    assert source.skipped == ()
    assert source.notes() == ()
    spoil("pets/train/dogs/1.png")
    message, remedy = refusal(source.load, "train")
    assert message.startswith("cannot read pets/train/dogs/1.png as an image")
    assert remedy == "it has changed since data.skipped was written: mend it, or train anew"


def test_a_split_without_a_whole_image_is_refused(root: Path) -> None:
    spoil(*(str(path) for path in Path("pets/test").rglob("*.*g")))
    source = declared("ImageFolder", root="pets", transforms=FIXED, corrupt="skip")
    assert refusal(source.load, "test")[0] == "pets/test holds no image that can be decoded"


def test_skipped_files_without_skipping_are_refused() -> None:
    said = contradiction("ImageFolder", root="x", skipped=["train/a/1.png"])
    assert said == 'skipped says nothing without corrupt; write "corrupt": "skip", or remove it'
