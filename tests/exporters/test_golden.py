from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from exporters import golden, tolerance

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


def test_the_batches_hold_1_2_3_7_and_64_rows() -> None:
    assert [len(batch) for batch in golden.make(layer(), counted(100)).inputs] == [1, 2, 3, 7, 64]


def test_the_batches_are_cut_one_after_the_other() -> None:
    answers = golden.make(layer(), counted(100))

    assert [number for batch in answers.inputs for number in numbers(batch)] == list(range(77))


def test_the_batches_wrap_around_where_there_are_few_rows() -> None:
    answers = golden.make(layer(), counted(5), batches=(1, 2, 3, 7))

    assert [numbers(batch) for batch in answers.inputs] == [[0], [1, 2], [3, 4, 0], [1, 2, 3, 4, 0, 1, 2]]


def test_a_single_row_is_enough() -> None:
    assert [len(batch) for batch in golden.make(layer(), counted(1)).inputs] == [1, 2, 3, 7, 64]


def test_the_truth_is_the_module_in_float64() -> None:
    module = layer()

    answers = golden.make(module, counted(9), batches=(4,))

    expected = answers.inputs[0].double() @ module.weight.detach().double().T + module.bias.detach().double()
    assert answers.truth[0].dtype == np.float64
    assert np.abs(answers.truth[0] - expected.numpy()).max() < 1e-15


def test_the_modules_own_answers_are_its_float32_bit_for_bit(subject: Subject) -> None:
    answers = golden.make(subject.module, subject.rows)

    with torch.no_grad():
        again = [subject.module(batch).numpy() for batch in answers.inputs]
    assert [own.dtype for own in answers.own] == [np.float32] * 5
    assert [own.tobytes() for own in answers.own] == [array.tobytes() for array in again]


def test_class_numbers_stay_integers() -> None:
    torch.manual_seed(0)
    answers = golden.make(nn.Embedding(4, 2), torch.tensor([0, 3, 1]), batches=(2,))

    assert answers.inputs[0].dtype == torch.int64
    assert answers.truth[0].dtype == np.float64


def test_the_answers_are_those_of_evaluation() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(0.9), nn.Linear(2, 1)).train()

    first, second = golden.make(module, counted(9)), golden.make(module, counted(9))

    assert [own.tobytes() for own in first.own] == [own.tobytes() for own in second.own]


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

    answers = golden.make(nn.Sequential(first, layer()), rows, batches=(2,))

    assert torch.equal(answers.inputs[0], torch.tensor([[-1.0, 2.0], [3.0, -4.0]]))


@pytest.mark.parametrize(("file", "name"), [("input_0.pb", "features"), ("output_0.pb", "prediction")])
def test_the_written_tensors_have_the_names_of_the_exported_files(published: Published, file: str, name: str) -> None:
    tensor = parsed(published.folder / "test_data_set_0" / file)

    assert (tensor.name, tensor.data_type) == (name, TensorProto.FLOAT)


def test_the_written_tensors_are_the_batch_of_three_rows_with_the_modules_own_answers(published: Published) -> None:
    folder = published.folder / "test_data_set_0"
    answers = golden.make(published.subject.module, published.subject.rows)

    given, told = (numpy_helper.to_array(parsed(folder / name)) for name in ("input_0.pb", "output_0.pb"))
    assert (given.shape, told.shape) == ((3, 4), (3, 1))
    assert given.tobytes() == answers.inputs[2].numpy().tobytes()
    assert told.tobytes() == answers.own[2].tobytes()


def test_the_written_input_gives_the_written_output_in_onnxruntime_within_the_rule(published: Published) -> None:
    folder = published.folder / "test_data_set_0"
    given, told = (parsed(folder / name) for name in ("input_0.pb", "output_0.pb"))
    session = onnxruntime.InferenceSession(published.folder / "model.onnx", providers=["CPUExecutionProvider"])

    (found,) = session.run([told.name], {given.name: numpy_helper.to_array(given)})

    truth = golden.make(published.subject.module, published.subject.rows).truth[2]
    compared = tolerance.compare(told.name, [truth], [numpy_helper.to_array(told)], [found])
    assert compared.verdict == "equal"


def test_writing_twice_gives_the_same_bytes(subject: Subject, tmp_path: Path) -> None:
    written = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        golden.write(golden.make(subject.module, subject.rows), folder, "features", "prediction")
        written.append([path.read_bytes() for path in sorted(folder.rglob("*.pb"))])

    assert len(written[0]) == 2
    assert written[0] == written[1]
