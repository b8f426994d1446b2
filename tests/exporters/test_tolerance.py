from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import torch

from exporters import golden
from exporters.tolerance import Comparison, compare, compare_question

if TYPE_CHECKING:
    from exporters.subject import Subject

pytest_plugins = ["specimens"]

Floats = npt.NDArray[np.float64]

EPS = 2.0**-23
OWN = 2.0**-20  # torch's error on each row
A_BIT_MORE = 1 + 2.0**-20

RMS_LIMIT = 4 * OWN + EPS  # of rows of ±1: rms(R64) = 1
MAX_LIMIT = 8 * OWN + 2 * EPS  # of rows of ±1: S = 1


def rows(count: int = 64) -> Floats:
    """+1 and -1 in turn, (count, 1): rms 1, S 1, reaction 2; and dyadic, so that the rule computes without rounding."""
    return np.resize([1.0, -1.0], (count, 1))


def off_by(error: float) -> Floats:
    return rows() + error


def off_in_one_row(error: float) -> Floats:
    wrong = rows()
    wrong[5, 0] += error
    return wrong


def judge(found: Floats, own: Floats | None = None, truth: Floats | None = None) -> Comparison:
    return compare("y", [rows() if truth is None else truth], [off_by(OWN) if own is None else own], [found])


def test_the_rms_error_may_be_four_times_torchs_own_and_an_eps_of_the_outputs_rms() -> None:
    found = judge(off_by(RMS_LIMIT))

    assert (found.verdict, found.file_rms, found.rms_limit) == ("equal", RMS_LIMIT, RMS_LIMIT)


def test_an_rms_error_just_above_its_limit_is_different() -> None:
    found = judge(off_by(RMS_LIMIT * A_BIT_MORE))

    assert (found.verdict, found.reason) == ("different", "its rms error from float64 is 3.93e-06, above 3.93e-06")


def test_the_largest_error_may_be_eight_times_torchs_own_and_two_eps_of_the_largest_output() -> None:
    found = judge(off_in_one_row(MAX_LIMIT))

    assert (found.verdict, found.file_max, found.max_limit) == ("equal", MAX_LIMIT, MAX_LIMIT)


def test_a_largest_error_just_above_its_limit_is_different() -> None:
    found = judge(off_in_one_row(MAX_LIMIT * A_BIT_MORE))

    assert (found.verdict, found.reason) == ("different", "its max error from float64 is 7.87e-06, above 7.87e-06")


@pytest.mark.parametrize(("error", "verdict"), [(2 * EPS, "equal"), (2 * EPS * A_BIT_MORE, "different")])
def test_where_torch_is_exact_by_luck_two_eps_are_still_allowed(error: float, verdict: str) -> None:
    assert judge(off_in_one_row(error), own=rows()).verdict == verdict


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "equal"), (A_BIT_MORE, "different")])
def test_the_rule_does_not_depend_on_the_scale_of_the_output(scale: float, factor: float, verdict: str) -> None:
    found = judge(off_by(RMS_LIMIT * factor) * scale, own=off_by(OWN) * scale, truth=rows() * scale)

    assert found.verdict == verdict


def test_errors_are_pooled_over_batches() -> None:
    exact, inexact = rows(), off_by(OWN)
    alone = compare("y", [rows()], [exact], [off_by(2 * OWN)])

    pooled = compare("y", [rows(), rows()], [exact, inexact], [off_by(2 * OWN), exact])

    assert (alone.verdict, pooled.verdict, pooled.rows) == ("different", "equal", 128)


def test_axes_beyond_the_first_count_as_numbers_of_a_row() -> None:
    grid = rows(15).reshape(3, 5, 1)

    found = compare("y", [grid], [grid], [grid + 2 * EPS])

    assert (found.verdict, found.rows, found.file_rms) == ("different", 3, 2 * EPS)


def test_a_single_question_may_use_the_limits_of_all_together() -> None:
    whole = judge(rows())

    lucky = compare_question(whole, "zeros", np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), MAX_LIMIT / 2))

    assert (lucky.verdict, lucky.question, lucky.max_limit) == ("equal", "zeros", MAX_LIMIT)


def test_a_single_question_beyond_all_limits_is_different() -> None:
    whole = judge(rows())

    wrong = compare_question(whole, "ones", np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), 1 + 2 * MAX_LIMIT))

    assert wrong.verdict == "different"


def test_where_torch_overflows_the_file_must_too() -> None:
    whole, huge = judge(rows()), np.full((1, 1), np.inf)

    assert compare_question(whole, "largest", huge, huge, huge).verdict == "equal"
    assert compare_question(whole, "largest", huge, huge, np.ones((1, 1))).verdict == "different"


@pytest.mark.parametrize("constant", [0.0, 1.0, -3.5])
def test_a_constant_output_is_inconclusive(constant: float) -> None:
    same = np.full((8, 1), constant)

    found = judge(same, own=same, truth=same)

    reason = "the output hardly reacts to the input (0); any file would pass"
    assert (found.verdict, found.reason) == ("inconclusive", reason)


@pytest.mark.parametrize(("swing", "verdict"), [(0.0099, "inconclusive"), (0.0101, "equal")])
def test_an_output_must_react_by_two_percent_of_its_rms(swing: float, verdict: str) -> None:
    wavering = 1.0 + swing * rows()  # (64, 1), neighbours differ by 2 · swing

    assert judge(wavering, own=wavering, truth=wavering).verdict == verdict


@pytest.mark.parametrize(("error", "verdict"), [(1.0, "equal"), (1.0 + 1e-9, "inconclusive")])
def test_a_model_of_which_torch_itself_is_off_by_more_than_a_thousandth_is_inconclusive(
    error: float, verdict: str
) -> None:
    truth = 1000.0 * rows()

    assert judge(truth, own=truth + error, truth=truth).verdict == verdict


def test_the_reason_says_how_far_torch_itself_is_off() -> None:
    found = judge(rows(), own=off_by(0.25))

    assert found.reason == "torch's float32 is off by 0.25 of 1"


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("whose", ["truth", "own", "both"])
def test_a_model_whose_own_output_is_not_finite_is_inconclusive(whose: str, value: float) -> None:
    spoiled = rows()
    spoiled[3:5] = value
    truth, own = (rows() if whose == name else spoiled for name in ("own", "truth"))

    found = judge(rows(), own=own, truth=truth)

    assert (found.verdict, found.reason) == ("inconclusive", "the model's own output is not finite")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_file_whose_output_is_not_finite_is_different(value: float) -> None:
    spoiled = rows()
    spoiled[3] = value

    found = judge(spoiled)

    assert (found.verdict, found.reason) == ("different", "the file's output is not finite")


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("whose", ["truth", "own", "found"])
def test_every_comparison_can_be_written_as_standard_json(whose: str, value: float) -> None:
    batches = {name: rows() for name in ("truth", "own", "found")}
    batches[whose][0] = value

    found = judge(batches["found"], own=batches["own"], truth=batches["truth"])

    assert json.dumps(found.document(), allow_nan=False)


@pytest.mark.parametrize(
    ("reshape", "shape"),
    [
        (lambda array: array[:, 0], "(64,)"),
        (lambda array: array[:3], "(3, 1)"),
        (lambda array: array.reshape(1, 64), "(1, 64)"),
        (lambda array: np.repeat(array, 2, axis=1), "(64, 2)"),
    ],
)
def test_another_shape_is_different(reshape: Callable[[Floats], Floats], shape: str) -> None:
    found = judge(reshape(rows()))

    assert (found.verdict, found.reason) == ("different", f"the file gives {shape} where the model gives (64, 1)")


def test_one_wrong_shape_among_right_ones_is_different() -> None:
    found = compare("y", [rows(), rows()], [rows(), rows()], [rows(), rows()[:3]])

    assert (found.verdict, found.rows) == ("different", 128)


def test_the_largest_error_is_told_in_units_of_the_last_place() -> None:
    assert judge(off_in_one_row(3 * EPS)).file_max_in_ulps == 3.0


def test_an_output_of_zeros_has_no_units_of_the_last_place() -> None:
    zeros = np.zeros((4, 1))

    assert judge(zeros, own=zeros, truth=zeros).file_max_in_ulps == 0.0


def test_of_the_numbers_of_a_trained_perceptron_99_in_100_are_seen_when_off_by_one_percent(subject: Subject) -> None:
    asked = golden.make(subject.module, subject.rows).held_out
    truth, own = [question.truth for question in asked], [question.own for question in asked]
    faulty = copy.deepcopy(subject.module)
    verdicts = []
    for tensor in faulty.state_dict().values():
        for index in range(tensor.numel() if tensor.is_floating_point() else 0):
            number = tensor.view(-1)[index].clone()
            tensor.view(-1)[index] *= 1.01
            with torch.no_grad():
                found = [faulty(question.inputs).numpy() for question in asked]
            verdicts.append(compare("y", truth, own, found).verdict)
            tensor.view(-1)[index] = number

    assert len(verdicts) == 465
    assert verdicts.count("different") / len(verdicts) >= 0.99
