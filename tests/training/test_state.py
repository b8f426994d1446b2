"""State: its checkpoint loads without running code, and a damaged one is refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from conftest import linear
from zoo.check import check
from zoo.errors import RunError
from zoo.source import Source
from zoo.training.state import begin, resume, save

CPU = torch.device("cpu")
SPEC = check(Source("spec.json", "", linear()))


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    torch.save({"model": Trap(tmp_path / "mark")}, tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"damaged or of another spec"):
        resume(tmp_path / "last.pt", SPEC, CPU)
    assert not (tmp_path / "mark").exists()
    pickle.loads(pickle.dumps(Trap(tmp_path / "mark")))  # the trap works where it is let
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -200])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "last.pt"
    save(path, begin(SPEC, CPU))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RunError, match=r"damaged or of another spec") as refused:
        resume(path, SPEC, CPU)
    assert "\n" not in refused.value.message


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "last.pt", begin(SPEC, CPU))
    other = check(Source("spec.json", "", linear(model__layers=[{"type": "Linear", "out_features": 1, "id": "head"}])))
    with pytest.raises(RunError, match=r"damaged or of another spec") as refused:
        resume(tmp_path / "last.pt", other, CPU)
    assert "\n" not in refused.value.message


def test_an_absent_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no checkpoint at .*last\.pt"):
        resume(tmp_path / "last.pt", SPEC, CPU)
