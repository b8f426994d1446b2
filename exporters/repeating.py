"""Repeating: the parts of a proof that need torch and onnx, done again from a bundle alone."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from zipfile import BadZipFile

import onnx
import torch
from google.protobuf.message import DecodeError

from exporters import certificate, replaying, torch_export
from exporters.certificate import Format
from exporters.golden import Golden, Question
from exporters.questions import Questions
from exporters.tolerance import GRAPH_LIMIT
from exporters.weights import unreadable
from zoo.errors import ProofFailed, reason

_REMEDY = "ask for the bundle again, or export it again"


def require_valid(path: Path) -> None:
    """Refuse a file that onnx's own checker refuses.

    Raises:
        ProofFailed: with what it says.
    """
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ProofFailed(f"{path.name} is not valid ONNX: {reason(error)}", _REMEDY) from error


def require_float64(path: Path, asked: Questions, given: str) -> None:
    """Refuse a graph that is not the model in float64.

    Args:
        path: an ONNX file.
        asked: the questions of its bundle.
        given: name of its input.

    Raises:
        ProofFailed: it is further from R64 than allowed.
    """
    error = replaying.float64_error(given, asked.outputs, _golden(asked), path)
    if error > GRAPH_LIMIT:
        said = f"{path.name} is not the model: in float64 it is {error:.3g} of S from R64, above {GRAPH_LIMIT:g}"
        raise ProofFailed(said, _REMEDY)


def require_weights(path: Path, form: Format, sha256: str) -> None:
    """Refuse a file whose tensors are not the certified ones, bit for bit.

    Raises:
        ProofFailed: they are others, or the file cannot be loaded.
    """
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"  # a stranger's pickle would run code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form == "pt2":
                state = dict(torch_export.load(path).state_dict)
            else:
                state = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]  # torch
    except (RuntimeError, ValueError, BadZipFile) as error:
        raise unreadable(path, error) from error
    finally:
        del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
    if certificate.weights_sha256(state) != sha256:
        raise ProofFailed(f"the tensors of {path.name} are not the certified ones, bit for bit", _REMEDY)


def _golden(asked: Questions) -> Golden:
    sides = (
        tuple(Question(found.name, torch.from_numpy(found.inputs), found.truths, found.owns) for found in side)
        for side in (asked.held_out, asked.probes)
    )
    return Golden(*sides)
