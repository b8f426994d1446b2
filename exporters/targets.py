"""Targets: programs that an ONNX file is for; each bounds its opset and IR, and is proven by loading it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from exporters.runtimes import ONNXRUNTIME, OPENVINO
from zoo.errors import UsageError
from zoo.nearest import suggestion

ONNXRUNTIMES: tuple[tuple[tuple[int, int], int, int], ...] = (
    ((1, 13), 17, 8),
    ((1, 14), 18, 8),
    ((1, 16), 19, 9),
    ((1, 17), 20, 9),
    ((1, 18), 21, 10),
    ((1, 21), 22, 10),
    ((1, 23), 23, 11),
)
"""From which version on, the newest opset and the newest IR that onnxruntime loads.

1.15 to 1.23: measured with a Relu of each opset and each IR in that version; and up to 1.18 with four models of the
zoo: 1.15 loads opset 19, but has no Reshape and no Shape of it. 1.13 and 1.14, which have no wheel for today's Python:
https://onnxruntime.ai/docs/reference/compatibility.html.
"""
TRITON = (1, 18)  # what its onnxruntime backend must have at least
WEB = (1, 18)  # onnxruntime-web must have at least; 1.18 and 1.30 ran linear3, LeNet-5, an LSTM and a GPT in wasm
OPENVINO_OPSET, OPENVINO_IR = 20, 10  # the newest that was tried


@dataclass(frozen=True)
class Target:
    """A program that the file must load in."""

    name: str
    """As a person writes it."""
    opset: int
    """The newest that it loads."""
    ir: int
    """The newest that it loads."""
    runtime: Path
    """What the file is run with in the proof."""
    proof: str
    """What the proof shows of it."""


def find(name: str) -> Target:
    """Return the target of a name.

    Raises:
        UsageError: no target is called so, it is of a version that is not known, or what proves it is not installed.
    """
    family, bound, version = re.fullmatch(r"([^<>=!~]*)([<>=!~]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]  # matches every text
    family = family.strip()
    if family not in NAMES:
        raise UsageError(f"no such target: {family[:100]}", suggestion(family, NAMES))
    if (bound or version) and (
        family != "onnxruntime" or bound != ">=" or not re.fullmatch(r"\d+\.\d+(\.\d+)?", version)
    ):
        raise UsageError(f"no such target: {name[:100]}", "write for example: --target 'onnxruntime>=1.17'")
    if family == "openvino":
        return _openvino()
    least = {"triton": TRITON, "web": WEB}.get(family) or (_parts(version) if version else _parts(_installed()))
    return _onnxruntime(name, least)


NAMES = ("onnxruntime", "openvino", "triton", "web")


def _onnxruntime(name: str, least: tuple[int, int]) -> Target:
    """Return what an onnxruntime of this version or a later one loads."""
    rows = [(opset, ir) for since, opset, ir in ONNXRUNTIMES if since <= least]
    if not rows:
        oldest = ".".join(map(str, ONNXRUNTIMES[0][0]))
        raise UsageError(
            f"{name}: versions before {oldest} load no opset that zoo writes", f"write onnxruntime>={oldest}"
        )
    here = _installed()
    if least > _parts(here):
        wanted = ".".join(map(str, least))
        raise UsageError(f"{name} cannot be proven with onnxruntime {here}", f"pip install 'onnxruntime>={wanted}'")
    opset, ir = rows[-1]
    since = ".".join(map(str, least))
    shown = f"opset and IR are within what onnxruntime {since} loads; run with onnxruntime {here}"
    return Target(name, opset, ir, ONNXRUNTIME, shown)


def _openvino() -> Target:
    if importlib.util.find_spec("openvino") is None:
        raise UsageError("openvino is not installed here, so the file cannot be proven there", "pip install openvino")
    version = importlib.metadata.version("openvino")
    return Target("openvino", OPENVINO_OPSET, OPENVINO_IR, OPENVINO, f"run with OpenVINO {version} in float32")


def _installed() -> str:
    return importlib.metadata.version("onnxruntime")


def _parts(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
