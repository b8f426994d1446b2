from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from exporters import golden, probing, tolerance
from exporters.subject import TRACED_ROWS

if TYPE_CHECKING:
    from exporters.subject import Subject
    from specimens import Published

pytest_plugins = ["specimens"]


def counted(rows: int) -> torch.Tensor:
    """Rows 0, 1, 2 …, (rows, 2), each of which says its number."""
    return torch.arange(rows).float().unsqueeze(1).expand(rows, 2)


def numbers(batch: torch.Tensor) -> list[int]:
    return [int(row[0]) for row in batch]


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(2, 3)


def parsed(path: Path) -> TensorProto:
    tensor = TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return tensor


def sizes(answers: golden.Golden) -> list[int]:
    return [len(question.inputs) for question in answers.held_out]


def test_the_batches_hold_1_2_3_4_7_and_64_rows() -> None:
    assert sizes(golden.make(layer(), counted(100))) == [1, 2, 3, 4, 7, 64]


def test_the_batches_are_cut_one_after_the_other_and_wrap_around_where_the_rows_end() -> None:
    answers = golden.make(layer(), counted(5))

    assert [numbers(question.inputs) for question in answers.held_out][:5] == [
        [0],
        [1, 2],
        [3, 4, 0],
        [1, 2, 3, 4],
        [0, 1, 2, 3, 4, 0, 1],
    ]


def test_a_single_row_is_enough() -> None:
    assert sizes(golden.make(layer(), counted(1))) == [1, 2, 3, 4, 7, 64]


@pytest.mark.parametrize(
    ("work", "rows"),
    [(0, [1, 2, 3, 4, 7, 64]), (golden.WORK // 81, [1, 2, 3, 4, 7, 64]), (golden.WORK // 50, [1, 2, 3, 44])],
)
def test_the_largest_batch_is_as_large_as_the_cost_of_a_row_allows(work: int, rows: list[int]) -> None:
    assert list(golden.batches(work)) == rows


def test_no_model_is_so_expensive_that_fewer_rows_are_asked_at_once_than_one_more_than_is_traced() -> None:
    assert golden.batches(golden.WORK) == (1, 2, 3, TRACED_ROWS + 1)


def test_the_truth_of_an_expensive_model_is_computed_for_few_rows() -> None:
    answers = golden.make(layer(), counted(100), work=golden.TRUTH // 5)

    assert answers.spared
    assert {number for question in answers.held_out for number in numbers(question.inputs)} == {0, 1, 2, 3, 4}


def test_an_expensive_model_is_asked_the_probes_side_by_side() -> None:
    rows = torch.arange(90.0).reshape(9, 2, 5) - 1
    (probe,) = golden.make(nn.Linear(5, 1), rows, work=golden.WORK).probes

    assert probe.rows == ("zeros, ones, smallest and largest side by side", "noise")
    assert probe.inputs[0].tolist() == [[0, 0, 1, -1, 88]] * 2
    assert probe.moves == ()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_rows_too_short_for_all_probes_side_by_side_are_asked_one_by_one(length: int) -> None:
    rows = torch.arange(9.0 * length).reshape(9, length) - 1
    (probe,) = golden.make(nn.Linear(length, 1), rows, work=golden.WORK).probes

    assert probe.rows == probing.PROBES
    assert probe.inputs[:4].tolist() == [[float(number)] * length for number in (0, 1, -1, 9 * length - 2)]


def test_the_answers_of_an_expensive_model_are_those_of_the_rows_of_each_batch() -> None:
    module = layer()

    for question in golden.make(module, counted(100), work=golden.WORK).questions:
        expected = question.inputs.double() @ module.weight.detach().double().T + module.bias.detach().double()
        assert np.abs(question.truth - expected.numpy()).max() < 1e-14
        assert np.abs(question.own - expected.numpy()).max() < 1e-5


def test_whole_batches_are_answered_where_the_last_bits_count() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 300), nn.Linear(300, 3))
    spared = golden.make(module, counted(100), work=golden.WORK)

    for question, before in zip(golden.whole(module, spared).questions, spared.questions, strict=True):
        with torch.no_grad():
            assert question.own.tobytes() == module(question.inputs).numpy().tobytes()
        assert question.truth is before.truth


def test_a_question_knows_which_held_out_rows_it_asks() -> None:
    for question in golden.make(layer(), counted(5)).held_out:
        assert list(question.places) == numbers(question.inputs)


def test_the_truth_is_the_module_in_float64() -> None:
    module = layer()

    for question in golden.make(module, counted(9)).questions:
        expected = question.inputs.double() @ module.weight.detach().double().T + module.bias.detach().double()
        assert question.truth.dtype == np.float64
        assert np.abs(question.truth - expected.numpy()).max() < 1e-14


def test_the_modules_own_answers_are_its_float32_bit_for_bit(subject: Subject) -> None:
    for question in golden.make(subject.module, subject.rows).questions:
        with torch.no_grad():
            again = subject.module(question.inputs).numpy()
        assert question.own.dtype == np.float32
        assert question.own.tobytes() == again.tobytes()


def test_class_numbers_stay_integers() -> None:
    torch.manual_seed(0)
    answers = golden.make(nn.Embedding(4, 2), torch.tensor([0, 3, 1]), values=4)

    assert {question.inputs.dtype for question in answers.questions} == {torch.int64}
    assert {question.truth.dtype for question in answers.questions} == {np.dtype(np.float64)}


def test_the_probes_are_rows_of_zeros_of_ones_of_the_numbers_at_the_ends_and_of_noise() -> None:
    (probe,) = golden.make(layer(), counted(9)).probes

    assert probe.rows == ("zeros", "ones", "smallest", "largest", "noise")
    assert probe.inputs[:4].tolist() == [[0, 0], [1, 1], [0, 0], [8, 8]]
    assert probe.inputs[4].tolist() not in counted(9).tolist()


def test_the_probes_of_tokens_are_tokens() -> None:
    torch.manual_seed(0)
    (probe,) = golden.make(nn.Embedding(9, 2), torch.tensor([[0, 3], [1, 2]]), values=9).probes

    assert probe.inputs[:4].tolist() == [[0, 0], [1, 1], [0, 0], [8, 8]]
    assert 0 <= int(probe.inputs.min()) <= int(probe.inputs.max()) < 9


def test_the_answers_are_those_of_evaluation() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(0.9), nn.Linear(2, 1)).train()

    first, second = golden.make(module, counted(9)), golden.make(module, counted(9))

    assert [q.own.tobytes() for q in first.questions] == [q.own.tobytes() for q in second.questions]


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).eval(), nn.Dropout()).train()
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}

    golden.make(module, counted(9))

    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(
        tensor.dtype == before[name].dtype and torch.equal(tensor, before[name])
        for name, tensor in module.state_dict().items()
    )


@pytest.mark.parametrize("first", [nn.ReLU(inplace=True), nn.LeakyReLU(0.5, inplace=True), nn.SiLU(inplace=True)])
def test_the_inputs_are_the_rows_also_where_the_first_layer_overwrites_what_it_is_given(first: nn.Module) -> None:
    rows = torch.tensor([[-1.0, 2.0], [3.0, -4.0]])

    answers = golden.make(nn.Sequential(first, layer()), rows)

    assert torch.equal(answers.held_out[1].inputs, torch.tensor([[3.0, -4.0], [-1.0, 2.0]]))
    assert torch.equal(rows, torch.tensor([[-1.0, 2.0], [3.0, -4.0]]))


@pytest.mark.parametrize(("file", "name"), [("input_0.pb", "features"), ("output_0.pb", "prediction")])
def test_the_written_tensors_have_the_names_of_the_exported_files(published: Published, file: str, name: str) -> None:
    tensor = parsed(published.folder / "test_data_set_0" / file)

    assert (tensor.name, tensor.data_type) == (name, TensorProto.FLOAT)


def test_the_written_tensors_are_the_batch_of_three_rows_with_the_modules_own_answers(published: Published) -> None:
    folder = published.folder / "test_data_set_0"
    shown = golden.make(published.subject.module, published.subject.rows).published

    given, told = (numpy_helper.to_array(parsed(folder / name)) for name in ("input_0.pb", "output_0.pb"))
    assert (given.shape, told.shape) == ((3, 4), (3, 1))
    assert given.tobytes() == shown.inputs.numpy().tobytes()
    assert told.tobytes() == shown.own.tobytes()


def test_the_written_input_gives_the_written_output_in_onnxruntime_within_the_rule(published: Published) -> None:
    folder = published.folder / "test_data_set_0"
    given, told = (parsed(folder / name) for name in ("input_0.pb", "output_0.pb"))
    session = onnxruntime.InferenceSession(published.folder / "model.onnx", providers=["CPUExecutionProvider"])

    (found,) = session.run([told.name], {given.name: numpy_helper.to_array(given)})

    truth = golden.make(published.subject.module, published.subject.rows).published.truth
    compared = tolerance.compare(told.name, [truth], [numpy_helper.to_array(told)], [found])
    assert compared.verdict == "equal"


def test_writing_twice_gives_the_same_bytes(subject: Subject, tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        golden.write(golden.make(subject.module, subject.rows), folder, "features", ["prediction"])
        written.append([path.read_bytes() for path in sorted(folder.rglob("*.pb"))])

    assert len(written[0]) == 2
    assert written[0] == written[1]
