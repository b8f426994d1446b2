"""Splits: what is kept out of training, and that nothing stands in two splits."""

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sources import contradiction, declared, refusal
from zoo.data.data import Rows
from zoo.data.splitting import drawn, kept_out
from zoo.errors import DataError

LINE = {"weights": [1.0], "samples": 40, "low": 0, "high": 1000}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 200), st.floats(0.001, 0.999), st.integers(0, 2**63 - 1))
def test_every_row_stays_or_is_kept_out_and_there_are_some_of_both(rows: int, fraction: float, seed: int) -> None:
    stay, out = drawn(rows, fraction, seed)
    assert sorted([*stay.tolist(), *out.tolist()]) == list(range(rows))
    assert len(out) == kept_out(rows, fraction) > 0
    assert len(stay) > 0


def test_a_tenth_is_a_tenth() -> None:
    assert kept_out(60_000, 0.1) == 6_000


def test_without_a_fraction_nothing_is_kept_out() -> None:
    assert kept_out(10, None) == 0


def test_a_single_row_cannot_be_split() -> None:
    assert refusal(drawn, 1, 0.5, 0) == ("1 row(s) cannot be split", "use more rows")


def same(one: Rows, other: Rows) -> bool:
    return torch.equal(one.inputs, other.inputs)


def test_the_same_seed_draws_the_same_rows_and_another_one_others() -> None:
    assert same(*(Rows(drawn(50, 0.5, 3)[1], torch.empty(0)) for _ in range(2)))
    assert not torch.equal(drawn(50, 0.5, 3)[1], drawn(50, 0.5, 4)[1])


def test_train_and_validation_are_the_training_rows_in_their_order() -> None:
    source = declared("LinearFunction", **LINE, validation=0.25)
    whole = declared("LinearFunction", **LINE).load("train")
    _, out = drawn(40, 0.25, 0)
    train, validation = source.load("train"), source.load("validation")
    assert (len(train), len(validation), source.example().training_rows) == (30, 10, 30)
    assert torch.equal(validation.inputs, whole.inputs[out])
    assert torch.equal(validation.targets, whole.targets[out])


def test_the_test_split_does_not_depend_on_the_validation() -> None:
    plain = declared("LinearFunction", **LINE)
    assert same(plain.load("test"), declared("LinearFunction", **LINE, validation=0.5).load("test"))


def test_a_validation_split_that_the_spec_lacks_is_refused() -> None:
    assert refusal(declared("LinearFunction", **LINE).load, "validation") == (
        "the data has no validation split",
        'write data.validation, such as "validation": 0.1',
    )


def test_splits_name_validation_where_there_is_one() -> None:
    assert declared("MNIST").splits == ("train", "test")
    assert declared("MNIST", validation=0.1).splits == ("train", "validation", "test")


def test_a_seed_that_draws_nothing_is_refused() -> None:
    assert contradiction("MNIST", seed=3) == (
        "seed says nothing where no rows are drawn; remove it, or write validation"
    )


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_fraction_that_leaves_nothing_is_refused(fraction: float) -> None:
    assert "than" in contradiction("MNIST", validation=fraction)


@pytest.mark.parametrize("same", ["rows.csv", "./rows.csv", "link.csv", "folder/../rows.csv"])
@pytest.mark.parametrize("option", ["test_file", "validation_file"])
def test_a_split_is_not_the_training_file_again(here: Path, option: str, same: str) -> None:
    (here / "folder").mkdir()
    (here / "link.csv").symlink_to("rows.csv")
    assert contradiction("TableFile", file="rows.csv", target="t", **{option: same}) == (
        f"{option} and file are the same file, {same}; "
        f"write another, or {option.removesuffix('_file')} in its place, which keeps rows out of training"
    )


def test_the_test_file_is_not_the_validation_file_again(here: Path) -> None:
    assert contradiction("TableFile", file="rows.csv", target="t", test_file="./a.csv", validation_file="a.csv") == (
        "test_file and validation_file are the same file, ./a.csv; "
        "write another, or test in its place, which keeps rows out of training"
    )


IMPOSSIBLE = ["a\0b", "x" * 4000, ".", "/", "..", "a/b\\c", "~", "é\u202e"]


@pytest.mark.parametrize("path", IMPOSSIBLE)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ImageFolder", {"root": ""}),
        ("MNIST", {"root": ""}),
        ("CIFAR10", {"root": ""}),
        ("SVHN", {"root": ""}),
        ("TextFile", {"file": "", "tokens": "character", "context": 2}),
        ("TableFile", {"file": "", "target": "t"}),
        ("ArrayFile", {"file": ""}),
    ],
)
def test_a_path_that_names_nothing_is_refused_and_raises_nothing_else(
    here: Path, name: str, options: dict[str, object], path: str
) -> None:
    where = {"root": path} if "root" in options else {"file": f"{path}.npz" if name == "ArrayFile" else path}
    source = declared(name, **{**options, **where})
    with suppress(DataError):
        source.example()
    refusal(source.load, "train")
