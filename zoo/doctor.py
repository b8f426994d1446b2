"""What is on this machine, and one line of remedy for what is missing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch

from zoo.environment import versions


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: Literal["ok", "missing", "none"]
    """"none": it is not here, and nothing that zoo does needs it."""
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Return findings on Python, the packages, CUDA and each GPU, and the providers of onnxruntime."""
    return [*_packages(), *_cuda(), *_providers(), _writable()]


def _packages() -> list[Finding]:
    found = versions()
    return [
        Finding(name, "missing", "not installed", f"pip install {name}")
        if version == "absent"
        else Finding(name, "ok", version)
        for name, version in found.items()
    ]


def _cuda() -> list[Finding]:
    if not torch.cuda.is_available():
        if torch.version.cuda is None:
            return [Finding("cuda", "none", "this torch is built without CUDA", "install a CUDA build to use a GPU")]
        detail = f"torch is built for CUDA {torch.version.cuda}, but finds no GPU"
        return [Finding("cuda", "none", detail, "training runs on the CPU; for a GPU, check its driver: nvidia-smi")]
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [
        Finding("cuda", "ok", str(torch.version.cuda)),
        *(
            Finding(f"cuda:{index}", "ok", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")
            for index, gpu in enumerate(gpus)
        ),
    ]


def _providers() -> list[Finding]:
    try:
        import onnxruntime
    except ImportError as error:
        return [Finding("onnxruntime providers", "missing", str(error), "pip install --force-reinstall onnxruntime")]
    providers = [str(name).removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    if "CPU" not in providers:
        remedy = "pip install --force-reinstall onnxruntime"
        return [Finding("onnxruntime providers", "missing", ", ".join(providers), remedy)]
    return [Finding("onnxruntime providers", "ok", ", ".join(providers))]


def _writable() -> Finding:
    if os.access(".", os.W_OK):
        return Finding("this directory", "ok", "writable: runs go to runs/")
    return Finding("this directory", "missing", "not writable", "change to another directory, or give --out to train")
