"""How long `zoo check` takes beside an import of what it stands on, both from a cold start.

Run: python tests/benchmarks/check.py [SPEC] [ROUNDS]
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

REPOSITORY = Path(__file__).parent.parent.parent
SPEC = REPOSITORY / "specs" / "resnet50.json"
ROUNDS = 15
LARGEST_RATIO = 2.5  # what the check may cost, in imports of pydantic and click
BASE = "import pydantic, click"
CHECK = "import sys, cli; sys.argv = ['zoo', 'check', {!r}]; cli.main()"


@dataclass(frozen=True)
class Timing:
    """Wall times of the two commands, in seconds, round by round."""

    base: tuple[float, ...]
    check: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Return the check's median over the base's."""
        return median(self.check) / median(self.base)

    @property
    def best_ratio(self) -> float:
        """Return the check's shortest time over the base's: what is left on a machine that others use."""
        return min(self.check) / min(self.base)


def measure(spec: Path = SPEC, rounds: int = ROUNDS) -> Timing:
    """Return the times of so many rounds, the two commands in turn, after one round that does not count."""
    commands = (BASE, CHECK.format(str(spec)))
    with TemporaryDirectory() as compiled:
        # Both find their bytecode, as installed programs do: the first round writes it.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = compiled
        times = [tuple(_seconds(command, environment) for command in commands) for _ in range(rounds + 1)][1:]
    base, check = zip(*times, strict=True)
    return Timing(base, check)


def _seconds(program: str, environment: dict[str, str]) -> float:
    start = perf_counter()
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    return perf_counter() - start


def main() -> None:
    """Print both times and their ratio."""
    spec = Path(sys.argv[1]) if len(sys.argv) > 1 else SPEC
    timing = measure(spec.resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS)
    print(f"{BASE:24} median {median(timing.base) * 1e3:4.0f} ms, shortest {min(timing.base) * 1e3:4.0f} ms")
    check = f"zoo check {spec.stem}"
    print(f"{check:24} median {median(timing.check) * 1e3:4.0f} ms, shortest {min(timing.check) * 1e3:4.0f} ms")
    print(f"ratio {timing.ratio:.2f}, of the shortest {timing.best_ratio:.2f}; at most {LARGEST_RATIO}")


if __name__ == "__main__":
    main()
