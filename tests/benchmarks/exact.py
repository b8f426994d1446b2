"""Which trainings end, after 200 steps, in the bits of the tutorials' loop: five works, each with three optimizers.

Run: python tests/benchmarks/exact.py

tests/training/test_exact.py does the same in CI, but ResNet-18 has an eighth of its channels there. Steps are replayed,
and so compared with the plain loop's, wherever they can be; one thread of the CPU.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parent.parent.parent
sys.path[:0] = [str(REPOSITORY / "tests" / "training"), str(REPOSITORY / "tests"), str(REPOSITORY)]

import test_exact as exact  # noqa: E402
import torch  # noqa: E402  # the paths come first

from conftest import Document  # noqa: E402
from zoo.build import initialized_model  # noqa: E402
from zoo.check import CheckedSpec  # noqa: E402
from zoo.training import strides  # noqa: E402

OPTIMIZERS: dict[str, Document] = {"SGD": exact.MOMENTUM, "Adam": exact.ADAM, "AdamW": exact.ADAMW}


def works(text: Path) -> Iterator[tuple[str, str, CheckedSpec]]:
    """Yield each work with each optimizer; `text` is a file to be written, for the GPT to read."""
    for name, optimizer in OPTIMIZERS.items():
        yield "linear3", name, exact.linear3(optimizer | ({"lr": 1e-6} if name == "SGD" else {}))
        yield "MNIST MLP", name, exact.perceptron(optimizer)
        yield "CNN", name, exact.classifying(exact.CNN, [1, 12, 12], optimizer=optimizer)
        yield "ResNet-18", name, exact.resnet18(1, 200, optimizer)
        yield "GPT", name, exact.gpt(text, optimizer)


def main() -> int:
    """Print a line for each; the exit status is 1 where bits differ."""
    torch.set_num_threads(1)
    strides.PAYS, strides.SEEKS, strides.SLOW = 0.0, 0, float("inf")
    differing = 0
    with TemporaryDirectory() as folder:
        for work, optimizer, spec in works(Path(folder) / "input.txt"):
            begun = time.process_time()
            state, training = exact.trained(spec)
            torch.manual_seed(spec.spec.train.seed)
            same = exact.bits(state.model.state_dict()) == exact.plain(spec, initialized_model(spec))
            differing += not same
            how = "replayed" if training.strides.replays else "plain"
            said = "the same bits" if same else "OTHER BITS"
            seconds = time.process_time() - begun
            print(f"{work:10} {optimizer:6} {training.plan.total} steps, {how:8} {said}  {seconds:5.1f} s", flush=True)
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
