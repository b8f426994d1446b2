"""What is known of torchvision's models without torchvision: one line of JSON a model, in torchvision.jsonl.

A check needs one model, so the file is searched for its line instead of being parsed. `tensors` is every learned tensor
as "name 64x3x7x7", one a line, compressed with zlib and written in base64. tests/models/measure.py measures it all.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("torchvision.jsonl")
Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One model of torchvision."""

    name: str
    segments: bool
    """Whether it gives classes for each pixel."""
    weights: tuple[str, ...]
    """The names of its weights."""
    default: str
    """Which of them "DEFAULT" means."""
    heads: tuple[str, ...]
    """The modules that give the classes."""
    outputs: int
    """How many classes the weights give."""
    least: int
    """The smallest height and width that it takes, in pixels."""
    alone: int | None
    """The smallest height or width at which a single row trains: batch norm needs two values; None where none does."""
    sides: Mapping[str, int]
    """The one height and width that it takes with weights, and without ("" as the name); empty where it takes any."""
    cost: tuple[int, int, int]
    """Height and width; multiply-adds of a row at that size without the classes; and for each class."""
    made: tuple[int, int]
    """Numbers that a row makes in training at that size, without the classes; and for each class."""
    tensors: str
    """The learned tensors, without weights."""

    def side(self, weights: str | None) -> int | None:
        """Return the one height and width that the model takes; None where it takes others."""
        return self.sides.get(self.resolved(weights) or "", self.sides.get(""))

    def resolved(self, weights: str | None) -> str | None:
        """Return the weights that a spec means: "DEFAULT" stands for the best."""
        return self.default if weights == "DEFAULT" else weights

    @cached_property
    def parameters(self) -> dict[str, Sizes]:
        """Return the sizes of every learned tensor by its name, in torchvision's order."""
        lines = zlib.decompress(base64.b64decode(self.tensors)).decode().splitlines()
        pairs = (line.split(" ") for line in lines)
        return {name: tuple(map(int, sizes.split("x"))) for name, sizes in pairs}

    def line(self) -> str:
        """Return the entry as the file holds it."""
        return json.dumps(asdict(self))


def packed(parameters: Mapping[str, Sizes]) -> str:
    """Return `tensors` of these parameters."""
    text = "\n".join(f"{name} {'x'.join(map(str, sizes))}" for name, sizes in parameters.items())
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


@cache
def names() -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    return tuple(sorted(re.findall(r'^{"name": "(\w+)"', FILE.read_text(encoding="ascii"), re.MULTILINE)))


@cache
def find(name: str) -> Entry | None:
    """Return what is known of a model; None where there is none of this name."""
    start = f'{{"name": "{name}", '
    with FILE.open(encoding="ascii") as lines:
        line = next((line for line in lines if line.startswith(start)), None)
    if line is None:
        return None
    # Any: JSON values, of the types that Entry declares.
    fields: dict[str, Any] = json.loads(line)
    fields |= {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    return Entry(**fields)
