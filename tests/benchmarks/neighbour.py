"""How long a step takes beside a busy neighbour, in multiples of its own quiet time, with the settings of `zoo train`.

A row of training.py. The training has a process of its own, because threads are settled before torch is imported; the
neighbour is a loop in Python, pinned to no core, that is stopped and let go in turn. Wall time: what a person waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

REPOSITORY = Path(__file__).parent.parent.parent
SETTINGS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")  # what a person has not set
MOST = 1.5  # times the quiet time
SECONDS = 0.5  # that a round lasts, at least
WARM = 60  # steps, in which one is recorded and proven


def slowdown(spec: str, changes: Sequence[str], rounds: int) -> tuple[float, int]:
    """Return how many times as long a step takes beside a neighbour, and on how many threads it ran."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), environment.get("PYTHONPATH")]))
    quiet: list[float] = []
    busy: list[float] = []
    with ExitStack() as stack:
        program = [sys.executable, __file__, spec, *changes]
        training = stack.enter_context(
            subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        )
        assert training.stdin is not None
        assert training.stdout is not None
        threads = int(training.stdout.readline())
        neighbour = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
        stack.callback(neighbour.kill)
        for _ in range(rounds):
            for times, order in ((quiet, signal.SIGSTOP), (busy, signal.SIGCONT)):
                neighbour.send_signal(order)
                print(SECONDS, file=training.stdin, flush=True)
                times.append(float(training.stdout.readline()))
    return median(busy) / median(quiet), threads


def row(name: str, spec: str, changes: Sequence[str], rounds: int) -> tuple[str, bool]:
    """Return the line of the table, and whether a step takes too long."""
    times, threads = slowdown(spec, changes, rounds)
    told = f"× its quiet time; threads: {threads}, load: {os.getloadavg()[0]:.1f}"
    return f"{name:42} {'':7} {times:7.2f} {MOST:6.2f}  {told}", times > MOST


def main() -> None:
    """Train until stdin ends; answer each line, a number of seconds, with what a step took over so long."""
    from zoo.economy import settle

    settle()
    import torch

    from training import Ours
    from zoo.check import check_file
    from zoo.training.threads import settle_threads

    spec, *changes = sys.argv[1:]
    checked = check_file(spec, changes)
    settle_threads(checked)
    ours = Ours(checked)
    ours.run(1)
    begun = perf_counter()
    ours.run(1)
    steps = max(1, int(SECONDS / 20 / (perf_counter() - begun)))
    ours.run(min(WARM, 10 * steps))
    print(torch.get_num_threads(), flush=True)
    for line in sys.stdin:
        done, begun = 0, perf_counter()
        while perf_counter() < begun + float(line):
            ours.run(steps)
            done += steps
        print((perf_counter() - begun) / done, flush=True)


if __name__ == "__main__":
    main()
