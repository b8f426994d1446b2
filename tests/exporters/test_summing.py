"""Summing: what programs lose in sums of many equal numbers, and that honest files of plain images are proven."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from conftest import Document, noise
from exporters import golden, probing, summing
from exporters.proof import Evidence, prove
from exporters.summing import LANES, LAST_BIT, Losing

if TYPE_CHECKING:
    from specimens import Draw

pytest_plugins = ["specimens"]

SIDE = 64
PLAIN = SIDE * SIDE / LANES * LAST_BIT
"""What is lost of the mean of a plain image, as a part of it."""


def off(answer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """How far an answer is off by what sums lose, as a part of it."""
    with Losing(torch.ones_like):
        lost = answer(rows)
    return lost / answer(rows) - 1


def plain(*sizes: int) -> Tensor:
    return torch.full((2, 3, *sizes), 0.7, dtype=torch.float64)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x.mean((2, 3)),
        lambda x: torch.mean(x, [-1, -2], keepdim=True),
        lambda x: torch.sum(x.flatten(2), dim=2),
        lambda x: x.flatten(2).sum(-1),
        lambda x: x.flatten(2).mean(axis=-1),
        nn.AdaptiveAvgPool2d(1),
        nn.AvgPool2d(SIDE),
        lambda x: nn.AdaptiveAvgPool1d(1)(x.flatten(2)),
        lambda x: nn.AvgPool3d((1, SIDE, SIDE))(x.unsqueeze(2)),
    ],
)
def test_a_sum_of_equal_numbers_is_off_by_many_last_bits(answer: Callable[[Tensor], Tensor]) -> None:
    assert off(answer, plain(SIDE, SIDE)).flatten().tolist() == pytest.approx([PLAIN] * 6, rel=1e-6)


def test_all_numbers_may_be_added() -> None:
    (moved,) = off(torch.sum, plain(SIDE, SIDE)).flatten().tolist()

    assert moved == pytest.approx(6 * PLAIN, rel=1e-6)


@pytest.mark.parametrize("answer", [lambda x: x.mean((2, 3)), nn.AdaptiveAvgPool2d(1)])
def test_a_sum_of_noise_is_off_by_few_and_one_of_few_numbers_by_none(answer: Callable[[Tensor], Tensor]) -> None:
    rows = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    assert off(answer, rows).flatten().tolist() == pytest.approx([(SIDE * SIDE / LANES) ** 0.5 * LAST_BIT] * 6)
    assert off(answer, rows[..., :5, :5]).abs().max() == 0


def test_numbers_that_are_almost_equal_are_lost_as_equal_ones() -> None:
    rows = plain(SIDE, SIDE) * (1 + 2e-6 * torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)))

    assert off(lambda x: x.mean((2, 3)), rows).flatten().tolist() == pytest.approx([PLAIN] * 6, rel=1e-3)


def test_zeros_cost_nothing() -> None:
    rows = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64).relu()

    assert off(lambda x: x.mean((2, 3)), rows).flatten().tolist() == pytest.approx(
        [(SIDE * SIDE / LANES) ** 0.5 * LAST_BIT] * 6
    )


def test_numbers_are_known_by_any_name_and_without_a_batch() -> None:
    rows = plain(SIDE, SIDE)

    for answer in (
        lambda x: torch.mean(input=x, dim=(2, 3)),
        lambda x: functional.adaptive_avg_pool2d(input=x, output_size=1),
        lambda x: functional.adaptive_avg_pool2d(x[0], 1),
    ):
        assert off(answer, rows).flatten()[:3].tolist() == pytest.approx([PLAIN] * 3, rel=1e-6)
    with Losing(torch.ones_like):
        assert rows[:0].mean((2, 3)).shape == (0, 3)
        assert rows.sum(2, dtype=torch.float32).dtype == torch.float32


def test_what_is_no_number_is_left_alone() -> None:
    counted = torch.ones(1, 4096, dtype=torch.int64)

    with Losing(torch.ones_like):
        assert counted.sum(1).tolist() == [4096]
        assert torch.tensor(3.0).sum() == 3.0


@pytest.mark.parametrize(
    ("norm", "count"),
    [
        (nn.InstanceNorm2d(3, affine=True), SIDE * SIDE),
        (nn.GroupNorm(1, 3), 3 * SIDE * SIDE),
        (nn.LayerNorm([3, SIDE, SIDE]), 3 * SIDE * SIDE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_a_plain_image_without_its_mean_the_lost_bits_of_that_are_left(norm: nn.Module, count: int) -> None:
    norm.double()
    with Losing(torch.ones_like):
        left = norm(plain(SIDE, SIDE))

    lost = count / LANES * LAST_BIT
    assert torch.allclose(left, torch.tensor(-0.7 * lost / (1e-5 + 0.49 * lost) ** 0.5, dtype=torch.float64), rtol=1e-6)
    assert norm(plain(SIDE, SIDE)).abs().max() < 1e-9


def test_the_mean_of_squares_is_lost_too() -> None:
    norm = nn.RMSNorm([3, SIDE, SIDE]).double()

    assert off(norm, plain(SIDE, SIDE)).abs().flatten().tolist() == pytest.approx([3 * PLAIN / 2] * 6 * SIDE**2)


@pytest.mark.parametrize(
    "norm", [nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.LayerNorm([4, 2, 2]), nn.BatchNorm2d(4)]
)
def test_normalisations_of_few_numbers_and_of_statistics_stay_what_they_are(norm: nn.Module) -> None:
    rows = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norm.double().eval()
    for parameter in norm.parameters():
        nn.init.uniform_(parameter)

    with torch.no_grad():
        with Losing(torch.ones_like):
            inside = norm(rows)
        assert torch.allclose(inside, norm(rows), rtol=1e-12)


def test_a_watcher_changes_nothing_and_knows_what_would_be_lost() -> None:
    rows = plain(SIDE, SIDE)
    with Losing() as watch:
        watched = (rows.mean((2, 3)), functional.instance_norm(rows), functional.layer_norm(rows, [SIDE]))

    expected = (rows.mean((2, 3)), functional.instance_norm(rows), functional.layer_norm(rows, [SIDE]))
    assert all(map(torch.equal, watched, expected))
    assert watch.most == SIDE * SIDE / LANES


CONVOLUTION: Document = {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
END: list[Document] = [{"type": "Mean", "dim": [2, 3]}, {"type": "Linear", "out_features": "classes"}]
NORMS: dict[str, Document] = {
    "none": {"type": "ReLU"},
    "instance": {"type": "InstanceNorm2d", "affine": True},
    "group": {"type": "GroupNorm", "num_groups": 2},
}


def evidence(norm: str, draw: Draw, folder: Path) -> Evidence:
    """A network of white pages with something on them, as scans are."""
    layers = [part for _ in range(3) for part in (CONVOLUTION, NORMS[norm], {"type": "ReLU"})]
    subject = draw(
        folder,
        [*layers, *END],
        data=noise(20, [1, SIDE, SIDE]),
        loss={"type": "CrossEntropyLoss"},
        metrics=[],
        train={"epochs": 1, "batch_size": 4},
    )
    pages, generator = torch.full((20, 1, SIDE, SIDE), 1.7), torch.Generator().manual_seed(0)
    for page in pages:
        left, top, width, height = torch.randint(4, 30, (4,), generator=generator).tolist()
        page[:, top : top + height, left : left + width] = -1.3
    shown = dataclasses.replace(subject, rows=pages, origin="trained")
    return Evidence(shown, golden.make(shown.module, pages), folder)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("norm", NORMS)
def test_an_honest_file_is_proven_where_rows_and_probes_are_plain(norm: str, draw: Draw, tmp_path: Path) -> None:
    proof = prove("onnx", evidence(norm, draw, tmp_path))

    assert (proof.verdict, proof.reason) == ("equal", "")


@pytest.mark.usefixtures("in_this_process")
def test_without_what_is_lost_it_would_be_refused(draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summing, "LANES", 1e9)

    assert prove("onnx", evidence("group", draw, tmp_path)).verdict == "different"


def test_a_plain_image_that_nobody_can_answer_is_asked_with_noise() -> None:
    torch.manual_seed(0)
    blocks = [part for _ in range(4) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.InstanceNorm2d(3))]
    rows = torch.randn(20, 3, 32, 32)

    (probe,) = golden.make(nn.Sequential(*blocks), rows).probes

    assert probe.rows[0] == f"zeros{probing.ROUGHENED}"
    assert probe.inputs[0].std() == pytest.approx(float(rows.abs().max()) * probing.ROUGH, rel=0.1)
    assert probe.rows[1:] == probing.PROBES[1:]
    assert probe.inputs[1].std() == 0
    assert max(probe.moves[0]) < 1e-3


def test_a_plain_image_that_can_be_answered_is_asked_as_it_is() -> None:
    torch.manual_seed(0)
    pooled = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

    (probe,) = golden.make(pooled, torch.randn(6, 1, 224, 224)).probes

    assert probe.rows == probing.PROBES


def test_a_tie_of_two_classes_is_no_answer_that_nobody_knows() -> None:
    class Decided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Sequential(nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 10, bias=False))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            scores = self.model(x)
            return scores, scores.argmax(1)

    torch.manual_seed(0)

    assert golden.make(Decided(), torch.rand(20, 6)).probes[0].rows == probing.PROBES
