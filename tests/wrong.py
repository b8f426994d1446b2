"""Wrong specs: small documents, each with the problems that the check tells: path, message, remedy."""

from __future__ import annotations

import json

import pytest

from conftest import Document, linear
from zoo.check import check
from zoo.errors import SpecError
from zoo.source import Source

Told = tuple[str, str, str]
"""Path, message and remedy of a problem."""
# Any in Document: JSON values.
Corpus = dict[str, tuple[Document, *tuple[Told, ...]]]
"""Wrong documents by what is wrong, each with its problems."""

IMAGES: Document = {
    "name": "images",
    "data": {"type": "MNIST", "transforms": [{"type": "ToDtype", "dtype": "float32", "scale": True}]},
    "model": {"layers": [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]},
    "loss": {"type": "CrossEntropyLoss"},
    "metrics": [{"type": "Accuracy"}],
    "optimizer": {"type": "SGD"},
    "train": {"epochs": 1, "batch_size": 64},
}


def images(**changes: object) -> Document:
    """A classifier of digits; `train__epochs=3` changes an option below."""
    document: Document = json.loads(json.dumps(IMAGES))
    for dotted, value in changes.items():
        *owners, key = dotted.split("__")
        here = document
        for owner in owners:
            here = here[owner]
        here[key] = value
    return document


def dense(out_features: int | str, **options: object) -> Document:
    """A Linear."""
    return {"type": "Linear", "out_features": out_features, **options}


def conv(out_channels: int, kernel_size: object = 3, **options: object) -> Document:
    """A Conv2d."""
    return {"type": "Conv2d", "out_channels": out_channels, "kernel_size": kernel_size, **options}


def rows(*layers: Document, **changes: object) -> Document:
    """A spec of these layers over rows of two numbers."""
    return linear(model__layers=list(layers), **changes)


def pictures(*layers: Document, **changes: object) -> Document:
    """A spec of these layers over digits."""
    return images(model__layers=list(layers), **changes)


def blocks(templates: object, *layers: Document) -> Document:
    """A spec of these layers over rows, with templates."""
    return {**rows(*layers), "blocks": templates}


TAIL = [{"type": "Flatten"}, dense("classes")]


def told(document: object) -> list[Told]:
    """The problems of a document."""
    text = json.dumps(document, indent=1)
    with pytest.raises(SpecError) as refused:
        check(Source("spec.json", text, json.loads(text)))
    return [(".".join(map(str, p.path)), p.message, p.remedy) for p in refused.value.problems]


def passes(document: object) -> bool:
    """Return whether the check takes a document."""
    text = json.dumps(document, indent=1)
    check(Source("spec.json", text, json.loads(text)))
    return True
