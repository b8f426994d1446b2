"""Reproduction: a run trained once more beside it, and compared with it bit for bit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.destination import Destination
from zoo.environment import Changed, changes
from zoo.errors import Diverged, FrozenMoved, Interrupted, RunError
from zoo.files import workshop
from zoo.processes import COMMAND_LINE
from zoo.run import Run
from zoo.trainer import train_run
from zoo.training.watching import Row, Watcher

TIMES = ("seconds",)
"""Columns of metrics.jsonl that no run shares with another."""


@dataclass(frozen=True)
class Weights:
    """How the tensors of two trainings differ."""

    tensors: int
    differing: tuple[str, ...] = ()
    """Names of those that are not the same bits."""
    largest_difference: float = 0.0
    """Of two numbers; NaN where one of them is."""

    def record(self) -> dict[str, object]:
        """Return it as JSON values."""
        largest = self.largest_difference
        return {
            "tensors": self.tensors,
            "differing": len(self.differing),
            "first": self.differing[0] if self.differing else None,
            "largest_difference": largest if largest == largest else None,
        }


@dataclass(frozen=True)
class Deviation:
    """The first measurement that is another."""

    row: int
    """Line of metrics.jsonl, counted from 1."""
    name: str
    """Of the column; empty where one training has no such line."""
    then: float | None
    now: float | None


@dataclass(frozen=True)
class Reproduction:
    """A run held against the same training done once more."""

    run: str
    rows: int
    """Lines of metrics.jsonl."""
    weights: Weights | None
    """None where the second training did not end."""
    deviation: Deviation | None
    environment: tuple[Changed, ...]
    fault: str = ""
    """Why the second training did not end."""

    @property
    def passed(self) -> bool:
        """Return whether weights and measurements are the same to the bit."""
        return self.weights is not None and not self.weights.differing and self.deviation is None

    def __str__(self) -> str:
        if self.weights is None:
            return f"not reproduced: {self.run}: {self.fault}"
        found = self.weights
        if self.passed:
            return f"reproduced: {self.run}: {found.tensors:,} tensors bit for bit, {self.rows:,} rows of metrics"
        said = []
        if found.differing:
            largest = f"largest difference {found.largest_difference:.3g}"
            said.append(
                f"{len(found.differing)} of {found.tensors} tensors differ, first {found.differing[0]}, {largest}"
            )
        if self.deviation is not None:
            first = self.deviation
            said.append(f"row {first.row} of metrics.jsonl: {first.name or 'the row'} was {first.then}, is {first.now}")
        return f"not reproduced: {self.run}: {'; '.join(said)}"

    def record(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "run": self.run,
            "passed": self.passed,
            "fault": self.fault,
            "weights": self.weights.record() if self.weights is not None else None,
            "metrics": {"rows": self.rows, "first_difference": vars(self.deviation) if self.deviation else None},
            "environment": [vars(change) for change in self.environment],
        }


def reproduce(run: Run, device_name: str | None, watcher: Watcher) -> Reproduction:
    """Train a run's spec once more, in a directory beside it that is gone at the end, and compare the two.

    As many processes and threads compute as did for the run.

    Args:
        run: one whose training has ended.
        device_name: where; by default on the device of the run.
        watcher: of the second training.

    Raises:
        RunError: the run has no weights, or its environment is damaged; or its second training of several processes
            did not end.
        Interrupted: a signal came.
        ZooError: as `train_run`.
    """
    then, weights, rows = run.environment(), run.weights(), _measured(run.rows())
    processes = then.get("processes")
    device = str(then.get("device", "auto")).split(" ")[0] if device_name is None else device_name
    with workshop(run.path.resolve()) as folder, _threads(then.get("threads")):
        again = Run(folder / "run", run.overrides)
        try:
            if isinstance(processes, int) and processes > 1:
                _train_together(run, again, device, processes)
            else:
                train_run(run.checked, device, Destination(again.path), watcher)
        except Interrupted as error:
            remedy = f"zoo reproduce {run.path}"
            raise Interrupted(f"{run.path} is not reproduced yet", remedy, error.signal_number) from error
        except (Diverged, FrozenMoved) as error:
            found = _changes(run, then, again)
            return Reproduction(str(run.path), len(rows), None, None, found, error.message)
        found = _changes(run, then, again)
        differing, deviation = compared(weights, again.weights()), _deviation(rows, _measured(again.rows()))
    resumed = then.get("resumed")
    if resumed is not None:
        found = (*found, Changed("resumed", str(resumed), "not resumed"))
    return Reproduction(str(run.path), len(rows), differing, deviation, found)


def _changes(run: Run, then: Mapping[str, object], again: Run) -> tuple[Changed, ...]:
    """Return what is another now; the hash of a spec that only a zoo of fewer options wrote down otherwise is not."""
    named = changes(then, again.environment())
    same = run.checked.is_of(then.get("spec_sha256"))
    return tuple(change for change in named if not (same and change.name == "spec_sha256"))


def _train_together(run: Run, again: Run, device: str, processes: int) -> None:
    """Train a run's spec once more with so many processes of this machine, which tell their course on stderr.

    Raises:
        Interrupted: a signal came.
        Diverged: the training did.
        RunError: it ended otherwise before its time.
        ProcessLost: a process was killed.
    """
    from zoo.training.launcher import launch  # imports torch's elastic launcher, which one process does not need

    sets = [part for override in run.overrides for part in ("--set", override)]
    with _results_on_stderr(), _environment("OMP_NUM_THREADS", str(torch.get_num_threads())):
        places = ["--device", device, "--out", str(again.path)]
        status = launch(COMMAND_LINE, ["train", str(run.spec_file), *sets, *places], processes)
    if status > 128:
        raise Interrupted(f"{run.path} is not reproduced yet", f"zoo reproduce {run.path}", status - 128)
    faults = [str(row["error"]) for row in again.rows() if "error" in row]
    if faults:
        raise Diverged(faults[-1], "see what is another on this machine")
    if status:
        raise RunError(f"the second training of {run.path} did not end: status {status}", "see what it said above")


def compared(then: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> Weights:
    """Return how the tensors of the same spec differ, to the bit."""
    differing = tuple(name for name in then if not _same(then[name], now[name]))
    sizes = [(then[name].double() - now[name].double()).abs().max() for name in differing]
    return Weights(len(then), differing, float(torch.stack(sizes).max()) if sizes else 0.0)


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same bits; so NaN is the same as NaN, and 0 another than -0."""
    return torch.equal(one.flatten().view(torch.uint8), other.flatten().view(torch.uint8))


def _measured(rows: Sequence[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows if "error" not in row]


def _deviation(then: Sequence[Row], now: Sequence[Row]) -> Deviation | None:
    """Return the first measurement that is another; None where all are the same."""
    for number, (one, other) in enumerate(zip(then, now, strict=False), 1):
        for name in {**one, **other}:
            if one.get(name) != other.get(name):
                return Deviation(number, name, one.get(name), other.get(name))
    if len(then) == len(now):
        return None
    number = min(len(then), len(now)) + 1
    there, here = (rows[number - 1]["epoch"] if number <= len(rows) else None for rows in (then, now))
    return Deviation(number, "", there, here)


@contextmanager
def _results_on_stderr() -> Iterator[None]:
    """Let what processes print that are started inside, as results of theirs, go to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Give processes that are started inside a variable; what it was before comes back."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _threads(count: object) -> Iterator[None]:
    """Let torch compute with so many threads; it has its own number again at the end."""
    before = torch.get_num_threads()
    if isinstance(count, int) and count > 0:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
