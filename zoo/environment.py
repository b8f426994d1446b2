"""What a run was made with, and what `zoo doctor` finds on a machine."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime

import torch

from zoo import __version__
from zoo.device import describe

PACKAGES = ("torch", "torchvision", "numpy", "pydantic", "onnx", "onnxscript", "onnxruntime", "safetensors")


def versions() -> dict[str, str]:
    """Return the version of zoo, of Python, and of each package zoo stands on; "absent" where there is none."""
    found = {"zoo": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def describe_run(device: torch.device, spec_sha256: str) -> dict[str, str | int]:
    """Return what environment.json says of a run; no user, host or path."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="microseconds"),
        "spec_sha256": spec_sha256,
        "device": describe(device),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        **versions(),
    }
