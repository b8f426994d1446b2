"""LinearFunction: the points, their targets, and what is known of them before they are made."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from zoo.data.data import Rows, Split
from zoo.data.linear_function import LinearFunction
from zoo.errors import DataError
from zoo.shapes import Shape

SPLITS: tuple[Split, ...] = ("train", "test")


def declared(**options: object) -> LinearFunction:
    document = {"type": "LinearFunction", "weights": [1.5, -2.0], "samples": 64, "low": -3, "high": 4, **options}
    return LinearFunction.model_validate_json(json.dumps(document))


def exact(rows: Rows, weights: list[float], bias: float) -> torch.Tensor:
    values = rows.inputs.double() @ torch.tensor(weights, dtype=torch.float64) + bias
    return values.unsqueeze(1).float()


def same(one: Rows, other: Rows) -> bool:
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets)


def test_the_example_is_a_row_of_as_many_features_as_weights() -> None:
    assert declared(weights=[1.0, 2.0, 3.0]).example().input == Shape("N", 3)


def test_the_example_has_one_number_as_target() -> None:
    assert declared().example().target == Shape("N", 1)


def test_the_example_counts_the_training_rows() -> None:
    assert declared(samples=7).example().training_rows == 7


def test_the_example_knows_no_classes() -> None:
    assert declared().example().sizes == {}


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_holds_as_many_rows_as_samples(split: Split) -> None:
    assert len(declared(samples=7).load(split)) == 7


@pytest.mark.parametrize("split", SPLITS)
def test_the_inputs_are_what_the_example_says(split: Split) -> None:
    inputs = declared().load(split).inputs
    assert (tuple(inputs.shape), inputs.dtype) == ((64, 2), torch.float32)


@pytest.mark.parametrize("split", SPLITS)
def test_the_targets_are_what_the_example_says(split: Split) -> None:
    targets = declared().load(split).targets
    assert (tuple(targets.shape), targets.dtype) == ((64, 1), torch.float32)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("weights", "bias"), [([1.5, -2.0], 0.0), ([0.1, 0.7], 0.3)])
def test_the_targets_are_the_function_rounded_once(split: Split, weights: list[float], bias: float) -> None:
    rows = declared(weights=weights, bias=bias).load(split)
    assert torch.equal(rows.targets, exact(rows, weights, bias))


@pytest.mark.parametrize("split", SPLITS)
def test_the_coordinates_are_all_whole_numbers_from_low_to_below_high(split: Split) -> None:
    assert set(declared().load(split).inputs.flatten().tolist()) == {-3, -2, -1, 0, 1, 2, 3}


def test_the_same_seed_gives_the_same_points() -> None:
    assert same(declared(seed=5, noise=1.0).load("train"), declared(seed=5, noise=1.0).load("train"))


def test_another_seed_gives_other_points() -> None:
    assert not torch.equal(declared(seed=5).load("train").inputs, declared(seed=6).load("train").inputs)


def test_the_largest_seed_is_torchs_too() -> None:
    assert len(declared(seed=2**63 - 1).load("train")) == 64


def test_the_test_split_has_other_points() -> None:
    assert not torch.equal(declared().load("train").inputs, declared().load("test").inputs)


def test_loading_leaves_torchs_generator_as_it_was() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    declared(noise=1.0).load("train")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_noise_has_the_deviation_that_is_asked_for() -> None:
    rows = declared(samples=10_000, noise=0.5).load("train")
    error = (rows.targets - exact(rows, [1.5, -2.0], 0.0)).std().item()
    assert error == pytest.approx(0.5, rel=0.05)  # seven standard errors of 10,000 draws


def test_the_test_split_has_no_noise() -> None:
    rows = declared(noise=0.5).load("test")
    assert torch.equal(rows.targets, exact(rows, [1.5, -2.0], 0.0))


def test_the_noise_moves_no_point() -> None:
    assert torch.equal(declared(noise=0.5).load("train").inputs, declared().load("train").inputs)


def test_the_truth_is_the_weights_and_the_bias() -> None:
    assert declared(bias=0.5).truth().parameters == {"weight": (1.5, -2.0), "bias": (0.5,)}


def test_nothing_stands_between_the_points_and_the_model() -> None:
    assert declared().pipeline() == ()


def test_typed_rows_and_files_are_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n3,4\n5,6\n", encoding="utf-8")
    read = declared().read(["1,2", str(file)])
    assert read.rows.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_read_row_is_named_by_its_words() -> None:
    assert declared().read(["1, 2.0"]).names == ("1, 2.0",)


def test_rows_that_are_read_are_what_the_example_says() -> None:
    rows = declared().read(["1,2"]).rows
    assert (tuple(rows.shape), rows.dtype) == ((1, 2), torch.float32)


def test_no_inputs_give_a_batch_without_rows() -> None:
    assert tuple(declared().read([]).rows.shape) == (0, 2)


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(DataError) as refusal:
        declared().read(["1,2,3"])
    assert (refusal.value.message, refusal.value.remedy) == (
        "row '1,2,3': 3 numbers, but the model takes 2",
        "write 2 numbers",
    )


def test_a_number_too_large_for_float32_is_refused() -> None:
    with pytest.raises(DataError):
        declared().read(["1e39,2"])


@pytest.mark.parametrize(("low", "high"), [(4, 4), (4, -3)])
def test_a_range_without_coordinates_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValidationError) as refusal:
        declared(low=low, high=high)
    assert refusal.value.errors()[0]["msg"] == (
        f"Value error, high is {high}, not above low, {low}; write a high above {low}"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"weights": []},
        {"weights": [1e31]},
        {"samples": 0},
        {"samples": 10_000_001},
        {"noise": -0.1},
        {"seed": -1},
        {"seed": 2**63},
        {"low": -(2**31)},
        {"high": 2**31},
    ],
    ids=str,
)
def test_a_value_out_of_bounds_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        declared(**options)
