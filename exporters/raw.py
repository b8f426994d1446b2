"""Raw: a subject whose module takes rows as their source has them, and gives the decision beside the model's answer."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from exporters.features import scaling
from exporters.preprocessing import Uncompilable, compiled, table
from exporters.subject import PREPROCESSING, Raw, Subject, held_out
from zoo.build import chain
from zoo.checked import CheckedSpec
from zoo.data import Rows, Split
from zoo.data.image_source import ImageSource
from zoo.data.table_file import TableFile
from zoo.errors import ExportError
from zoo.shapes import Shape, class_axis
from zoo.training.splits import some_rows
from zoo.transforms import Transform

COMPARED = 256  # rows on which what is compiled must be what the source does, bit for bit
_REMEDY = "export without --raw, and do it before the file is run"


class RawModel(nn.Module):
    """A trained module between its preprocessing and its decision; its tensors keep their names."""

    inner: nn.Module

    def __init__(self, inner: nn.Module, preprocessing: nn.Sequential, axis: int | None) -> None:
        super().__init__()
        self.__dict__["inner"] = inner  # no child: its children and its tensors are this module's own
        self.__dict__["_parameters"], self.__dict__["_buffers"] = inner._parameters, inner._buffers
        self._non_persistent_buffers_set = inner._non_persistent_buffers_set
        for name, child in inner.named_children():
            self.add_module(name, child)
        self.add_module(PREPROCESSING, preprocessing)
        self.axis = axis
        self.eval()

    # Any: torch's own.
    def __deepcopy__(self, memo: dict[int, Any]) -> RawModel:
        inner, preprocessing = copy.deepcopy((self.inner, self.get_submodule(PREPROCESSING)), memo)
        assert isinstance(preprocessing, nn.Sequential)
        return RawModel(inner, preprocessing, self.axis)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the model's answer; and of classes their probabilities, and the likeliest."""
        answer: Tensor = self.inner(self.get_submodule(PREPROCESSING)(x))
        if self.axis is None:
            return answer
        return answer, answer.softmax(self.axis), answer.argmax(self.axis)


def with_raw_rows(subject: Subject) -> Subject:
    """Return the subject with preprocessing and decision in its module, and with rows as the source has them.

    Raises:
        ExportError: something that happens to a row cannot be compiled exactly.
        DataError: there are no held-out rows.
    """
    checked = subject.checked
    preprocessing, rows = _parts(checked)
    made = preprocessing(rows.inputs[:COMPARED])
    if made.dtype != subject.rows.dtype or not torch.equal(made, subject.rows[:COMPARED]):
        raise ExportError("the compiled preprocessing gives other bits than the source does", _REMEDY)
    target = checked.example.target
    axis = class_axis(checked.output, target) if target.dtype == "int64" else None
    shape = Shape("N", *rows.inputs.shape[1:], dtype=str(rows.inputs.dtype).removeprefix("torch."))
    raw = Raw(shape, axis, _steps(checked), _columns(checked))
    return replace(
        subject,
        module=RawModel(subject.module, preprocessing, axis),
        rows=rows.inputs,
        targets=preprocessing(rows.inputs) if checked.spec.data.mirrors else rows.targets,
        raw=raw,
    )


def _parts(checked: CheckedSpec) -> tuple[nn.Sequential, Rows]:
    """Return the preprocessing, and held-out rows before it."""
    data = checked.spec.data
    if data.token_names():
        place = checked.source.place(("data", "type"))
        raise ExportError(f"{place}: {data.type} makes tokens of text, which no graph can", "export without --raw")
    if isinstance(data, TableFile):
        return table(data.plan, data.scaling), raw_rows(checked, "test")
    return nn.Sequential(*_images(checked)), raw_rows(checked, "test")


def raw_rows(checked: CheckedSpec, split: Split) -> Rows:
    """Return rows of a split as their source has them.

    Raises:
        DataError: there are none.
    """
    data = checked.spec.data
    if isinstance(data, TableFile):
        return data.cells(split)
    if isinstance(data, ImageSource):
        bare = data.model_copy(update={"transforms": (), "augmentation": ()})
        checked = replace(checked, spec=checked.spec.model_copy(update={"data": bare}))
    return held_out(checked) if split == "test" else some_rows(checked, split)


def _images(checked: CheckedSpec) -> list[nn.Module]:
    """Return the modules of the transforms, each compared with torchvision on noise."""
    shape, modules = checked.example.input, list[nn.Module]()
    for number, transform in enumerate(checked.spec.data.pipeline()):
        try:
            found = compiled(transform, shape)
        except Uncompilable as error:
            _refuse(checked, number, transform, str(error), error)
        noise = _noise(shape)
        if not torch.equal(nn.Sequential(*found)(noise), chain([transform])(noise)):
            _refuse(checked, number, transform, "its module gives other bits than torchvision")
        modules += found
        shape = transform.output_shape(shape)
    return modules


def _noise(shape: Shape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, shape.concrete(2), generator=generator)
    return levels.to(getattr(torch, shape.dtype))


def _refuse(
    checked: CheckedSpec, number: int, transform: Transform, why: str, cause: Exception | None = None
) -> NoReturn:
    place = checked.source.place(("data", "transforms", number, "type"))
    message = f"{place}: {type(transform).__name__} cannot be compiled exactly: {why}"
    raise ExportError(message, _REMEDY) from cause


def _steps(checked: CheckedSpec) -> tuple[str, ...]:
    """Return what happens to a row before the model, as JSON."""
    data = checked.spec.data
    steps = [transform.document() for transform in data.pipeline()] or scaling(checked)
    return tuple(json.dumps(step) for step in steps)


def _columns(checked: CheckedSpec) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table with their words."""
    data = checked.spec.data
    return (
        {name: data.plan.categories.get(name, ()) for name in data.plan.columns} if isinstance(data, TableFile) else {}
    )
