"""Whether a compiled training with dropout, stopped and gone on with, ends in the bits of one that was not stopped.

Run: python tests/benchmarks/compiled.py

Three processes, each of which compiles anew: one trains to the end, one is told to stop (SIGTERM) after its second
measurement, and one goes on with that. It takes a minute, most of it torch's compiler, and so is no test of CI.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parent.parent.parent
MOST = 300  # seconds that are waited for a measurement
SPEC = {
    "name": "compiled",
    "data": {
        "type": "FakeImages",
        "size": 397,
        "image_size": [1, 8, 8],
        "num_classes": 10,
        "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}],
    },
    "model": {
        "layers": [
            {"type": "Flatten"},
            {"type": "Linear", "out_features": 32},
            {"type": "ReLU"},
            {"type": "Dropout"},
            {"type": "Linear", "out_features": "classes"},
        ]
    },
    "loss": {"type": "CrossEntropyLoss"},
    "optimizer": {"type": "AdamW"},
    # The last of 25 steps is smaller than the others, and has code of its own.
    "train": {"epochs": 300, "batch_size": 16, "compile": True},
}


def started(folder: Path, arguments: Sequence[str], **changes: str) -> subprocess.Popen[bytes]:
    """Return a started `zoo train`, with a compiler's cache of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"} | changes
    return subprocess.Popen([sys.executable, "-m", "cli", "train", *arguments], cwd=folder, env=environment)


def stop(training: subprocess.Popen[bytes], metrics: Path) -> int:
    """Return the exit status of a training that was told to stop after its second measurement."""
    deadline = time.monotonic() + MOST
    while not (metrics.is_file() and len(metrics.read_bytes().splitlines()) > 1) and time.monotonic() < deadline:
        time.sleep(0.005)
    training.send_signal(signal.SIGTERM)
    return training.wait()


def main() -> int:
    """Print what was compared; the exit status is 1 where bits differ or nothing was stopped."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.json").write_text(json.dumps(SPEC), encoding="utf-8")
        caches = ({"TORCHINDUCTOR_CACHE_DIR": str(folder / f"cache{number}")} for number in range(3))
        whole = started(folder, ["spec.json", "--out", "whole"], **next(caches)).wait()
        cut = stop(started(folder, ["spec.json", "--out", "cut"], **next(caches)), folder / "cut" / "metrics.jsonl")
        resumed = started(folder, ["--resume", "cut"], **next(caches)).wait()
        if (whole, cut, resumed) != (0, 143, 0):
            print(f"the processes ended with {whole}, {cut} and {resumed}, not with 0, 143 and 0")
            return 1
        one, other = ((folder / run / "model.safetensors").read_bytes() for run in ("whole", "cut"))
    print("a compiled training with dropout, gone on with:", "the same bits" if one == other else "OTHER BITS")
    return int(one != other)


if __name__ == "__main__":
    sys.exit(main())
