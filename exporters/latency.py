"""Latency: how long the files of a bundle and the run they come from take for batches of each size, side by side.

All stand in one process and answer in turns, so that what else the machine does slows all of them alike.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from exporters import certificate, integrity, questions
from exporters.arrays import Array
from exporters.certificate import Certificate, Format
from exporters.locating import find_bundle
from exporters.runtimes import onnxruntime, torch_export, torchscript
from zoo.errors import ExportError, reason
from zoo.run import Run
from zoo.strict import Strict
from zoo.training.evaluation import evaluating

BATCHES = (1, 8, 64)
WARM_UP = 3  # calls; torch and onnxruntime plan their memory in the first ones
FEWEST, MOST = 5, 2000  # rounds of one batch size
SECONDS = 2.0  # for one batch size, all programs together, once they are warm
Answer = Callable[[Array], object]


@dataclass(frozen=True)
class Haste:
    """How to measure."""

    batches: tuple[int, ...] = BATCHES
    """Rows of each batch."""
    threads: int = 1
    """Threads of each program."""
    seconds: float = SECONDS
    """For each batch size; FEWEST rounds are made however long they take."""


class Measured(Strict):
    """One program at one batch size."""

    program: str
    """What ran, with its version."""
    batch: int
    """Rows at a time."""
    rounds: int
    """How often."""
    p50_ms: float
    """Milliseconds that half of the calls did not exceed."""
    p99_ms: float
    """Milliseconds that 99 of 100 calls did not exceed; the slowest call where there are fewer."""
    rows_per_second: float
    """Rows over the time of all calls."""


class Benchmark(Strict):
    """Programs side by side."""

    bundle: str
    """The folder."""
    threads: int
    """Threads of each program."""
    cores: int
    """Of the machine."""
    measured: tuple[Measured, ...]
    """Each program at each batch size."""
    left_out: tuple[str, ...]
    """Programs that were not measured, and why."""


def benchmark(reference: str | None, haste: Haste) -> Benchmark:
    """Return how long each program takes for batches of a bundle's own rows.

    Args:
        reference: a bundle, or a run with one.
        haste: batch sizes, threads and time.

    Raises:
        UsageError: there is no bundle.
        ProofFailed: it is not as it was certified.
        ExportError: a program cannot answer.
    """
    folder, run = find_bundle(reference)
    made = integrity.read(folder)
    integrity.require_files(made, folder)
    inputs = max(questions.read(folder, made.golden).held_out, key=lambda question: question.inputs[0].size).inputs
    before = torch.get_num_threads()
    torch.set_num_threads(haste.threads)
    try:
        eager, left = _eager(run, made)
        files = {
            _called(proof.format): _load(proof.format, folder / proof.file, haste.threads) for proof in made.proofs
        } | {
            f"{_called('onnx')}, {found.precision}": _load("onnx", folder / found.file, haste.threads)
            for found in made.reduced
        }
        batches = [inputs[np.arange(size) % len(inputs)] for size in haste.batches]
        measured = [found for batch in batches for found in _measure(eager | files, batch, haste)]
    finally:
        torch.set_num_threads(before)
    return Benchmark(
        bundle=str(folder),
        threads=haste.threads,
        cores=os.cpu_count() or 1,
        measured=tuple(measured),
        left_out=left,
    )


def _eager(run: Run | None, made: Certificate) -> tuple[dict[str, Answer], tuple[str, ...]]:
    """Return the run's module as a program, where it is the one that was exported; else why it is left out."""
    called = f"torch {torch.__version__}, eager"
    if run is None:
        return {}, (f"{called}: the bundle stands in no run",)
    module = run.load_model()
    if certificate.weights_sha256(module.state_dict()) != made.weights_sha256:
        return {}, (f"{called}: the run's weights are not those that were exported",)
    return {called: _answering(module)}, ()


def _answering(module: nn.Module) -> Answer:
    def answer(rows: Array) -> object:
        with evaluating(module):
            return module(torch.from_numpy(rows))

    return answer


def _called(form: Format) -> str:
    return {
        "onnx": f"onnxruntime {onnxruntime.version()}",
        "torchscript": f"torch {torch.__version__}, TorchScript",
        "pt2": f"torch {torch.__version__}, torch.export",
    }[form]


def _load(form: Format, path: Path, threads: int) -> Answer:
    if form == "onnx":
        session = onnxruntime.load(str(path), {"optimize": 1, "threads": threads, "spin": 0})
        (given,) = (value.name for value in session.get_inputs())
        return lambda rows: onnxruntime.run(session, {given: rows})
    if form == "torchscript":
        script = torchscript.load(str(path), {"threads": threads})
        return lambda rows: torchscript.run(script, {"input": rows})
    module = torch_export.load(str(path), {"threads": threads})
    return lambda rows: torch_export.run(module, {"input": rows})


def _measure(programs: Mapping[str, Answer], rows: Array, haste: Haste) -> list[Measured]:
    """Return the times of all programs on one batch, asked in turns."""
    names = list(programs)
    for name in names * WARM_UP:
        _timed(name, programs[name], rows)
    times: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + haste.seconds
    for rounds in range(MOST):
        if rounds >= FEWEST and time.perf_counter() > end:
            break
        first = rounds % len(names)  # another one begins each round
        for name in names[first:] + names[:first]:
            times[name].append(_timed(name, programs[name], rows))
    return [_summed(name, len(rows), found) for name, found in times.items()]


def _timed(name: str, program: Answer, rows: Array) -> float:
    began = time.perf_counter()
    try:
        program(rows)
    except (RuntimeError, MemoryError) as error:
        said = f"{name} cannot answer a batch of {len(rows)}: {reason(error)}"
        raise ExportError(said, "give a smaller --batch") from error
    return time.perf_counter() - began


def _summed(name: str, batch: int, times: Sequence[float]) -> Measured:
    p50, p99 = (float(np.percentile(times, share, method="higher")) * 1000 for share in (50, 99))
    return Measured(
        program=name,
        batch=batch,
        rounds=len(times),
        p50_ms=round(p50, 4),
        p99_ms=round(p99, 4),
        rows_per_second=round(batch * len(times) / sum(times), 1),
    )
