"""The proof of ejected files: a file that makes something else than zoo is refused, in numbers and by operators."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conftest import Document, linear
from zoo.check import check_file
from zoo.eject import proof, source
from zoo.errors import ExportError

LAYERS: list[Document] = [
    {"type": "Linear", "out_features": 8, "id": "stem"},
    {"type": "BatchNorm1d"},
    {"type": "Residual", "layers": [{"type": "LayerNorm"}, {"type": "GELU"}]},
    {"type": "Dropout", "p": 0.25},
    {"type": "Linear", "out_features": 1},
]
FAULTS = {
    "another activation": ("nn.GELU()", "nn.ReLU()"),
    "another eps": ("nn.LayerNorm(8)", "nn.LayerNorm(8, eps=1e-06)"),
    "another name": ("stem", "stern"),
    "another size": ("nn.Linear(2, 8)", "nn.Linear(2, 8, bias=False)"),
    "another start": ("nn.init.ones_", "nn.init.zeros_"),
    "another operator": ("_2_1 + _1", "_2_1 - _1"),
    "another frozen tensor": ('"stem.*"', '"stem.weight"'),
    "another measurement": (".item() * len(targets)", ".item()"),
}


@pytest.mark.parametrize("large", [0, 10**9], ids=["by operators", "in numbers"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_makes_something_else_is_refused(
    fault: str, large: int, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = linear(model__layers=LAYERS)
    document |= {"freeze": ["stem.*"], "init": {"type": "ones_", "match": "4.weight"}}
    monkeypatch.setattr(proof, "LARGE", large)
    checked = check_file(write(document))
    text = source(checked)
    right, wrong = FAULTS[fault]
    assert right in text
    with pytest.raises(ExportError):
        proof.prove(checked, text.replace(right, wrong))
