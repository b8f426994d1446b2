from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from conftest import linear
from exporters.subject import Subject, find_subject
from zoo.build import load_rows
from zoo.errors import DataError, RunError, UsageError
from zoo.run import Run
from zoo.seal import sealed_tensors
from zoo.spec import meaning_sha256

pytest_plugins = ["specimens"]


@pytest.fixture
def own_run(trained_run: Run, here: Path) -> Path:
    """A copy of the trained run as runs/perceptron of the current folder, beside its spec."""
    (here / "perceptron.json").write_text((trained_run.path / "spec.json").read_text(encoding="utf-8"))
    return shutil.copytree(trained_run.path, here / "runs" / "perceptron").relative_to(here)


def test_a_run_gives_its_trained_module_in_evaluation_mode(trained_run: Run, subject: Subject) -> None:
    stored, state = load_file(trained_run.weights_file), subject.module.state_dict()

    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], tensor) for name, tensor in state.items())
    assert not any(part.training for part in subject.module.modules())
    assert subject.origin == "trained"


def test_a_run_gives_the_held_out_rows_and_not_those_it_was_trained_on(trained_run: Run, subject: Subject) -> None:
    assert torch.equal(subject.rows, load_rows(trained_run.checked, "test").inputs)
    assert not torch.equal(subject.rows, load_rows(trained_run.checked, "train").inputs)


@pytest.mark.parametrize("reference", ["perceptron", "runs/perceptron", None])
def test_a_run_is_found_by_the_name_of_its_spec_by_its_folder_or_as_the_newest(
    own_run: Path, reference: str | None
) -> None:
    assert find_subject(reference, (), untrained=False).checked.spec.name == "perceptron"


def test_a_run_knows_its_last_measurements(trained_run: Run, subject: Subject) -> None:
    assert subject.metrics == trained_run.rows()[-1]
    assert subject.metrics["epoch"] == 20


def test_a_run_whose_measurements_are_lost_can_still_be_exported(own_run: Path) -> None:
    (own_run / "metrics.jsonl").unlink()

    assert find_subject(str(own_run), (), untrained=False).metrics == {}


@pytest.mark.parametrize("reference", ["linear3", "spec.json"])
def test_a_spec_without_a_run_is_to_be_trained_first_or_exported_untrained(
    write: Callable[..., str], reference: str
) -> None:
    write(linear())

    with pytest.raises(UsageError) as refused:
        find_subject(reference, (), untrained=False)

    assert refused.value.message == f"{reference} is a spec, and no run of it is here"
    remedy = f"train it first: zoo train {reference}; or export fresh weights with --untrained"
    assert refused.value.remedy == remedy


def test_a_spec_that_was_trained_is_not_said_to_have_no_run(own_run: Path) -> None:
    with pytest.raises(UsageError) as refused:
        find_subject("perceptron.json", (), untrained=False)

    assert "no run of it is here" not in refused.value.message


def test_an_override_that_no_run_takes_is_told_also_where_a_spec_has_the_name(here: Path) -> None:
    with pytest.raises(UsageError) as refused:
        find_subject("linear3", ["train.seed=3"], untrained=False)

    assert refused.value.message == "--set train.seed=3: a run keeps its spec"


def test_a_name_that_nothing_has_is_no_run(here: Path) -> None:
    with pytest.raises(UsageError, match="no such run: nonsense"):
        find_subject("nonsense", (), untrained=False)


def test_without_a_run_there_is_nothing_to_export(here: Path) -> None:
    with pytest.raises(UsageError, match="there is no run in runs/"):
        find_subject(None, (), untrained=False)


def test_a_run_without_weights_is_to_be_finished_first(own_run: Path) -> None:
    (own_run / "model.safetensors").unlink()

    with pytest.raises(RunError) as refused:
        find_subject(str(own_run), (), untrained=False)

    assert refused.value.message == "runs/perceptron has no weights: its training did not end"
    assert refused.value.remedy == "finish it: zoo train --resume runs/perceptron"


def test_absent_data_is_told_with_what_it_is_needed_for(write: Callable[..., str]) -> None:
    transforms = [{"type": "ToDtype", "dtype": "float32", "scale": True}]
    layers = [{"type": "Flatten"}, {"type": "Linear", "out_features": "classes"}]
    data = {"type": "MNIST", "root": "nowhere", "transforms": transforms}
    name = write(linear(data=data, model__layers=layers, loss={"type": "CrossEntropyLoss"}, metrics=[]))

    with pytest.raises(DataError) as refused:
        find_subject(name, (), untrained=True)

    assert refused.value.message.startswith("no held-out rows to prove the export with: data.root 'nowhere': ")
    assert refused.value.remedy.startswith("set data.root to the folder that holds MNIST/raw")


def test_untrained_gives_fresh_weights_of_the_specs_seed(write: Callable[..., str]) -> None:
    name = write(linear())

    first, again, other = (find_subject(name, [f"train.seed={seed}"], untrained=True) for seed in (7, 7, 8))

    weight, same, another = (subject.module.state_dict()["0.weight"] for subject in (first, again, other))
    assert torch.equal(weight, same)
    assert not torch.equal(weight, another)


def test_untrained_gives_a_module_in_evaluation_mode_without_measurements(write: Callable[..., str]) -> None:
    found = find_subject(write(linear()), (), untrained=True)

    assert not any(part.training for part in found.module.modules())
    assert (found.origin, found.metrics) == ("untrained", {})


def test_untrained_takes_a_spec_of_the_zoo_by_its_name(here: Path) -> None:
    assert find_subject("linear3", (), untrained=True).checked.spec.name == "linear3"


def test_untrained_does_not_touch_a_run_of_the_spec(own_run: Path) -> None:
    assert find_subject("perceptron.json", (), untrained=True).origin == "untrained"


def test_untrained_without_a_spec_says_what_to_write(here: Path) -> None:
    with pytest.raises(UsageError) as refused:
        find_subject(None, (), untrained=True)

    assert refused.value.message == "--untrained needs a SPEC"
    assert refused.value.remedy == "write for example: zoo export linear3 --untrained"


@pytest.mark.parametrize(("rows", "numbers"), [(100, [0, 1, 2]), (2, [0, 1, 0]), (1, [0, 0, 0])])
def test_the_exporters_trace_with_three_rows_however_few_there_are(
    subject: Subject, rows: int, numbers: list[int]
) -> None:
    few = dataclasses.replace(subject, rows=subject.rows[:rows])

    assert torch.equal(few.example, subject.rows[numbers])


def test_the_names_in_the_files_are_those_of_the_data_and_of_the_loss(subject: Subject, image_subject: Subject) -> None:
    assert (subject.input_name, subject.output_name) == ("features", "prediction")
    assert (image_subject.input_name, image_subject.output_name) == ("image", "logits")


def test_the_metadata_says_what_a_stranger_needs_to_know(image_subject: Subject) -> None:
    said = image_subject.metadata()

    assert said["zoo.name"] == "digits"
    assert said["zoo.origin"] == "untrained"
    assert said["zoo.spec_sha256"] == image_subject.checked.spec.sha256()
    assert len(json.loads(said["zoo.classes"])) == 10
    assert json.loads(said["zoo.preprocessing"]) == [
        {"type": "ToDtype", "dtype": "float32", "scale": True},
        {"type": "Normalize", "mean": [0.5], "std": [0.25]},
    ]


def test_a_regression_has_no_classes_and_no_preprocessing(subject: Subject) -> None:
    said = subject.metadata()

    assert (said["zoo.classes"], said["zoo.preprocessing"]) == ("[]", "[]")


def test_a_run_of_an_older_zoo_whose_spec_lacks_an_option_of_today_is_exported(own_run: Path) -> None:
    run = Run(own_run)
    document = json.loads(run.spec_file.read_text(encoding="utf-8"))
    del document["train"]["accumulation"]
    run.spec_file.write_text(json.dumps(document), encoding="utf-8")
    old = meaning_sha256(document, run.checked.spec.data.whereabouts)
    state = load_file(run.weights_file)
    run.weights_file.write_bytes(sealed_tensors(save(state), {"spec_sha256": old}))

    assert old != Run(own_run).checked.spec.sha256()
    assert find_subject(str(own_run), (), untrained=False).origin == "trained"


def test_a_spec_that_is_newer_than_its_run_is_refused(own_run: Path) -> None:
    spec = own_run / "spec.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace('"p": 0.1', '"p": 0.2'), encoding="utf-8")

    with pytest.raises(RunError, match=r"spec\.json was changed after the training: its hash is not the one in"):
        find_subject(str(own_run), (), untrained=False)
