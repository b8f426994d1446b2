"""What a run was made with, and what `zoo doctor` finds on a machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

from zoo import __version__
from zoo.check import CheckedSpec
from zoo.device import describe
from zoo.initializers.warm_start import WarmStart
from zoo.warm_start import weights_file

PACKAGES = ("torch", "torchvision", "numpy", "pydantic", "onnx", "onnxscript", "onnxruntime", "safetensors")


def versions() -> dict[str, str]:
    """Return the version of zoo, of Python, and of each package zoo stands on; "absent" where there is none."""
    return {"zoo": __version__, "python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


@cache  # reading what is installed takes 3 ms in all, and each trial of a search is a training
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@dataclass(frozen=True)
class Changed:
    """What is another now than it was."""

    name: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.name} {self.now}, not {self.then}"


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """Return all of a machine and its programs that a training's bits may depend on; no user, host or path."""
    return {
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "processes": torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1,
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": str(torch.version.cuda),
        **versions(),
    }


def describe_run(device: torch.device, checked: CheckedSpec) -> dict[str, str | int]:
    """Return what environment.json says of a run, its files of first weights by their hashes.

    Raises:
        RunError: such a file is not there.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="microseconds"),
        "spec_sha256": checked.spec.sha256(),
        **({} if checked.spec.train.exact else {"bits": "others than the plain loop's in the last places"}),
        **{f"warm_start_{number}": digest for number, digest in enumerate(_sources(checked), 1)},
        **describe_machine(device),
    }


def changes(then: Mapping[str, object], now: Mapping[str, object]) -> list[Changed]:
    """Return what is another now, apart from when it was."""
    pairs = ((name, str(then.get(name, "unknown")), str(value)) for name, value in now.items() if name != "started")
    return [Changed(name, old, new) for name, old, new in pairs if old != new]


def _processor() -> str:
    """Return what the processor is called; Python's own word for it is empty on Linux."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines() if listed.is_file() else []
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.processor() or "unknown")


def _sources(checked: CheckedSpec) -> list[str]:
    """Return the sha256 of each file that the weights start from.

    Raises:
        RunError: one is not there.
    """
    digests = []
    for initializer in checked.spec.init:
        if isinstance(initializer, WarmStart):
            with weights_file(initializer.source).open("rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests
