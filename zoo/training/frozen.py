"""Frozen: what a training leaves as it was, and the proof of it: a hash of each tensor before and after."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from zoo.check import CheckedSpec
from zoo.errors import FrozenMoved, RunError, reason
from zoo.files import write_text

log = logging.getLogger(__name__)


def still_modules(model: nn.Module, layers: Sequence[str]) -> list[nn.Module]:
    """Return the modules that stay in evaluation mode: those layers, and all whose tensors are none of them trained."""
    modules = dict(model.named_modules())
    found = [
        module
        for module in modules.values()
        if (parameters := list(module.parameters())) and not any(p.requires_grad for p in parameters)
    ]
    return found + [modules[name] for name in layers if name in modules]


def frozen_names(model: nn.Module, layers: Sequence[str]) -> list[str]:
    """Return the names in the state dict of what stays as it was: frozen parameters, and the buffers beside them."""
    still = set(still_modules(model, layers))
    names = {name for name, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    for place, module in model.named_modules(remove_duplicate=False):
        if module in still:
            names |= {f"{place}.{name}".lstrip(".") for name, _ in module.named_buffers(remove_duplicate=False)}
    return [name for name in model.state_dict() if name in names]


@dataclass(frozen=True)
class FrozenProof:
    """The frozen tensors of a training, as they were before its first step."""

    file: Path
    """frozen.json of the run."""
    before: Mapping[str, str]
    """The sha256 of each tensor's bytes, by its name in the state dict."""
    numbers: int
    """How many numbers they hold."""

    def write(self, after: str | None = None) -> None:
        """Write the proof as far as it has come.

        Args:
            after: the hash at the end of the training.

        Raises:
            OutputError: the file cannot be written.
        """
        document = {
            "tensors": len(self.before),
            "numbers": self.numbers,
            "sha256_before": _together(self.before),
            "sha256_after": after,
            "sha256_of_each": self.before,
        }
        write_text(self.file, json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def require(self, tensors: Mapping[str, Tensor]) -> str:
        """Return the hash of these tensors, which is that from before the training.

        Raises:
            FrozenMoved: it is another one.
        """
        now = {name: _digest(tensors[name]) for name in self.before}
        moved = [name for name, digest in now.items() if digest != self.before[name]]
        if moved:
            message = f"{len(moved)} of {len(now)} frozen tensors moved in training, the first {moved[0]}"
            raise FrozenMoved(f"{message}; no weights are written", f'let it be trained: add "!{moved[0]}" to freeze')
        return _together(now)

    def conclude(self, weights: Mapping[str, Tensor], model: nn.Module) -> None:
        """Prove that neither the weights that are kept nor the model has moved, and write that down.

        Raises:
            FrozenMoved: one has.
            OutputError: the file cannot be written.
        """
        self.require(model.state_dict())
        after = self.require(weights)
        self.write(after)
        log.info("frozen: %d tensors (%d numbers) as before, sha256 %s", len(self.before), self.numbers, after[:16])


def begin_proof(file: Path, checked: CheckedSpec, model: nn.Module) -> FrozenProof | None:
    """Return the proof of a training before its first step, written down; None where the spec freezes nothing.

    Raises:
        OutputError: the file cannot be written.
    """
    if not checked.spec.freeze:
        return None
    tensors = model.state_dict()
    names = frozen_names(model, checked.frozen_layers)
    numbers = sum(tensors[name].numel() for name in names)
    proof = FrozenProof(file, {name: _digest(tensors[name]) for name in names}, numbers)
    proof.write()
    return proof


def resume_proof(file: Path, checked: CheckedSpec, model: nn.Module) -> FrozenProof | None:
    """Return the proof that a training began with; None where the spec freezes nothing.

    Raises:
        RunError: the file is absent or damaged.
        FrozenMoved: the checkpoint holds other frozen tensors.
    """
    if not checked.spec.freeze:
        return None
    names = frozen_names(model, checked.frozen_layers)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        proof = FrozenProof(file, {name: str(found["sha256_of_each"][name]) for name in names}, int(found["numbers"]))
        if _together(proof.before) != found["sha256_before"]:
            raise ValueError("its hashes do not agree")
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{file}, which says what the frozen tensors were, is absent or damaged: {reason(error)}"
        raise RunError(message, "train again") from error
    proof.require(model.state_dict())
    return proof


def _digest(tensor: Tensor) -> str:
    content = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode() + content.numpy().tobytes()).hexdigest()


def _together(digests: Mapping[str, str]) -> str:
    """Return one hash of the names with their hashes."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()).hexdigest()
