"""onnxruntime on the CPU."""

import numpy as np
import onnxruntime

FORBIDDEN = ("torch", "onnx")
"""Modules that must not be in the process: the file has to stand by itself."""

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]


def load(path: str, options: dict[str, str | int]) -> onnxruntime.InferenceSession:
    """Return a session; options: "optimize" 0 or 1 for graph optimisations, "threads", "spin" 0 or 1."""
    settings = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    settings.graph_optimization_level = levels.ORT_ENABLE_ALL if options["optimize"] else levels.ORT_DISABLE_ALL
    settings.intra_op_num_threads = int(options["threads"])
    settings.log_severity_level = 3  # errors
    if not options.get("spin", 1):
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, inputs: dict[str, Array]) -> list[Array]:
    """Return the outputs in the file's order."""
    outputs: list[Array] = session.run(None, inputs)
    return outputs


def version() -> str:
    """Return onnxruntime's version."""
    return str(onnxruntime.__version__)
