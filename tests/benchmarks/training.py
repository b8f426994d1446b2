"""How fast a training is beside the tutorials' own loop, with the same bits: DataLoader, PIL transforms, one thread.

Run: python tests/benchmarks/training.py --data ../shared/data [--rounds N] [WORK …]

Both sides train in one process, in turn, in many short rounds; the ratio is of their medians, in CPU time of the
process and on the wall clock. Before that, a plain loop over the spec's rows and ours train from the same seed, and
their weights must have the same bits; the tutorials' ToTensor divides by 255 where v2.ToDtype multiplies by 1 / 255,
so that some pixels differ in the last bit. What a training pays once (imports, recording a step) is in the row of
whole processes alone. The last rows say how many times as long a step takes beside a busy neighbour.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import neighbour
import torch
import whole_process
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from zoo.build import initialized_model, load_rows
from zoo.check import CheckedSpec, check_file
from zoo.economy import settle
from zoo.training import state as training_state
from zoo.training.loop import Training
from zoo.training.objective import objective_of
from zoo.training.watching import Moment, Row
from zoo.transforms import Transform

REPOSITORY = Path(__file__).parent.parent.parent
CPU = torch.device("cpu")
SAME = 60  # steps after which both sides' weights are compared
WARM = 40  # steps that do not count: a step is recorded and proven in them

Batches = Callable[[CheckedSpec, Path], DataLoader[tuple[Tensor, Tensor]]]


class Silent:
    """A watcher that looks away."""

    def on_step(self, moment: Moment) -> None:
        """See nothing."""

    def on_row(self, row: Row) -> None:
        """See nothing."""


def from_memory(checked: CheckedSpec, data: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches of tensors in memory, as the tutorials of linear models have them."""
    rows = load_rows(checked, "train")
    return _loader(checked, TensorDataset(rows.inputs, rows.targets))


def from_images(checked: CheckedSpec, data: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches of torchvision's data set, transformed row by row, as the tutorials have them."""
    from torchvision import datasets, transforms

    steps = [transforms.ToTensor()]
    transformed: tuple[Transform, ...] = getattr(checked.spec.data, "transforms", ())
    if any(type(transform).__name__ == "Normalize" for transform in transformed):
        steps.append(transforms.Normalize([0.5], [0.5]))
    kind = getattr(datasets, type(checked.spec.data).__name__)
    return _loader(checked, kind(data, train=True, transform=transforms.Compose(steps)))


# Any: torch's data sets are generic in what they give.
def _loader(checked: CheckedSpec, rows: object) -> DataLoader[tuple[Tensor, Tensor]]:
    train = checked.spec.train
    generator = torch.Generator().manual_seed(train.seed)
    return DataLoader(rows, train.batch_size, train.shuffle, generator=generator)  # type: ignore[arg-type]  # as above


@dataclass(frozen=True)
class Work:
    """What is trained on both sides."""

    name: str
    spec: str
    changes: tuple[str, ...]
    batches: Batches | None
    """Of the tutorial's loop; None for a loop written by hand over tensors in memory."""
    least: float
    """The ratio that must be reached."""
    steps: int
    """In a round of the tutorial's side."""
    faster: int = 1
    """How many times as many steps a round of ours has."""


IMAGES = 'data.root="{data}"'
RESNET = (
    'data={{"type": "FakeImages", "size": 256, "image_size": [3, 64, 64], "num_classes": 1000, '
    '"transforms": [{{"type": "ToDtype", "dtype": "float32", "scale": true}}]}}'
)
GPT = 'data.file="{data}/tinyshakespeare/input.txt"'
WORKS = (
    Work("linear3, batch 1", "linear3", (), from_memory, 2.5, 300, 8),
    Work("MNIST MLP 784-128-64-10, batch 64", "mnist_mlp", (IMAGES,), from_images, 9.0, 12, 16),
    Work("FashionMNIST MLP 784-512-512-10, batch 64", "fashion_mlp", (IMAGES,), from_images, 2.4, 12, 3),
    Work("LeNet-5, batch 128", "lenet5", (IMAGES, "train.batch_size=128"), from_images, 2.0, 4, 2),
    Work("ResNet-18, 64 x 64, batch 16", "resnet18", (RESNET, "train.batch_size=16"), None, 0.99, 2),
    Work("GPT-mini, batch 8", "gpt_mini", (GPT, "train.batch_size=8"), None, 0.99, 3),
)


class Plain:
    """The tutorials' loop, taken further step by step."""

    def __init__(self, checked: CheckedSpec, work: Work, data: Path) -> None:
        torch.manual_seed(checked.spec.train.seed)
        self.model = initialized_model(checked).train()
        self._optimizer = checked.spec.optimizer.build(self.model.named_parameters())
        objective = objective_of(checked, CPU)
        self._loss: Callable[[Tensor, Tensor], Tensor] = lambda output, target: objective.loss(
            *objective.arrange(output, target)
        )
        self._batches = _endless(checked, work, data)

    def run(self, steps: int) -> None:
        """Train so many steps."""
        for _ in range(steps):
            inputs, targets = next(self._batches)
            loss = self._loss(self.model(inputs), targets)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
            self._optimizer.step()


def _endless(checked: CheckedSpec, work: Work, data: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batch after batch, epoch after epoch."""
    if work.batches is not None:
        loader = work.batches(checked, data)
        while True:
            yield from loader
    rows, train = load_rows(checked, "train"), checked.spec.train
    sampler = torch.Generator().manual_seed(train.seed)
    while True:
        torch.empty((), dtype=torch.int64).random_(generator=sampler)
        order = torch.randperm(len(rows), generator=sampler)
        torch.randperm(len(rows), generator=sampler)
        order = order if train.shuffle else torch.arange(len(rows))
        for start in range(0, len(rows), train.batch_size):
            chosen = order[start : start + train.batch_size]
            yield rows.inputs[chosen], rows.targets[chosen]


class Ours:
    """Our loop, taken further by its steps."""

    def __init__(self, checked: CheckedSpec, device: torch.device = CPU) -> None:
        splits = {"train": load_rows(checked, "train").to(device)}
        self._state = training_state.begin(checked, device, len(splits["train"]))
        self._training = Training(self._state, checked, splits, Silent(), lambda state: None)  # type: ignore[arg-type]  # Rows alone
        self._order: Tensor | None = None
        self.model = self._state.model.train()

    @property
    def replays(self) -> bool:
        """Return whether steps are replayed by now."""
        return self._training.strides.replays

    def run(self, steps: int) -> None:
        """Train so many steps."""
        state, training = self._state, self._training
        last = training.feed.steps
        while steps:
            if state.step == 0 and training.checked.spec.train.shuffle:
                self._order = state.draw_order(len(training.feed.rows))
            losses, before = state.begin_losses(last), state.step
            training.course.advance(self._order, losses, min(last, before + steps))
            steps -= state.step - before
            if state.step == last:
                state.next_epoch()


@dataclass(frozen=True)
class Result:
    """What was measured, in seconds for a step, round by round: CPU time and wall time."""

    work: Work
    plain: tuple[tuple[float, float], ...]
    ours: tuple[tuple[float, float], ...]
    replays: bool
    identical: bool

    def ratio(self, clock: int = 0) -> float:
        """Return the median of the tutorial's times over ours, of CPU time (0) or wall time (1)."""
        return median(one[clock] for one in self.plain) / median(one[clock] for one in self.ours)

    def row(self) -> str:
        """Return the line of the table."""
        rate = 1 / median(one[1] for one in self.ours)
        told = "identical" if self.identical else "DIFFERENT"
        way = "replayed" if self.replays else "plain"
        return (
            f"{self.work.name:42} {self.ratio(0):7.2f} {self.ratio(1):7.2f} {self.work.least:6.2f} "
            f"{rate:10.1f}  {told}, {way}"
        )


def measure(work: Work, data: Path, rounds: int) -> Result:
    """Return the times of both sides in turn, and whether their weights have the same bits."""
    checked = check_file(work.spec, [change.format(data=data) for change in work.changes])
    same = min(SAME, 4 * work.steps)
    by_hand = Plain(checked, replace(work, batches=None), data)
    by_hand.run(same)
    ours = Ours(checked)
    ours.run(same)
    weights = zip(by_hand.model.state_dict().values(), ours.model.state_dict().values(), strict=True)
    identical = all(torch.equal(one, two) for one, two in weights)
    plain = Plain(checked, work, data) if work.batches is not None else by_hand
    if work.batches is not None:
        ours.run(WARM)
    times: tuple[list[tuple[float, float]], ...] = ([], [])
    for _ in range(rounds):
        sides = ((plain.run, work.steps), (ours.run, work.steps * work.faster))
        for taken, (run, steps) in zip(times, sides, strict=True):
            cpu, wall = process_time(), perf_counter()
            run(steps)
            taken.append(((process_time() - cpu) / steps, (perf_counter() - wall) / steps))
    return Result(work, tuple(times[0]), tuple(times[1]), ours.replays, identical)


def main() -> None:
    """Print the table; leave with 1 where a ratio is not reached or bits differ."""
    parser = argparse.ArgumentParser(description="Training beside the tutorials' own loop.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST, FashionMNIST, tinyshakespeare")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("works", nargs="*", metavar="WORK", help="names of specs, process, neighbour; by default all")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    settle()  # as `zoo train` does; here for both sides
    print(f"{'work':42} {'CPU':>7} {'wall':>7} {'least':>6} {'steps/s':>10}  bits", flush=True)
    failed = False
    for work in WORKS:
        if not asked.works or work.spec in asked.works:
            result = measure(work, asked.data.resolve(), asked.rounds)
            print(result.row(), flush=True)
            failed |= result.ratio() < work.least or not result.identical
    if not asked.works or "process" in asked.works:
        shown, slow = whole_process.row()
        print(shown, flush=True)
        failed |= slow
    if not asked.works or "neighbour" in asked.works:
        failed |= _beside_a_neighbour(asked.data.resolve(), min(asked.rounds, 9))
    sys.exit(int(failed))


def _beside_a_neighbour(data: Path, rounds: int) -> bool:
    """Print how much longer steps take beside a busy neighbour; return whether that is too long."""
    print("beside a busy neighbour, wall time:", flush=True)
    failed = False
    for work in WORKS:
        shown, slow = neighbour.row(work.name, work.spec, [change.format(data=data) for change in work.changes], rounds)
        print(shown, flush=True)
        failed |= slow
    return failed


if __name__ == "__main__":
    main()
