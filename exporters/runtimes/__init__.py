"""Runtimes: programs that execute an exported file, each in a fresh process that has nothing of zoo.

A runtime is one file beside this one with three functions and no import of zoo: `load(path, options)`,
`run(loaded, inputs)` and `version()`. The file `_process.py` is started with `python -I`, loads the runtime's file by
its path, and answers through .npz files. It may take a share of the free memory and a time, whatever the file says.
"""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import numpy as np

from exporters.arrays import Array
from zoo.economy import free_memory
from zoo.errors import ProofFailed

TIMEOUT = 600.0  # seconds for all batches of one model
SHARE = 0.75  # of the free memory: a stranger's file may ask for any size
LEAST_MEMORY = 2**31  # bytes; torch alone takes a quarter of that

ONNXRUNTIME = Path(__file__).with_name("onnxruntime.py")
OPENVINO = Path(__file__).with_name("openvino.py")
TORCHSCRIPT = Path(__file__).with_name("torchscript.py")
TORCH_EXPORT = Path(__file__).with_name("torch_export.py")


@dataclass(frozen=True)
class Answers:
    """What a runtime gave: for each batch, its outputs in the file's order."""

    outputs: tuple[tuple[Array, ...], ...]
    version: str


def ask(
    runtime: Path, model: Path, batches: Sequence[Mapping[str, Array]], options: Mapping[str, str | int]
) -> Answers:
    """Return what a runtime makes of an exported file, in a process of its own.

    Args:
        runtime: the runtime's file.
        model: the exported file.
        batches: for each run of the model, the array of each named input.
        options: passed to the runtime's `load`.

    Raises:
        ProofFailed: the process failed, asked for too much memory, or gave no answer in time.
    """
    with asking(runtime, model, batches, options) as answers:
        return answers()


@contextmanager
def asking(
    runtime: Path, model: Path, batches: Sequence[Mapping[str, Array]], options: Mapping[str, str | int]
) -> Iterator[Callable[[], Answers]]:
    """Start what `ask` does, and yield what waits for the answers; a process that still runs at the end is killed."""
    memory = max(LEAST_MEMORY, int(SHARE * free_memory()))
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        questions, answers = Path(folder, "questions.npz"), Path(folder, "answers.npz")
        np.savez(
            questions,
            allow_pickle=False,
            **{f"{index}:{key}": array for index, batch in enumerate(batches) for key, array in batch.items()},
        )
        driver = Path(__file__).with_name("_process.py")
        places = [str(path) for path in (driver, runtime, model.absolute(), questions, answers)]
        seconds = math.ceil(TIMEOUT * max(1, int(options.get("threads", 1))))
        limits = {"memory": memory, "seconds": seconds}  # of the processor: it ends too when this process is killed
        command = [sys.executable, "-I", *places, json.dumps(dict(options)), json.dumps(limits)]
        with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=folder) as process:
            try:
                yield lambda: _answers(process, (runtime.stem, model.name, memory), answers, len(batches))
            finally:
                process.kill()  # does nothing where it has ended


def _answers(process: subprocess.Popen[str], told: tuple[str, str, int], answers: Path, count: int) -> Answers:
    """Return the answers to `count` batches when the process has written them.

    Args:
        process: that runs the model.
        told: the runtime, the model, and the bytes of memory that it may have.
        answers: where the process writes them.
        count: of the batches.
    """
    runtime, model, memory = told
    try:
        _, errors = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise ProofFailed(f"{runtime} gave no answer in {TIMEOUT:g} s for {model}", _REMEDY) from error
    if process.returncode != 0:
        raise ProofFailed(f"{runtime} cannot run {model}: {_said(errors, process.returncode, memory)}", _REMEDY)
    with np.load(answers, allow_pickle=False) as found:
        outputs = tuple(
            tuple(found[key] for key in sorted(found, key=_order) if _order(key)[0] == index) for index in range(count)
        )
        return Answers(outputs, str(found["version"]))


_REMEDY = "nothing was published; `zoo doctor` shows the installed versions"


def _said(errors: str, status: int, memory: int) -> str:
    """Return the signal that ended it, or the line of a traceback that names the error; else the last line."""
    if status < 0:
        return f"it is ended by {signal.Signals(-status).name} ({signal.strsignal(-status)})"
    if re.search(r"MemoryError|bad_alloc|[Ff]ailed to allocate memory|can't allocate memory|not enough memory", errors):
        return f"it asks for more than the {memory / 2**30:.1f} GiB of memory that it may have"
    lines = [line for line in errors.splitlines() if line.strip()] or [f"exit status {status}"]
    named = [
        line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Fail|InvalidGraph|Invalid\w*)\b", line)
    ]
    return (named or lines)[-1]


def _order(key: str) -> tuple[int, int]:
    batch, _, position = key.partition(":")
    return (int(batch), int(position)) if position else (-1, 0)
