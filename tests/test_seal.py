"""Seal: one changed bit is found wherever it is, and other programs read the files as before."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors

from conftest import flipped
from zoo.seal import SealError, require_seal, sealed_archive, sealed_tensors


def archive() -> bytes:
    content = BytesIO()
    torch.save({"a": torch.arange(3)}, content)
    return sealed_archive(content.getvalue())


def tensors() -> bytes:
    return sealed_tensors(save_tensors({"b": torch.arange(3.0), "a": torch.ones(2)}), {"spec_sha256": "x"})


@pytest.mark.parametrize("content", [archive(), tensors()], ids=["archive", "tensors"])
def test_every_flipped_bit_is_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    require_seal(path)
    for place in range(0, len(content) * 8, 1 if len(content) < 500 else 3):
        path.write_bytes(flipped(content, place))
        with pytest.raises(SealError):
            require_seal(path)


@pytest.mark.parametrize("content", [archive(), tensors()], ids=["archive", "tensors"])
def test_every_truncation_is_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(SealError):
            require_seal(path)


def test_a_sealed_archive_is_still_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(archive())
    assert torch.load(tmp_path / "a.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
    assert zipfile.ZipFile(tmp_path / "a.pt").testzip() is None


def test_sealed_tensors_are_still_safetensors(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(tensors())
    assert {name: t.tolist() for name, t in load_file(tmp_path / "a.safetensors").items()} == {
        "b": [0, 1, 2],
        "a": [1, 1],
    }
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata()["spec_sha256"] == "x"
