"""OpenVINO on the CPU, in float32: by default it computes in bfloat16 where the processor can."""

import numpy as np
import openvino

FORBIDDEN = ("torch", "onnx")
"""Modules that must not be in the process: the file has to stand by itself."""

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def load(path: str, options: dict[str, str | int]) -> openvino.CompiledModel:
    """Return the compiled model; options: "threads"."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": int(options["threads"])}
    return openvino.Core().compile_model(path, "CPU", settings)


def run(model: openvino.CompiledModel, inputs: dict[str, Array]) -> list[Array]:
    """Return the outputs in the file's order."""
    found = model(inputs)
    return [np.array(found[output]) for output in model.outputs]


def version() -> str:
    """Return OpenVINO's version."""
    return str(openvino.__version__)
