"""Habits: what is said to words of other programs; every place that is named is one of the language."""

from __future__ import annotations

import pytest

from zoo.data import DATA
from zoo.habits import ADVICE, MAIN, PLACES, TYPES, known_type, main_option, moved
from zoo.layers import LAYERS
from zoo.losses import LOSSES
from zoo.metrics import METRICS
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS
from zoo.spec import Spec
from zoo.train import EarlyStopping, Train
from zoo.transforms import TRANSFORMS


def test_every_place_is_in_the_language() -> None:
    known = set(Spec.model_fields) | {"model.layers"}
    known |= {f"train.{name}" for name in Train.model_fields}
    known |= {f"train.early_stopping.{name}" for name in EarlyStopping.model_fields}
    for choice, owner in ((DATA, "data"), (OPTIMIZERS, "optimizer")):
        known |= {f"{owner}.{name}" for kind in choice.names for name in choice.load(kind).model_fields}
    assert set(PLACES) <= known
    assert all(option in EarlyStopping.model_fields for option, _ in MAIN.values())


def test_no_word_has_two_meanings() -> None:
    words = [word for several in (*PLACES.values(), *ADVICE.values()) for word in several.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("section", "name", "value", "told"),
    [
        ("train", "learning_rate", 0.1, 'write "lr": 0.1 into optimizer'),
        ("train", "LR", "0.1", 'write "lr": … into optimizer'),
        ("data", "shuffle", True, 'write "shuffle": … into train'),
        ("", "layers", [], 'write "layers": … into model'),
        ("train", "loss", "mse", 'write "loss": … at the top of the spec, beside data'),
        ("train", "max_epochs", 3, 'did you mean "epochs"?'),
        ("train", "device", "cuda", "a spec is of no machine; say it to the command: zoo train SPEC --device cuda"),
        ("optimizer", "momentum", 0.9, None),
        ("data", "num_classes", 3, None),
        ("metrics", "lr", 0.1, None),
        ("train", "unheard_of", 1, None),
    ],
)
def test_a_word_of_another_program_is_sent_to_its_place(
    section: str, name: str, value: object, told: str | None
) -> None:
    assert moved(section, {"epochs"}, name, value) == told


def test_types_and_options_of_other_programs_are_known_where_they_fit() -> None:
    assert known_type("Dense", ["Conv2d", "Linear"]) == "Linear"
    assert [known_type("mae", [kind]) for kind in ("L1Loss", "MeanAbsoluteError", "ReLU")] == [
        "L1Loss",
        "MeanAbsoluteError",
        None,
    ]
    assert moved("layer", {"p", "inplace"}, "rate", 0.5) == 'did you mean "p"?'
    assert moved("layer", {"inplace"}, "rate", 0.5) is None
    assert moved("data", {"memory", "workers"}, "num_workers", 4) == 'did you mean "workers"?'
    assert str(moved("data", {"samples"}, "num_workers", 4)).startswith("rows live in memory, where no process ")
    kinds = {kind for choice in (LAYERS, LOSSES, METRICS, SCHEDULERS, DATA, TRANSFORMS) for kind in choice.names}
    assert set(TYPES) <= kinds


def test_a_bare_value_is_shown_as_the_object_it_stands_for() -> None:
    assert main_option("early_stopping", 7) == '{"patience": 7}'
    for value in (True, -3, 2**31, 0.5):
        assert main_option("early_stopping", value) == '{"patience": 5}'
    assert main_option("scheduler", 7) is None
