"""Commands on exports: what is refused or interrupted in the middle leaves nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome, linear
from exporters import onnx

Write = Callable[..., str]
Zoo = Callable[..., Outcome]
MISH = [{"type": "Mish", "id": "gate"}, {"type": "Linear", "out_features": 1}]


@pytest.mark.parametrize("asked", [("--opset", "17"), ("--target", "onnxruntime>=1.13")], ids=str)
def test_an_operator_that_needs_a_higher_opset_is_told_with_its_layer(
    asked: tuple[str, str], write: Write, zoo: Zoo, here: Path
) -> None:
    done = zoo("export", write(linear(model__layers=MISH)), "--untrained", *asked)
    assert done.status == 2
    assert 'layer "gate" is written with Mish, which needs opset 18; opset 17 was asked for' in done.err
    assert "or a newer --target if that chose 17" in done.err
    assert list((here / "export").iterdir()) == []


@pytest.mark.parametrize("opset", ["9", "16", "24", "99"])
def test_an_opset_that_zoo_does_not_write_is_told_with_those_it_does(opset: str, zoo: Zoo) -> None:
    done = zoo("export", "linear3", "--untrained", "--opset", opset)
    assert done.status == 2
    assert f"{opset} is not in the range 17<=x<=23" in done.err


def test_an_interrupted_export_leaves_nothing(
    write: Write, zoo: Zoo, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(subject: object, path: Path, form: object) -> None:
        path.write_text("half")
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(onnx, "export", interrupted)
    done = zoo("export", write(linear()), "--untrained")
    assert (done.status, done.err.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in done.err
    assert list((here / "export").iterdir()) == []
