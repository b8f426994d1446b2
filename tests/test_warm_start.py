"""Warm starts: which tensors are taken from a run or a file, and what is refused."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_tensors
from safetensors.torch import save_file
from torch import Tensor, nn

from conftest import flipped
from declaring import declared
from zoo.errors import RunError
from zoo.initializers import INITIALIZERS, Initializer
from zoo.seal import sealed_tensors
from zoo.warm_start import initialize


def model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3), nn.Linear(3, 3))


def fill(fresh: nn.Module, **options: object) -> None:
    document = {("from" if name == "source" else name): value for name, value in options.items()}
    initializer = declared(INITIALIZERS, document)
    assert isinstance(initializer, Initializer)
    initialize(fresh, [initializer])


def saved(path: Path, tensors: dict[str, Tensor]) -> str:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return str(path)


def same(one: nn.Module, other: nn.Module) -> list[str]:
    """Return the names of the tensors that are equal to the bit."""
    theirs = other.state_dict()
    return [name for name, tensor in one.state_dict().items() if torch.equal(tensor, theirs[name])]


@pytest.mark.parametrize("file", ["model.safetensors", "other.pt", "other.pth"])
@pytest.mark.parametrize("by", ["name", "order"])
def test_all_tensors_come_from_the_file_to_the_bit(tmp_path: Path, file: str, by: str) -> None:
    old, fresh = model(1), model(0)
    fill(fresh, source=saved(tmp_path / file, old.state_dict()), by=by)
    assert same(fresh, old) == list(old.state_dict())


def test_a_run_is_named_by_its_directory(tmp_path: Path) -> None:
    old, fresh = model(1), model(0)
    saved(tmp_path / "model.safetensors", old.state_dict())
    fill(fresh, source=str(tmp_path))
    assert same(fresh, old) == list(old.state_dict())


def test_only_the_tensors_that_match_are_filled(tmp_path: Path) -> None:
    old, fresh = model(1), model(0)
    fill(fresh, source=saved(tmp_path / "x.pt", old.state_dict()), match=["*", "!3.*", "!4.*"])
    assert [name for name in old.state_dict() if name not in same(fresh, old)] == [
        "3.weight",
        "3.bias",
        "4.weight",
        "4.bias",
    ]


def test_a_pattern_that_fits_no_tensor_is_refused_though_others_do(tmp_path: Path) -> None:
    fresh = model()
    with pytest.raises(RunError, match=r'the pattern "!4\.running_mean" of init matches no tensor'):
        fill(fresh, source=saved(tmp_path / "other.pt", fresh.state_dict()), match=["1.*", "!4.running_mean"])


@pytest.mark.parametrize("by", ["name", "order"])
def test_a_file_without_counters_of_batches_is_enough(tmp_path: Path, by: str) -> None:
    old, fresh = model(1), model(0)
    tensors = {name: tensor for name, tensor in old.state_dict().items() if "num_batches" not in name}
    fill(fresh, source=saved(tmp_path / "x.pt", tensors), by=by)
    assert same(fresh, old) == list(old.state_dict())


def test_by_order_names_do_not_count_nor_places_between_different_sizes(tmp_path: Path) -> None:
    old, fresh = model(1), model(0)
    tensors = {f"other{name}": tensor for name, tensor in old.state_dict().items()}
    moved = {"other3.weight": tensors.pop("other3.weight"), **tensors}
    fill(fresh, source=saved(tmp_path / "x.pt", moved), by="order")
    assert same(fresh, old) == list(old.state_dict())


def test_by_order_the_modules_of_a_sorted_file_must_be_told_apart(tmp_path: Path) -> None:
    old = nn.ModuleDict({name: nn.Linear(2, 2) for name in "qkv"})
    path = saved(tmp_path / "x.safetensors", old.state_dict())
    with pytest.raises(RunError) as refusal:
        fill(nn.Sequential(*(nn.Linear(2, 2) for _ in range(3))), source=path, by="order")
    assert refusal.value.message == (
        f"the model cannot start from {path}: safetensors sorts tensors by name, "
        "and which of its modules is which in the model cannot be told"
    )
    assert refusal.value.remedy == 'write "by": "name" with rename, or save the state dict as a .pt file'


def test_names_of_the_file_are_renamed(tmp_path: Path) -> None:
    old, fresh = model(1), model(0)
    tensors = {f"net.{name}": tensor for name, tensor in old.state_dict().items()}
    fill(fresh, source=saved(tmp_path / "x.pt", tensors), rename={"net.*": "*"})
    assert same(fresh, old) == list(old.state_dict())


def test_a_tied_tensor_is_in_the_file_once(tmp_path: Path) -> None:
    def tied(seed: int) -> nn.ModuleDict:
        torch.manual_seed(seed)
        tokens, head = nn.Embedding(4, 2), nn.Linear(2, 4, bias=False)
        head.weight = tokens.weight
        return nn.ModuleDict({"tokens": tokens, "head": head})

    old, fresh = tied(1), tied(0)
    fill(fresh, source=saved(tmp_path / "x.pt", {"tokens.weight": old.state_dict()["tokens.weight"]}))
    assert same(fresh, old) == ["tokens.weight", "head.weight"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            {"3.weight": None, "3.bias": torch.zeros(2), "0.bias": torch.zeros(2, dtype=torch.float16)},
            {},
            "0.bias is float16 [2] in the file, but float32 [2] in the model; 3.weight is not in the file; "
            "3.bias is float32 [2] in the file, but float32 [3] in the model",
        ),
        (
            {"3.bias": torch.zeros(2)},
            {"by": "order"},
            "5 of float32 [2] in the model, but 6 in the file; 2 of float32 [3] in the model, but 1 in the file",
        ),
        (
            {"3.bias": None},
            {"rename": {"4.bias": "0.bias"}},
            "two tensors of the file are called 0.bias here; 0.bias is float32 [3] in the file, but float32 [2] in the "
            "model; 3.bias is not in the file; 4.bias is not in the file",
        ),
        (
            dict.fromkeys(("0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias", "4.weight")),
            {},
            "0.weight is not in the file; 0.bias is not in the file; 1.weight is not in the file; 1.bias is not in the "
            "file; 3.weight is not in the file; and 2 more",
        ),
    ],
    ids=["sizes", "order", "rename", "many"],
)
def test_what_does_not_fit_is_told_at_once_and_nothing_is_changed(
    tmp_path: Path, change: dict[str, Tensor | None], options: dict[str, Any], message: str
) -> None:
    tensors = {name: tensor for name, tensor in {**model(1).state_dict(), **change}.items() if tensor is not None}
    path, fresh = saved(tmp_path / "x.pt", tensors), model(0)
    with pytest.raises(RunError) as refusal:
        fill(fresh, source=path, **options)
    assert refusal.value.message == f"the model cannot start from {path}: {message}"
    assert same(fresh, model(0)) == list(fresh.state_dict())


class Harmful:
    """Would run code if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code was run",)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("absent.pt", None, "there are no weights at "),
        ("x.bin", b"", "is neither a .safetensors nor a .pt or .pth file"),
        ("x.pt", b"no tensors", "cannot be read: "),
        ("x.safetensors", b"no tensors", "cannot be read: "),
        ("list.pt", [1, 2], "holds something else than named tensors"),
        ("nested.pt", {"net": {"0.weight": torch.zeros(1)}}, "holds something else than named tensors"),
        ("harmful.pt", {"0.weight": Harmful()}, "cannot be read: "),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_what_is_no_file_of_tensors_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: object, message: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / file).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / file)
    with pytest.raises(RunError) as refusal:
        fill(model(), source=str(tmp_path / file))
    assert message in refusal.value.message
    assert "code was run" not in capsys.readouterr().out


def test_functions_fill_the_parameters_that_match_one_after_the_other() -> None:
    fresh = model()
    documents: list[dict[str, Any]] = [{"type": "ones_", "match": "*.weight"}, {"type": "zeros_", "match": ["3.*"]}]
    initializers = [declared(INITIALIZERS, document) for document in documents]
    before = {name: tensor.clone() for name, tensor in fresh.state_dict().items()}
    initialize(fresh, [each for each in initializers if isinstance(each, Initializer)])
    values = {name: set(parameter.flatten().tolist()) for name, parameter in fresh.named_parameters()}
    assert values["0.weight"] == {1.0}
    assert values["3.weight"] == values["3.bias"] == {0.0}
    assert torch.equal(fresh.state_dict()["0.bias"], before["0.bias"])


def test_a_runs_weights_with_one_flipped_bit_are_refused(here: Path) -> None:
    (here / "spec.json").write_text("{}")
    content = sealed_tensors(save_tensors(dict(model().state_dict())), {})
    for bit in (0, 5000):
        (here / "model.safetensors").write_bytes(flipped(content, bit) if bit else content)
        with pytest.raises(RunError, match=r"sha256 says") if bit else nullcontext():
            fill(model(1), source=str(here))
