"""Images of a report look as they did before the transforms."""

from __future__ import annotations

import torch

from zoo.report.thumbnails import restored
from zoo.transforms.conversion import Normalize, ToDtype

SCALED = ToDtype(type="ToDtype", dtype="float32", scale=True)
PLAIN = ToDtype(type="ToDtype", dtype="float32")
NORMALIZE = Normalize(type="Normalize", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def levels() -> torch.Tensor:
    return torch.randint(0, 256, (3, 5, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_normalize_and_scale_are_undone_to_the_last_level() -> None:
    image = NORMALIZE.build()(SCALED.build()(levels()))
    assert torch.equal(restored(image, (SCALED, NORMALIZE)), levels())


def test_levels_that_were_not_scaled_stay() -> None:
    assert torch.equal(restored(PLAIN.build()(levels()), (PLAIN,)), levels())
    assert torch.equal(restored(levels(), ()), levels())


def test_numbers_that_never_were_levels_reach_from_black_to_white() -> None:
    found = restored(torch.tensor([[[-3.0, 5.0]]]), ())
    assert found.tolist() == [[[0, 255]]]
    assert restored(torch.ones(1, 2, 2), ()).tolist() == [[[0, 0], [0, 0]]]
