"""Strict: what every declaration refuses, how it is written out again, and how its documentation reaches the schema."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from zoo.choice import Choice
from zoo.data.linear_function import LinearFunction
from zoo.data.mnist import MNIST
from zoo.layers.activation import LeakyReLU
from zoo.layers.dropout import Dropout
from zoo.layers.linear import Linear
from zoo.layers.normalization import BatchNorm1d, LayerNorm
from zoo.models.layered import Layered
from zoo.optimizers.adam import Adam
from zoo.optimizers.optimizer import Group
from zoo.optimizers.sgd import SGD
from zoo.schema import json_schema
from zoo.source import Source
from zoo.spec import Spec, parse
from zoo.strict import Strict, field_docstrings
from zoo.templates import expand
from zoo.train import EarlyStopping, Train
from zoo.transforms.conversion import Normalize

Document = dict[str, object]

SPECS = sorted(path for path in (Path(__file__).parent.parent / "specs").glob("*.json") if "schema" not in path.name)
EVERYTHING: Document = {
    "$schema": "zoo.schema.json",
    "name": "everything",
    "summary": "One of each.",
    "data": {
        "type": "MNIST",
        "root": "elsewhere",
        "download": True,
        "transforms": [
            {"type": "ToDtype", "dtype": "float32", "scale": True},
            {"type": "Normalize", "mean": [0.5], "std": [0.5]},
        ],
    },
    "model": {
        "layers": [
            {"type": "Flatten", "id": "flat"},
            {"type": "BatchNorm1d", "momentum": None},
            {"type": "LayerNorm", "normalized_shape": [784]},
            {"type": "Linear", "out_features": "classes", "in_features": 784, "bias": False},
        ]
    },
    "loss": {"type": "CrossEntropyLoss", "label_smoothing": 0.1},
    "metrics": [{"type": "Accuracy"}],
    "optimizer": {"type": "Adam", "betas": [0.8, 0.9]},
    "scheduler": {"type": "StepLR", "step_size": 2},
    "train": {"epochs": 2, "batch_size": 8, "shuffle": False, "seed": 2**63 - 1},
}
DOCUMENTS = [EVERYTHING, *(json.loads(path.read_text(encoding="utf-8")) for path in SPECS)]


class Child(Strict):
    """A child.

    Of two lines.
    """

    age: int
    """In
    years."""
    undocumented: int = 0


class GrandChild(Child):
    """A grandchild."""

    age: int = 0
    """Anew."""
    toys: tuple[int, ...] = ()
    """Their numbers."""


def validated(model: type[BaseModel], document: Document) -> BaseModel:
    return model.model_validate_json(json.dumps(document))


def parsed(document: Document) -> Spec:
    text = json.dumps(document)
    return parse(expand(Source("spec.json", text, json.loads(text))))


def classes_in(annotation: object, seen: set[type[Strict]]) -> Iterator[type[Strict]]:
    if isinstance(annotation, Choice):
        for member in annotation.members():
            yield from reachable(member, seen)
        return
    parts = get_args(annotation)
    chosen = [part for part in parts if isinstance(part, Choice)]
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        yield from reachable(annotation, seen)
    for part in chosen or parts:
        yield from classes_in(part, seen)


def reachable(model: type[Strict], seen: set[type[Strict]] | None = None) -> Iterator[type[Strict]]:
    """Yield the class and every class that its fields hold, each once."""
    known = set() if seen is None else seen
    if model in known:
        return
    known.add(model)
    yield model
    for field in model.model_fields.values():
        marks: list[object] = [mark for mark in field.metadata if isinstance(mark, Choice)]
        for part in marks or [field.annotation]:
            yield from classes_in(part, known)


@cache
def body_of(model: type) -> list[ast.stmt]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    return definition.body


def written_under(model: type[Strict], name: str) -> str:
    """Return the text under the field in the source of the class nearest to `model` that explains it."""
    for base in model.__mro__:
        if name not in inspect.get_annotations(base):
            continue
        for statement, below in pairwise(body_of(base)):
            declares = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == name
            if declares and isinstance(below, ast.Expr):
                return inspect.cleandoc(str(ast.literal_eval(below.value)))
    raise AssertionError(f"{model.__name__}.{name} is explained nowhere")


# Any: a JSON Schema. It is made once, because making it reads the source of every class.
@cache
def whole_schema() -> dict[str, Any]:
    return json_schema()


def definition_of(model: type[Strict]) -> str:
    """Return the name of a class in the schema; where two classes have one name, what they are stands behind it."""
    name = model.__name__
    kind = "Layer" if ".layers." in model.__module__ else "Transform"
    return name if name in whole_schema()["$defs"] else f"{name}{kind}"


# Any: a JSON Schema.
def schema_of(model: type[Strict]) -> dict[str, Any]:
    whole = whole_schema()
    found: dict[str, Any] = whole["else"] if model is Spec else whole["$defs"][definition_of(model)]
    return found


MODELS = sorted(set(reachable(Spec)), key=lambda model: (model.__name__, model.__module__))
FIELDS = [(model, name) for model in MODELS for name in model.model_fields if name != "type"]


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (Linear, {"type": "Linear", "out_features": 1, "biass": True}),
        (Train, {"epochs": 1, "batch_size": 1, "Seed": 1}),
        (Spec, {**EVERYTHING, "schema_reference": "zoo.schema.json"}),
    ],
)
def test_an_unknown_option_is_refused(model: type[BaseModel], document: Document) -> None:
    with pytest.raises(ValidationError) as refusal:
        validated(model, document)
    assert [error["type"] for error in refusal.value.errors()] == ["extra_forbidden"]


@pytest.mark.parametrize(
    ("model", "document", "kind"),
    [
        (Train, {"epochs": True, "batch_size": 1}, "int_type"),
        (Train, {"epochs": "1", "batch_size": 1}, "int_type"),
        (Train, {"epochs": 1.5, "batch_size": 1}, "int_type"),
        (Train, {"epochs": [1], "batch_size": 1}, "int_type"),
        (Train, {"epochs": 1, "batch_size": 1, "shuffle": 1}, "bool_type"),
        (Train, {"epochs": 1, "batch_size": 1, "shuffle": 0.0}, "bool_type"),
        (Train, {"epochs": 1, "batch_size": 1, "shuffle": "true"}, "bool_type"),
        (Train, {"epochs": 1, "batch_size": 1, "shuffle": None}, "bool_type"),
        (SGD, {"type": "SGD", "lr": True}, "float_type"),
        (SGD, {"type": "SGD", "lr": "0.1"}, "float_type"),
        (SGD, {"type": "SGD", "lr": None}, "float_type"),
        (MNIST, {"type": "MNIST", "root": 1}, "string_type"),
        (MNIST, {"type": "MNIST", "root": True}, "string_type"),
        (MNIST, {"type": "MNIST", "transforms": {}}, "tuple_type"),
        (Normalize, {"type": "Normalize", "mean": 0.5, "std": [1]}, "tuple_type"),
        (Normalize, {"type": "Normalize", "mean": "0.5", "std": [1]}, "tuple_type"),
        (Normalize, {"type": "Normalize", "mean": [1, "0.5"], "std": [1]}, "float_type"),
    ],
)
def test_a_value_of_another_type_is_not_made_to_fit(model: type[BaseModel], document: Document, kind: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        validated(model, document)
    assert [error["type"] for error in refusal.value.errors()] == [kind]


def test_a_whole_number_stands_for_a_number() -> None:
    assert SGD.model_validate_json('{"type": "SGD", "lr": 1}').lr == 1.0


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (SGD, '{{"type": "SGD", "dampening": {}}}'),
        (LeakyReLU, '{{"type": "LeakyReLU", "negative_slope": {}}}'),
        (Normalize, '{{"type": "Normalize", "mean": [1, {}], "std": [1]}}'),
        (Adam, '{{"type": "Adam", "betas": [{}, 0.9]}}'),
        (Dropout, '{{"type": "Dropout", "p": {}}}'),
    ],
)
def test_a_number_that_is_not_finite_is_refused(model: type[BaseModel], text: str, token: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate_json(text.format(token))
    assert [error["type"] for error in refusal.value.errors()] == ["finite_number"]


@pytest.mark.parametrize(
    "made",
    [
        Linear(type="Linear", out_features=1),
        Train(epochs=1, batch_size=1),
        parsed(EVERYTHING),
        LinearFunction(type="LinearFunction", weights=(1.0,), samples=1),
    ],
    ids=lambda made: type(made).__name__,
)
def test_a_declaration_never_changes(made: Strict) -> None:
    name = next(iter(type(made).model_fields))
    with pytest.raises(ValidationError) as refusal:
        setattr(made, name, getattr(made, name))
    assert [error["type"] for error in refusal.value.errors()] == ["frozen_instance"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_all_that_a_spec_holds_can_be_hashed_and_so_never_changes(document: Document) -> None:
    assert hash(parsed(document)) == hash(parsed(document))


def test_a_message_does_not_repeat_the_input() -> None:
    with pytest.raises(ValidationError) as refusal:
        Train.model_validate_json('{"epochs": "secret", "batch_size": 1}')
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_a_document_is_read_back_to_the_same_object(document: Document) -> None:
    spec = parsed(document)
    assert parsed(spec.document()) == spec


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_a_document_that_is_read_back_is_written_the_same(document: Document) -> None:
    written = parsed(document).document()
    assert parsed(written).document() == written


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["name"])
def test_a_document_holds_json_values_alone(document: Document) -> None:
    written = parsed(document).document()
    assert json.loads(json.dumps(written)) == written


@pytest.mark.parametrize(
    ("made", "document"),
    [
        (
            BatchNorm1d(type="BatchNorm1d", momentum=None),
            {
                "type": "BatchNorm1d",
                "eps": 1e-5,
                "momentum": None,
                "affine": True,
                "track_running_stats": True,
                "bias": True,
            },
        ),
        (
            LayerNorm(type="LayerNorm", normalized_shape=(3, 4), id="norm"),
            {
                "id": "norm",
                "type": "LayerNorm",
                "normalized_shape": [3, 4],
                "eps": 1e-5,
                "elementwise_affine": True,
                "bias": True,
            },
        ),
        (LayerNorm(type="LayerNorm"), {"type": "LayerNorm", "eps": 1e-5, "elementwise_affine": True, "bias": True}),
        (
            EarlyStopping(patience=3),
            {"metric": "loss", "patience": 3, "min_delta": 0.0, "restore_best": True},
        ),
        (
            Layered(layers=(Linear(type="Linear", out_features="classes"),)),
            {"layers": [{"type": "Linear", "out_features": "classes", "bias": True}]},
        ),
    ],
    ids=["explicit null", "list", "absent option", "defaults", "nested"],
)
def test_a_document_writes_every_default_and_leaves_out_what_is_absent(made: Strict, document: Document) -> None:
    assert made.document() == document


def test_a_document_names_an_option_as_the_spec_does() -> None:
    assert parsed(EVERYTHING).document()["$schema"] == "zoo.schema.json"


def test_a_spec_without_a_scheduler_has_none_in_its_document() -> None:
    spec = parsed({key: value for key, value in EVERYTHING.items() if key != "scheduler"})
    assert "scheduler" not in spec.document()


@pytest.mark.parametrize("model", [Spec, Train, Layered, Linear, SGD, MNIST, LinearFunction, Normalize])
def test_the_walk_over_the_spec_finds_the_class(model: type[Strict]) -> None:
    assert model in MODELS


def test_the_schema_defines_just_the_classes_that_a_spec_reaches() -> None:
    choices = {name for name in whole_schema()["$defs"] if name.startswith("Any")}
    assert {*whole_schema()["$defs"]} - choices == {definition_of(model) for model in MODELS if model is not Spec}


def described(model: type[Strict], name: str) -> str:
    option = schema_of(model)["properties"][model.model_fields[name].alias or name]
    text: str = option["description"]
    inherits = issubclass(model, Group) and not model.model_fields[name].is_required() and "default" not in option
    return text.removesuffix(" Unless written, the optimizer's.") if inherits else text


def test_the_schema_explains_every_option_by_the_text_under_its_field() -> None:
    assert len(FIELDS) > 1000  # each a test of its own would take more time than all of them together
    assert [
        f"{definition_of(model)}.{name}"
        for model, name in FIELDS
        if not (text := written_under(model, name)) or described(model, name) != text
    ] == []


def test_the_schema_explains_every_class_by_its_docstring() -> None:
    assert [
        definition_of(model)
        for model in MODELS
        if model is not Spec and not (model.__doc__ and schema_of(model).get("description") == inspect.getdoc(model))
    ] == []


def test_the_schema_explains_the_spec() -> None:
    assert whole_schema()["description"] == "What a model is: architecture, data, loss, optimizer, training."


def test_the_schema_refuses_unknown_options_too() -> None:
    open_to_any = [
        model.__name__
        for model in MODELS
        if (whole_schema() if model is Spec else schema_of(model))["additionalProperties"] is not False
    ]
    assert open_to_any == ["Block"]  # which takes the parameters of its template


@pytest.mark.parametrize(
    ("model", "texts"),
    [(Child, {"age": "In\nyears."}), (GrandChild, {"age": "Anew.", "toys": "Their numbers."})],
)
def test_field_docstrings_are_those_of_the_class_and_then_of_its_bases(
    model: type[Strict], texts: dict[str, str]
) -> None:
    assert field_docstrings(model) == texts


def test_a_field_without_a_text_has_no_description() -> None:
    assert "description" not in Child.model_json_schema()["properties"]["undocumented"]


def test_a_class_is_described_by_its_whole_docstring() -> None:
    assert Child.model_json_schema()["description"] == "A child.\n\nOf two lines."
