"""Faults to plant between export and proof: each must be refused, and leave nothing behind."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from exporters import onnx, torch_export, torchscript
from exporters.certificate import Format
from exporters.subject import Subject

EXPORTERS = {"onnx": onnx, "torchscript": torchscript, "pt2": torch_export}
FORMATS: list[Format] = ["onnx", "torchscript", "pt2"]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder but what refusals leave, hidden ones too, with the bytes of the files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not any(part.endswith(".refused") for part in path.relative_to(folder).parts)
    }


def plant(monkeypatch: pytest.MonkeyPatch, name: Format, export: Callable[[Subject, Path], None]) -> None:
    """Put another function where the bundle finds the exporter of a format."""
    monkeypatch.setattr(EXPORTERS[name], "export", lambda subject, path, *form: export(subject, path))


def plant_bytes(monkeypatch: pytest.MonkeyPatch, name: Format, content: bytes) -> None:
    """Let the exporter of a format write `content`, whatever it is asked to export."""

    def export(subject: Subject, path: Path) -> None:
        path.write_bytes(content)

    plant(monkeypatch, name, export)


def plant_fault(monkeypatch: pytest.MonkeyPatch, name: Format, fault: Fault) -> None:
    """Let the exporter of a format export a changed copy of the module."""
    honest = EXPORTERS[name].export
    plant(monkeypatch, name, lambda subject, path: honest(with_fault(subject, fault), path))


class Around(nn.Module):
    """A module around another one, whose tensors keep their names."""

    inner: nn.Module

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.__dict__["inner"] = inner  # no child: its children are this module's own
        for name, child in inner.named_children():
            self.add_module(name, child)


Fault = Callable[[nn.Sequential], None] | type[Around]
"""Changes a module in place, or stands around it."""


def one_weight_off(module: nn.Sequential) -> None:
    module.get_parameter("0.weight").data[0, 0] *= 1.01


def a_bias_dropped(module: nn.Sequential) -> None:
    module.get_submodule("7").register_parameter("bias", None)


def dropout_left_on(module: nn.Sequential) -> None:
    module.train()


def tanh_in_place_of_erf(module: nn.Sequential) -> None:
    module[1] = nn.GELU(approximate="tanh")


def another_eps(module: nn.Sequential) -> None:
    normalization = module[5]
    assert isinstance(normalization, nn.BatchNorm1d)
    normalization.eps = 1e-3


def weights_in_half_precision(module: nn.Sequential) -> None:
    for parameter in module.parameters():
        parameter.data = parameter.data.half().float()


def two_layers_exchanged(module: nn.Sequential) -> None:
    module[5], module[6] = module[6], module[5]


def weights_of_another_seed(module: nn.Sequential) -> None:
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.reset_parameters()


class BakedBatch(Around):
    """Takes three rows, as many as were traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x.reshape(3, 4))
        return result


class RowsReversed(Around):
    """Gives the answer to the last row first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x.flip(0))
        return result


class AxisLost(Around):
    """Gives (N,) in place of (N, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)
        return result[:, 0]


class Constant(Around):
    """Does not look at its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x * 0)
        return result


class NotANumber(Around):
    """Divides zero by zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)
        return result + 0 * (result / 0)


FAULTS: list[Fault] = [
    one_weight_off,
    a_bias_dropped,
    dropout_left_on,
    tanh_in_place_of_erf,
    another_eps,
    weights_in_half_precision,
    two_layers_exchanged,
    weights_of_another_seed,
    RowsReversed,
    AxisLost,
    Constant,
    NotANumber,
]
"""All that give another answer; BakedBatch gives none."""


def with_fault(subject: Subject, fault: Fault) -> Subject:
    """The subject with a changed copy of its module."""
    module = copy.deepcopy(subject.module)
    if isinstance(fault, type):
        return dataclasses.replace(subject, module=fault(module).eval())
    assert isinstance(module, nn.Sequential)
    fault(module)
    return dataclasses.replace(subject, module=module)
