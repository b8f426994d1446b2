"""Images: where the augmentation stands among the transforms, and that it can be repeated."""

import torch

from sources import assert_loads_what_it_says, contradiction, declared
from zoo.data.augmentation import augmented, mixed
from zoo.data.data import Rows
from zoo.shapes import Shape
from zoo.transforms import AUGMENTATIONS, Transform

FAKE = {"size": 12, "image_size": [3, 8, 9], "num_classes": 4}
TO_FLOAT = {"type": "ToDtype", "dtype": "float32", "scale": True}
NORMALIZE = {"type": "Normalize", "mean": [0.5], "std": [0.5]}
RESIZE = {"type": "Resize", "size": [6, 6]}
CROP = {"type": "RandomCrop", "size": 6, "padding": 2}
JITTER = {"type": "ColorJitter", "brightness": 0.5}


def test_the_augmentation_stands_before_the_first_transform_of_the_numbers() -> None:
    source = declared("FakeImages", **FAKE, transforms=[RESIZE, TO_FLOAT, NORMALIZE], augmentation=[CROP])
    names = [[type(t).__name__ for t in part] for part in (source.early(), source.random(), source.late())]
    assert names == [["Resize"], ["RandomCrop"], ["ToDtype", "Normalize"]]


def test_the_parts_are_the_pipeline() -> None:
    source = declared("FakeImages", **FAKE, transforms=[RESIZE, TO_FLOAT])
    assert (*source.early(), *source.late()) == source.pipeline() == source.transforms


def test_fake_images_are_what_the_example_says() -> None:
    assert_loads_what_it_says(declared("FakeImages", **FAKE, transforms=[RESIZE, TO_FLOAT], validation=0.25))


def test_fake_images_of_the_same_seed_are_the_same_and_the_test_split_has_others() -> None:
    first, again, other = (declared("FakeImages", **FAKE, seed=seed).load("train").inputs for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, declared("FakeImages", **FAKE, seed=1).load("test").inputs)


def images(rows: int = 5) -> torch.Tensor:
    return torch.randint(0, 256, (rows, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def built(*options: dict[str, object]) -> list[torch.nn.Module]:
    transforms = [AUGMENTATIONS.validate(one) for one in options]
    return [transform.build() for transform in transforms if isinstance(transform, Transform)]


def test_an_image_is_changed_alike_in_every_batch() -> None:
    steps = built(CROP, JITTER)
    whole = augmented(images(), range(5), steps, seed=7)
    assert torch.equal(augmented(images()[3:], [3, 4], steps, seed=7), whole[3:])


def test_another_seed_changes_an_image_otherwise() -> None:
    steps = built(CROP, JITTER)
    assert not torch.equal(augmented(images(), range(5), steps, 0), augmented(images(), range(5), steps, 1))


def test_equal_images_are_changed_differently() -> None:
    same = images(1).expand(4, -1, -1, -1)
    changed = augmented(same, range(4), built(CROP, JITTER), 0)
    assert len({image.numpy().tobytes() for image in changed}) > 1


def test_augmenting_leaves_torchs_generator_as_it_was() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augmented(images(), range(5), built(CROP), 0)
    mixed(Rows(images().float(), torch.arange(5) % 2), _mixup(), 2, 0)
    assert torch.equal(torch.get_rng_state(), before)


def _mixup() -> Transform:
    transform = AUGMENTATIONS.validate({"type": "MixUp"})
    assert isinstance(transform, Transform)
    return transform


def test_a_mixed_batch_can_be_repeated_and_its_targets_are_probabilities() -> None:
    rows = Rows(images().float(), torch.arange(5) % 3)
    one, again = (mixed(rows, _mixup(), 3, seed=4) for _ in range(2))
    assert torch.equal(one.inputs, again.inputs)
    assert tuple(one.targets.shape) == (5, 3)


def test_mixing_stands_last() -> None:
    mixing = {"type": "MixUp"}
    assert contradiction("FakeImages", **FAKE, augmentation=[mixing, CROP]) == (
        "MixUp mixes whole batches, but something follows it; put it last in augmentation"
    )
    assert declared("FakeImages", **FAKE, augmentation=[CROP, mixing]).random()[-1].level == "batch"


def test_a_random_transform_in_transforms_is_sent_to_the_augmentation() -> None:
    assert contradiction("FakeImages", **FAKE, transforms=[CROP]) == (
        "RandomCrop is random, but transforms are the same for every split; put it into augmentation"
    )


def test_a_training_image_meets_the_augmentation_on_its_way_and_the_mixing_at_its_end() -> None:
    source = declared(
        "FakeImages", **FAKE, transforms=[RESIZE, TO_FLOAT], augmentation=[CROP, JITTER, {"type": "MixUp"}]
    )
    assert [place for place, _ in source.route(training=True)] == [
        ("transforms", 0),
        ("augmentation", 0),
        ("augmentation", 1),
        ("transforms", 1),
        ("augmentation", 2),
    ]
    assert [place for place, _ in source.route(training=False)] == [("transforms", 0), ("transforms", 1)]


def test_masks_have_a_class_for_each_pixel() -> None:
    source = declared("FakeImages", size=3, image_size=[3, 4, 5], num_classes=2, masks=True)
    assert_loads_what_it_says(source)
    assert source.example().target == Shape("N", 4, 5, dtype="int64")


def test_masks_are_not_left_behind_by_an_augmentation() -> None:
    said = contradiction("FakeImages", masks=True, augmentation=[{"type": "RandomHorizontalFlip"}])
    assert "leave their masks" in said
