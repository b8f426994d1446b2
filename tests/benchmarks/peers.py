"""How fast a training step is with zoo, with other libraries and with JAX, beside the tutorials' own loop.

Run: python tests/benchmarks/peers.py --data ../shared/data [--rounds N] [--seconds S] [WORK …]
The others come with pip install 'zoo[benchmark]'; one that is absent is named.

Every side has a process of its own, because the libraries do not agree on one (Keras has one backend in a process, for
instance). All stand ready at once and train in turn, round by round, on one thread, with the same data, batch size,
first weights and optimizer; a ratio is of the median times of a step, in CPU time of the process and on the wall clock.
A round lasts as long for each side, so that the fast ones do more steps in it. Imports, compilation and what a training
does once are not in it. Lightning, Fabric and Accelerate take the tutorial's DataLoader; skorch and Keras take arrays.
For ResNet-18 and the small GPT the DataLoader reads tensors in memory, Keras has the torch module, and JAX is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import IO, Self

from array_sides import WARM, WARM_LARGE

from training import REPOSITORY, WORKS, Work


@dataclass(frozen=True)
class Peer:
    """A side of the comparison."""

    name: str
    title: str
    needs: tuple[str, ...] = ()
    """Packages."""
    rewrites: bool = False
    """Whether it has the model in layers of its own, written here for chains of simple ones alone."""

    @property
    def absent(self) -> tuple[str, ...]:
        """Return the packages that are not installed."""
        return tuple(package for package in self.needs if find_spec(package) is None)

    @property
    def told(self) -> str:
        """Return the title with the versions of what it needs."""
        return " ".join([self.title, *(version(package) for package in self.needs)])


PEERS = (
    Peer("tutorial", "the tutorial's loop"),
    Peer("in_memory", "that, over tensors in memory"),
    Peer("zoo", "zoo"),
    Peer("zoo_near", "zoo, train.exact false"),
    Peer("lightning", "Lightning", ("lightning",)),
    Peer("fabric", "Fabric", ("lightning",)),
    Peer("accelerate", "Accelerate", ("accelerate",)),
    Peer("skorch", "skorch", ("skorch",)),
    Peer("keras_torch", "Keras on torch", ("keras",)),
    Peer("keras_jax", "Keras on JAX", ("keras", "jax"), rewrites=True),
    Peer("jax_scan", "JAX lax.scan, by hand", ("jax",), rewrites=True),
)


class Failed(Exception):
    """A side ended before it was told to; its last words are the message."""


@dataclass
class Process:
    """A side in its process, which trains on when it is told to."""

    peer: Peer
    process: subprocess.Popen[str]
    errors: IO[str]
    learned: str = ""
    """The loss after the first steps."""
    times: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of a step, round by round: CPU time and wall time."""

    @classmethod
    def begin(cls, peer: Peer, work: Work, data: Path, stack: ExitStack) -> Self:
        """Return the side, started; it ends with the stack."""
        paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
        one = {"OMP_NUM_THREADS": "1", "NPROC": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
        calm = {"JAX_CPU_ENABLE_ASYNC_DISPATCH": "false", "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(paths)}
        errors = stack.enter_context(TemporaryFile("w+", encoding="utf-8"))  # noqa: SIM115  # the stack closes it
        program = [sys.executable, str(Path(__file__).with_name("sides.py")), peer.name, work.spec, str(data)]
        process = stack.enter_context(
            subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | one | calm,
            )
        )
        return cls(peer, process, errors)

    def train(self, steps: int, seconds: float) -> dict[str, float]:
        """Return what so many steps took, at least, over so many seconds, at least.

        Raises:
            Failed: the process ended.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps([steps, seconds]), file=self.process.stdin, flush=True)
            answer: dict[str, float] = json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as cause:
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines()[-1:] or ["it ended without a word"]
            raise Failed(last[0]) from cause
        return answer

    def warm(self, steps: int) -> None:
        """Take the first steps, and see what they have learned."""
        answer = self.train(steps, 0)
        self.learned = f"{answer['loss']:.3g} after {answer['steps']:,}"

    def round(self, seconds: float) -> None:
        """Train for a round and write down what a step took."""
        answer = self.train(1, seconds)
        self.times.append((answer["cpu"] / answer["steps"], answer["wall"] / answer["steps"]))

    def step(self, clock: int) -> float:
        """Return the median of what a step took, in seconds of CPU time (0) or wall time (1)."""
        return median(time[clock] for time in self.times)


def compare(work: Work, data: Path, rounds: int, seconds: float) -> bool:
    """Print the table of a work; return whether every side that is installed came through."""
    print(f"\n{work.name}\n{'':34} {'CPU':>9} {'wall':>9} {'µs/step':>9}  loss of the first rows", flush=True)
    came: list[Process] = []
    failures: dict[str, str] = {}
    large = work.batches is None
    peers = [peer for peer in PEERS if not (large and peer.rewrites)]
    with ExitStack() as stack:
        for side in [Process.begin(peer, work, data, stack) for peer in peers if not peer.absent]:
            try:
                side.warm(WARM_LARGE if large else WARM)
                came.append(side)
            except Failed as failed:
                failures[side.peer.name] = str(failed)
        for _ in range(rounds):
            for side in came:
                side.round(seconds)
    _print_table(peers, came, failures)
    return not failures


def _print_table(peers: list[Peer], came: list[Process], failures: dict[str, str]) -> None:
    measured = {side.peer.name: side for side in came}
    for peer in peers:
        if peer.absent:
            print(f"{peer.title:34} not installed: {', '.join(peer.absent)}")
        elif peer.name in failures:
            print(f"{peer.told:34} failed: {failures[peer.name]}")
        else:
            side, plain = measured[peer.name], measured["tutorial"]
            cpu, wall = (plain.step(clock) / side.step(clock) for clock in (0, 1))
            print(f"{peer.told:34} {cpu:9.2f} {wall:9.2f} {1e6 * side.step(0):9.2f}  {side.learned}")


def main() -> None:
    """Print the tables; leave with 1 where a side failed."""
    parser = argparse.ArgumentParser(description="Training with zoo and with others, beside the tutorials' own loop.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST, FashionMNIST, tinyshakespeare")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.3, help="that a round lasts, at least")
    parser.add_argument("works", nargs="*", metavar="WORK", help="names of specs; by default all")
    asked = parser.parse_args()
    works = [work for work in WORKS if not asked.works or work.spec in asked.works]
    came = [compare(work, asked.data.resolve(), asked.rounds, asked.seconds) for work in works]
    print(f"\n{os.cpu_count()} cores; load {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    sys.exit(int(not all(came)))


if __name__ == "__main__":
    main()
