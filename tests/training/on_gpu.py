"""Trainings on the CPU and on the accelerator in software, side by side: documents on stdin, what differs on stdout.

A program of its own, because torch knows a device of this kind for the rest of a process.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import emulated
import pytest
import torch

from zoo import trainer
from zoo.check import check_file
from zoo.destination import Destination
from zoo.run import Run
from zoo.training import captured, strides
from zoo.training.watching import Moment, Row


class Silent:
    """A watcher that looks away."""

    def on_step(self, moment: Moment) -> None:
        """See nothing."""

    def on_row(self, row: Row) -> None:
        """See nothing."""


class Heard(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(record.getMessage())


# Any: JSON, and functions without types of their own.
def compared(document: dict[str, Any], mode: str, folder: Path, known: dict[str, tuple[object, ...]]) -> dict[str, Any]:
    """Return whether both trainings end with the same bits, where steps waited, and how many were captured ones.

    Args:
        document: a spec.
        mode: how the accelerator takes its steps.
        folder: for both runs.
        known: what documents gave on the CPU; filled.
    """
    text = json.dumps(document)
    (folder / "spec.json").write_text(text)
    checked = check_file(str(folder / "spec.json"))
    counts = {"captured": 0, "waits": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strides, "PAYS", float("inf"))
        if text not in known:
            known[text] = _what(trainer.train_run(checked, "cpu", Destination(folder / "cpu"), Silent()))
        patch.setattr(trainer, "find_device", lambda name: torch.device(name, 0))
        patch.setattr(strides, "CAPTURING", () if mode == "plain" else ("gpu",))
        patch.setattr(strides, "PAYS", 0.0)
        patch.setattr(strides, "SLOW", float("inf"))
        patch.setattr(captured, "WORTH", 0.0 if mode == "slow" else float("inf"))
        patch.setattr(captured, "graph_of", emulated.graph_of)
        if mode == "stale":
            patch.setattr(captured.Captured, "run", _forgetful(captured.Captured.run))
        patch.setattr(strides.Strides, "advance", _counted(strides.Strides.advance, counts))
        patch.setattr(strides.Strides, "_leap", _leaping(strides.Strides._leap, counts))
        with emulated.emulation(), _listening() as heard:
            found = trainer.train_run(checked, "gpu", Destination(folder / "gpu"), Silent())
    return {"same": _what(found) == known[text], "said": heard.said, **counts}


def _forgetful(run: Any) -> Any:
    """Return a run of a graph that trains on the batch it was captured with, whatever the batch."""

    def forgetting(self: Any, batches: Any, losses: Any, start: int, stop: int) -> None:
        inputs = self.inputs.clone()
        run(self, batches, losses, start, stop)
        self.inputs.copy_(inputs)
        self.start()

    return forgetting


def _counted(advance: Any, counts: dict[str, int]) -> Any:
    """Return an advance that counts where a step waits; the epoch's order may be read once."""

    def counting(self: Any, *arguments: Any) -> None:
        first, done = len(emulated.waits), self._done
        advance(self, *arguments)
        proving = done in range(strides.PLAIN, strides.PLAIN + 1 + strides.PROOFS)  # a snapshot is compared
        asked = [where for where in emulated.waits[first:] if not where.endswith("_numbers")]
        counts["waits"] += 0 if proving else len(asked)

    return counting


def _leaping(leap: Any, counts: dict[str, int]) -> Any:
    def counting(self: Any, *arguments: Any) -> None:
        counts["captured"] += 1
        leap(self, *arguments)

    return counting


@contextmanager
def _listening() -> Iterator[Heard]:
    heard, log = Heard(), logging.getLogger(strides.__name__)
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    yield heard
    log.removeHandler(heard)


def _what(run: Run) -> tuple[object, ...]:
    """Return the files of a run, its measurements without their times, and its last checkpoint's numbers."""
    files = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*"))
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in run.rows()]
    record = torch.load(run.checkpoint_file, weights_only=True)
    numbers = [leaf for leaf in torch.utils._pytree.tree_leaves(record) if isinstance(leaf, torch.Tensor)]
    kept = [tensor.numpy().tobytes() for tensor in (*run.weights().values(), *numbers)]
    return files, rows, kept


def main() -> None:
    """Answer [[name, mode, document], …] with {name: what was found}."""
    torch.set_num_threads(1)
    emulated.begin()
    answers: dict[str, Any] = {}
    known: dict[str, tuple[object, ...]] = {}
    for name, mode, document in json.load(sys.stdin):
        emulated.waits.clear()
        with TemporaryDirectory() as folder:
            answers[name] = compared(document, mode, Path(folder), known)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
