"""What a person asks of an export: formats, and the form of the ONNX file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from exporters import targets
from exporters.certificate import Format, TargetProof
from exporters.opsets import IR_OF, OPSET
from exporters.reduced import Precision
from exporters.storage import ONE_FILE
from exporters.targets import Target
from zoo.errors import UsageError


@dataclass(frozen=True)
class OnnxForm:
    """How the ONNX file is to be written."""

    opset: int = OPSET
    """Version of the operator set."""
    ir: int = IR_OF[OPSET]
    """Version of the file format."""
    targets: tuple[Target, ...] = ()
    """Programs that the file must load in."""
    reduced: tuple[Precision, ...] = ()
    """Precisions in which the file is written once more."""
    one_file: int = ONE_FILE
    """Bytes of weights that stay in the file; more go into one beside it."""

    @property
    def proofs(self) -> tuple[TargetProof, ...]:
        """Return what the proof shows of each target."""
        return tuple(TargetProof(name=target.name, shown=target.proof) for target in self.targets)


USUAL = OnnxForm()
"""What is written unless a person asks for another."""


@dataclass(frozen=True)
class ExportRequest:
    """What is exported, and how."""

    formats: tuple[Format, ...] = ("onnx",)
    onnx: OnnxForm = USUAL


# Any: the options as click gives them.
def read(options: Mapping[str, Any]) -> ExportRequest:
    """Return what the options of `zoo export` ask for.

    Raises:
        UsageError: they contradict each other, or name a target that is not known or cannot be proven here.
    """
    known: tuple[Format, ...] = ("onnx", "torchscript", "pt2")
    formats = tuple(name for name in known if options[name]) or ("onnx",)
    ours = {
        name: options[name]
        for name in ("opset", "target", "precision", "quantize")
        if options[name] not in (None, (), "fp32")
    }
    if ours and "onnx" not in formats:
        raise UsageError(f"--{next(iter(ours))} is about the ONNX file, which is not asked for", "add --onnx")
    chosen = tuple(targets.find(name) for name in _names(options["target"]))
    reduced = tuple(name for name in (options["precision"], options["quantize"]) if name in get_args(Precision))
    return ExportRequest(formats, replace(form(options["opset"], chosen), reduced=reduced))


def _names(given: Sequence[str]) -> list[str]:
    """Return the names in options that may hold several, between commas."""
    return [name.strip() for option in given for name in option.split(",")]


def form(opset: int | None, chosen: tuple[Target, ...] = ()) -> OnnxForm:
    """Return the form of a file of an opset that loads in every target; by default of the newest such, up to 20.

    Raises:
        UsageError: a target loads no file of this opset.
    """
    narrow = min(chosen, key=lambda target: target.opset, default=None)
    most = OPSET if narrow is None else min(OPSET, narrow.opset)
    if narrow is not None and opset is not None and opset > narrow.opset:
        message = (
            f"--opset {opset} and --target {narrow.name} contradict each other: it loads opset {narrow.opset} at most"
        )
        raise UsageError(message, "leave --opset out: a target chooses it")
    written = most if opset is None else opset
    return OnnxForm(written, min([IR_OF[written], *(target.ir for target in chosen)]), chosen)
