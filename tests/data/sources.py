"""What the tests of the data sources share: sources from JSON values, and what every source owes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from zoo.data import DATA, Data, Rows
from zoo.data.stored import Stored, Streamable
from zoo.errors import DataError
from zoo.shapes import Shape


def declared(name: str, **options: Any) -> Any:
    """Return the source that a JSON value says; lists may stand for tuples. Any: the tests know which it is."""
    return DATA.validate(_frozen({"type": name, **options}))


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def contradiction(name: str, **options: Any) -> str:
    """Return what a refused source says."""
    with pytest.raises(ValidationError) as refused:
        declared(name, **options)
    return refused.value.errors()[0]["msg"].removeprefix("Value error, ")


def refusal(act: Any, *arguments: Any) -> tuple[str, str]:
    """Return message and remedy of the DataError that `act` raises."""
    with pytest.raises(DataError) as refused:
        act(*arguments)
    return refused.value.message, refused.value.remedy


def assert_loads_what_it_says(source: Data) -> None:
    """Hold every split against the example: shapes, dtypes, classes, rows."""
    example = source.example()
    shape, target = example.input, example.target
    for transform in source.pipeline()[: len(source.pipeline()) - len(source.late())]:
        shape = transform.output_shape(shape)
    for split in source.splits:
        rows = source.load(split)
        inputs = rows.inputs
        for step in source.early():
            inputs = step.build()(inputs)
        assert _agrees(inputs, shape), (split, inputs.shape, shape)
        assert _agrees(rows.targets, target), (split, rows.targets.shape, target)
        assert len(rows.inputs) == len(rows.targets) > 0
        if example.classes:
            assert 0 <= int(rows.targets.min()) <= int(rows.targets.max()) < len(example.classes)
        stored = source.stored(split) if isinstance(source, Streamable) else None
        if stored is not None:
            _assert_the_same(stored, rows)
    if example.training_rows is not None:
        assert len(source.load("train")) == example.training_rows


def _assert_the_same(stored: Stored, rows: Rows) -> None:
    """Hold rows that are read one by one, the last one first, against those read at once."""
    numbers = range(len(rows))[::-1]
    found = pickle.loads(pickle.dumps(stored)).read(numbers)  # as another process has it
    assert len(stored) == len(rows)
    assert torch.equal(found.inputs, rows.inputs.flip(0))
    assert torch.equal(found.targets, rows.targets.flip(0))
    assert found.inputs.dtype == rows.inputs.dtype
    assert torch.equal(stored.targets, rows.targets)


def _agrees(tensor: torch.Tensor, shape: Shape) -> bool:
    return tuple(tensor.shape) == shape.concrete(len(tensor)) and str(tensor.dtype) == f"torch.{shape.dtype}"
