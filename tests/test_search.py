"""Searches: where they may stand, what is wrong with them, and the specs that they stand for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from conftest import Document, Outcome, linear
from zoo.check import check, check_file
from zoo.errors import SpecError, UsageError
from zoo.inheritance import read_spec
from zoo.search import KINDS, MOST_CHECKS, MOST_SEARCHES, find, points
from zoo.searched import check_searched, goal_of
from zoo.source import Source

Write = Callable[..., str]
Zoo = Callable[..., Outcome]
RATE = {"search": "log_uniform", "low": 1e-4, "high": 0.1}
WHOLE = {"search": "int", "low": 4, "high": 16, "step": 4}


def source(document: Document) -> Source:
    text = json.dumps(document, indent=1)
    return Source("spec.json", text, json.loads(text))


def problems(document: Document) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as refused:
        check_searched(source(document))
    return [(problem.message, problem.remedy) for problem in refused.value.problems]


def layers(*entries: object) -> Document:
    return linear(data__validation=0.25, model={"layers": [*entries, {"type": "Linear", "out_features": 1}]})


@pytest.mark.parametrize(
    ("search", "values"),
    [
        ({"search": "uniform", "low": 0.5, "high": 1}, [0.5, 1]),
        (RATE, [1e-4, 0.1]),
        ({"search": "choice", "values": [0.25, 0.5, 1]}, [0.25, 0.5, 1]),
        ({"search": "int", "low": 1, "high": 3}, [1, 3]),
        ({"search": "log_int", "low": 1, "high": 8}, [1, 8]),
    ],
    ids=lambda value: value["search"] if isinstance(value, dict) else "",
)
def test_a_search_stands_for_its_extremes(search: Document, values: list[float]) -> None:
    found = check_searched(source(linear(optimizer__lr=search)))
    assert [point.spec.optimizer.document()["lr"] for point in found.points] == values


def test_every_kind_of_search_is_tried_above() -> None:
    assert set(KINDS) == {"uniform", "log_uniform", "int", "log_int", "choice"}


def test_searches_go_to_their_extremes_one_at_a_time() -> None:
    document = linear(optimizer__lr=RATE, train__batch_size={"search": "choice", "values": [4, 5, 10]})
    found = source(document)
    values = [(p.value["optimizer"]["lr"], p.value["train"]["batch_size"]) for p in points(found, find(found))]
    assert values == [(1e-4, 4), (0.1, 4), (1e-4, 5), (1e-4, 10)]


def test_a_choice_holds_objects_and_searches() -> None:
    adam = {"type": "Adam", "lr": {"search": "uniform", "low": 0.1, "high": 0.2}}
    found = source(linear(optimizer={"search": "choice", "values": [{"type": "SGD", "lr": RATE}, adam]}))
    values = [point.value["optimizer"] for point in points(found, find(found))]
    assert values == [
        {"type": "SGD", "lr": 1e-4},
        {"type": "Adam", "lr": 0.1},
        {"type": "SGD", "lr": 0.1},
        {"type": "Adam", "lr": 0.2},
    ]


def test_a_search_stands_in_lists_and_in_the_parameters_of_templates() -> None:
    document = layers({"type": "Block", "name": "unit", "width": WHOLE}, {"type": "Reshape", "shape": [WHOLE, -1]})
    document["blocks"] = {"unit": {"layers": [{"type": "Linear", "out_features": "$width"}]}}
    document["model"]["layers"].insert(2, {"type": "Flatten"})
    assert len(find(source(document))) == 2
    (first, *_) = points(source(document), find(source(document)))
    assert first.value["model"]["layers"][0]["width"] == 4
    assert check(first).layers[-1].output.dims[-1] == 1


def test_a_document_without_searches_is_its_own_only_point() -> None:
    document = source(linear())
    assert list(points(document, find(document))) == [document]


def test_a_persons_own_key_is_no_search() -> None:
    document = layers({"type": "Block", "name": "search"})
    document["blocks"] = {
        "search": {"defaults": {"search": 4}, "layers": [{"type": "Linear", "out_features": "$search"}]}
    }
    assert find(source(document)) == {}
    assert check(source(document)).layers[0].output.dims[-1] == 4


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"search": "uniform", "low": 2, "high": 1}, "low is 2, and high is 1", "write a low below high"),
    ({"search": "uniform", "low": 1, "high": 1}, "low is 1, and high is 1", "write a low below high"),
    ({"search": "log_uniform", "low": 0, "high": 1}, "low is 0", "write a number above 0"),
    ({"search": "log_int", "low": 0, "high": 9}, "low is 0", "write a number 1 or more"),
    ({"search": "int", "low": 0.5, "high": 9}, "low is 0.5", "write a whole number"),
    ({"search": "int", "low": 1, "high": 9, "step": 0}, "step is 0", "write a number 1 or more"),
    ({"search": "int", "low": 4, "high": 9, "step": 2}, "steps of 2 from 4 never come to 9", "write 8 for high"),
    ({"search": "int", "low": 4, "high": 9, "step": 7}, "steps of 7 from 4 never come to 9", "write a smaller step"),
    ({"search": "uniform", "low": 1}, 'uniform needs "high"', 'write "high": … (The largest value)'),
    ({"search": "uniform", "low": 1, "hihg": 2, "high": 2}, 'uniform has no option "hihg"', 'did you mean "high"?'),
    ({"search": "uniform", "low": "a", "high": 2}, 'low is "a"', "write a number"),
    ({"search": "choice", "values": []}, "values is []", "write a list of 2 or more"),
    ({"search": "choice", "values": [1]}, "values is [1]", "write a list of 2 or more"),
    ({"search": "choice", "values": [1, 2, 1]}, "values has 1 twice", "keep one of them"),
    ({"search": "choice", "values": 3}, "values is 3", "write a list"),
    ({"search": "choice"}, 'choice needs "values"', 'write "values": … (What is chosen from)'),
    ({"search": "loguniform"}, 'no search is called "loguniform"', 'did you mean "log_uniform"?'),
    ({"search": 3}, "no search is called 3", "write one of: choice, int, log_int, log_uniform, uniform"),
]


@pytest.mark.parametrize(("search", "message", "remedy"), WRONG, ids=[message for _, message, _ in WRONG])
def test_a_wrong_search_is_told_with_a_remedy(search: Document, message: str, remedy: str) -> None:
    assert problems(linear(optimizer__lr=search)) == [(message, remedy)]


def test_wrong_searches_are_told_all_at_once_with_their_places() -> None:
    wrong = {"search": "uniform", "low": 2, "high": 1}
    with pytest.raises(SpecError) as refused:
        find(source(linear(optimizer__lr=wrong, train__batch_size={"search": "chioce"})))
    assert [problem.path for problem in refused.value.problems] == [
        ("optimizer", "lr", "low"),
        ("train", "batch_size", "search"),
    ]


def test_a_wrong_bound_is_told_where_it_is_written() -> None:
    document = linear(optimizer__lr={"search": "uniform", "low": -1, "high": 1})
    with pytest.raises(SpecError) as refused:
        check_searched(source(document))
    (problem,) = refused.value.problems
    assert (problem.message, problem.remedy) == ("optimizer.lr is -1.0", "write a number 0 or more")
    assert problem.place.text.strip() == '"low": -1,'
    assert problem.place.text[problem.place.column - 1 :].startswith('"low"')


def test_a_wrong_value_of_a_choice_is_told_where_it_is_written() -> None:
    document = linear(optimizer={"search": "choice", "values": [{"type": "SGD", "lr": 1}, {"type": "Adam", "lr": -2}]})
    with pytest.raises(SpecError) as refused:
        check_searched(source(document))
    (problem,) = refused.value.problems
    assert (problem.message, problem.place.text.strip()) == ("optimizer.lr is -2", '"lr": -2')


def test_a_search_where_an_object_stands_is_told_in_the_usual_words() -> None:
    document = linear(model=WHOLE)
    assert problems(document) == [("model is 4", "write an object"), ("model is 16", "write an object")]


def test_what_does_not_go_together_at_an_extreme_is_told() -> None:
    size = {"search": "choice", "values": [4, 3]}
    document = layers({"type": "BatchNorm1d"})
    document |= {"data": {**document["data"], "samples": 33}, "train": {"epochs": 1, "batch_size": size}}
    assert problems(document)[0][0].startswith("25 rows in steps of 4 leave a last step of 1")


@pytest.mark.parametrize("place", ["name", "summary", "data__seed", "data__validation"])
def test_a_search_of_what_no_trial_may_change_is_refused(place: str) -> None:
    ((message, remedy),) = problems(linear(**{place: RATE}))
    assert message.startswith("a search here")
    assert remedy == f"write one value for {place.replace('__', '.')}"


def test_a_thousand_searches_are_one_clear_problem() -> None:
    ((message, remedy),) = problems(layers(*[{"type": "Dropout", "p": RATE}] * 1000))
    assert message == f"1,000 searches are more than the {MOST_SEARCHES} that can be told apart by trials"
    assert remedy == "write numbers for the others"


def test_more_values_than_can_be_checked_are_refused() -> None:
    many = {"search": "choice", "values": [index / 200 for index in range(90)]}
    ((message, _),) = problems(layers(*[{"type": "Dropout", "p": many}] * 4))
    assert message == f"the searches have 357 values to check; {MOST_CHECKS} are the most"


def test_a_search_replaces_what_a_spec_extends(write: Write) -> None:
    write(linear(optimizer__lr={"search": "uniform", "low": 0.1, "high": 0.2}), "base.json")
    own = {"extends": "base.json", "optimizer": {"lr": {"search": "choice", "values": [1, 2]}}}
    found = check_searched(read_spec(write(own)))
    assert [point.spec.optimizer.document()["lr"] for point in found.points] == [1, 2]


def test_train_says_that_a_search_is_for_tune(zoo: Zoo, write: Write) -> None:
    done = zoo("train", write(linear(optimizer__lr=RATE)))
    assert done.status == 2
    assert "error: optimizer.lr is a search\n" in done.err
    assert "remedy: run it with zoo tune, or write a value: --set optimizer.lr=VALUE" in done.err


def test_a_search_that_is_overridden_is_a_plain_spec(write: Write) -> None:
    assert check_file(write(linear(optimizer__lr=RATE)), ["optimizer.lr=0.5"])


def test_check_judges_a_search_by_its_extremes(zoo: Zoo, write: Write) -> None:
    name = write(linear(optimizer__lr={"search": "uniform", "low": -1, "high": 1}))
    assert zoo("check", name).out.startswith("spec.json:33:7: error: optimizer.lr is -1.0\n")
    assert zoo("check", write(linear(optimizer__lr=RATE))).status == 0


def test_the_goal_knows_what_is_better() -> None:
    document = linear(data__validation=0.2, optimizer__lr=RATE, metrics=[{"type": "R2Score"}])
    found = check_searched(source(document))
    assert goal_of(found, "validation_loss").direction == "minimize"
    assert goal_of(found, "validation_r2_score").direction == "maximize"


@pytest.mark.parametrize(
    ("metric", "message", "remedy"),
    [
        ("test_loss", "is measured on rows that no search may look at", 'did you mean "validation_loss"?'),
        ("validation_los", "is not measured", 'did you mean "validation_loss"?'),
        ("train_loss", "is not measured", "validation_loss"),
    ],
)
def test_a_goal_is_of_the_validation_split(metric: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        goal_of(check_searched(source(linear(data__validation=0.2, optimizer__lr=RATE))), metric)
    assert remedy in refused.value.remedy


def test_a_search_without_validation_split_is_refused() -> None:
    with pytest.raises(SpecError) as refused:
        goal_of(check_searched(source(linear(optimizer__lr=RATE))), "validation_loss")
    assert refused.value.problems[0].remedy == 'write "validation": 0.1 in data'


def test_trials_of_several_losses_are_not_compared_by_their_loss() -> None:
    loss = {"search": "choice", "values": [{"type": "MSELoss"}, {"type": "L1Loss"}]}
    found = check_searched(source(linear(data__validation=0.2, loss=loss)))
    with pytest.raises(SpecError) as refused:
        goal_of(found, "validation_loss")
    assert "cannot be compared" in refused.value.problems[0].message
    assert goal_of(found, "validation_mean_absolute_error").direction == "minimize"


def test_a_spec_without_a_search_is_not_tuned() -> None:
    with pytest.raises(UsageError, match="the spec has no search"):
        goal_of(check_searched(source(linear(data__validation=0.2))), "validation_loss")
