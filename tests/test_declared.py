"""Declared: what pydantic's BaseModel makes of the same fields, it makes too."""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from random import Random
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import core_schema

from zoo import declared
from zoo.choice import Choice
from zoo.declared import Declared
from zoo.schema import CHOICES
from zoo.spec import Spec, Template
from zoo.strict import AfterValidator, BeforeValidator, Field, Strict, field_validator, model_validator
from zoo.train import Train

MEMBERS = [member for choice in CHOICES for member in choice.members()]
CLASSES: list[type[Strict]] = sorted({*MEMBERS, Spec, Train, Template}, key=repr)
CONFIG = ConfigDict(
    extra="forbid",
    strict=True,
    frozen=True,
    allow_inf_nan=False,
    arbitrary_types_allowed=True,
    hide_input_in_errors=True,
)
# Any: JSON values of every kind, tuples for lists.
SCALARS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    10**12,
    0.0,
    0.5,
    1.0,
    -2.5,
    1e31,
    "",
    "mean",
    "same",
    "$x",
    "a.*",
]
DRAWS = 24  # documents of each class


# Any: as above.
def drawn(random: Random, depth: int = 0) -> Any:
    """A value of any kind."""
    kind = random.randrange(6)
    if kind > 1 or depth > 2:
        return random.choice(SCALARS)
    if kind == 0:
        return tuple(drawn(random, depth + 1) for _ in range(random.randrange(5)))
    return {key: drawn(random, depth + 1) for key in random.sample(["type", "from", "x"], random.randrange(4))}


# Any: pydantic's own marks, and what their arguments may be.
def as_pydantic(mark: Any) -> Any:
    """The same mark in pydantic's own words."""
    if isinstance(mark, declared.Field):
        bounds: dict[str, Any] = mark.bounds
        return pydantic.Field(alias=mark.alias, **bounds)
    for own, theirs in ((AfterValidator, pydantic.AfterValidator), (BeforeValidator, pydantic.BeforeValidator)):
        if isinstance(mark, own):
            return theirs(mark.func)
    return _Plain(mark) if isinstance(mark, Choice) else mark


class _Plain:
    """A choice, as pydantic asks for it."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return self.choice.core()


# Any: annotations.
def translated(annotation: Any) -> Any:
    """The same annotation with pydantic's own marks, at every depth."""
    parts = get_args(annotation)
    origin = get_origin(annotation)
    if annotation is int:
        return Annotated[int, pydantic.BeforeValidator(declared.whole)]
    if origin is Literal or not parts:
        nested = isinstance(annotation, type) and issubclass(annotation, Declared)
        return twin(annotation) if nested else annotation
    inner = tuple(part if part is ... else translated(part) for part in parts)
    if origin is Annotated:
        marks = tuple(map(as_pydantic, annotation.__metadata__))
        return Annotated[(inner[0], *marks)] if marks else inner[0]
    return (Union if origin in (Union, UnionType) else origin)[inner]


@cache
def twin(member: type[Strict]) -> type[BaseModel]:
    """A BaseModel with the fields of a class, without its validators across fields."""
    fields: dict[str, Any] = {}
    for name, field in member.model_fields.items():
        marks = tuple(map(as_pydantic, field.metadata))
        inner = translated(field.annotation)
        annotation = Annotated[(inner, *marks)] if marks else inner
        fields[name] = (annotation, ... if field.is_required() else field.default)
    made: type[BaseModel] = pydantic.create_model(member.__name__, __config__=CONFIG, **fields)
    return made


@cache
def bare(member: type[Strict]) -> type[Strict]:
    """The class without its validators across fields, which its twin does not have."""
    overridden: dict[str, None] = {}
    for base in member.__mro__:
        for name, method in vars(base).items():
            if hasattr(getattr(method, "__func__", method), "judges"):
                overridden[name] = None
    return type(member.__name__, (member,), {**overridden, "__module__": member.__module__, "__annotations__": {}})


def _is_a_step(step: int | str) -> bool:
    """Return whether it is a key or a position; the rest is what pydantic calls the members of a union."""
    return isinstance(step, int) or (step.isidentifier() and step not in ("int", "float", "str", "bool"))


# Any: errors, and whatever stands in an object.
def said(model: Any, document: dict[str, Any]) -> Any:
    """What a class makes of a document: the values, or the errors with their places."""
    try:
        made = model.model_validate(document)
    except ValidationError as error:
        return [(found["type"], [step for step in found["loc"] if _is_a_step(step)]) for found in error.errors()]
    return {name: repr(getattr(made, name)) for name in type(made).model_fields}


@pytest.mark.parametrize("member", CLASSES, ids=lambda member: member.__name__)
def test_a_class_takes_and_refuses_what_a_base_model_of_its_fields_does(member: type[Strict]) -> None:
    keys = [field.alias or name for name, field in member.model_fields.items()]
    literal = {"type": member.__name__} if "type" in keys else {}
    random = Random(member.__name__)
    for _ in range(DRAWS):
        written = random.sample([*keys, "unknown"], random.randrange(min(6, len(keys) + 2)))
        document = literal | {key: drawn(random) for key in written}
        assert said(bare(member), document) == said(twin(member), document), document


class Inner(Strict):
    """Stands in another."""

    size: Annotated[int, Field(ge=1)]
    """A size."""


class Outer(Strict):
    """Has all that a class may have."""

    type: Literal["Outer"]
    inner: Inner | None = None
    """Another."""
    source: Annotated[str | None, Field(alias="from", min_length=2)] = None
    """Named by another word."""
    pair: tuple[int, float] = (1, 2.0)
    """Two."""
    even: Annotated[int, BeforeValidator(lambda value: 2 if value == "two" else value)] = 0
    """A number or a word."""

    @field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("odd; write an even one")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.even and self.inner is not None and self.inner.size > self.even:
            raise ValueError("too large; write less")
        return self

    @model_validator(mode="before")
    @classmethod
    def _old_name(cls, document: dict[str, Any]) -> dict[str, Any]:
        return {("even" if key == "straight" else key): value for key, value in document.items()}


GOOD = {"type": "Outer", "inner": {"size": 3}, "from": "ab", "pair": (4, 5), "even": 8}


def test_a_document_becomes_an_object() -> None:
    made = Outer.model_validate(GOOD)
    assert (made.inner, made.source, made.pair, made.even) == (Inner(size=3), "ab", (4, 5.0), 8)


def test_a_json_text_becomes_the_same_object() -> None:
    assert Inner.model_validate_json(json.dumps({"size": 3})) == Inner.model_validate({"size": 3})


@pytest.mark.parametrize(
    ("changes", "kind", "place"),
    [
        ({"inner": {"size": 0}}, "greater_than_equal", ("inner", "size")),
        ({"from": "a"}, "string_too_short", ("from",)),
        ({"source": "ab"}, "extra_forbidden", ("source",)),
        ({"pair": (1,)}, "missing", ("pair", 1)),
        ({"even": 3}, "value_error", ("even",)),
        ({"even": 2}, "value_error", ()),
        ({"even": True}, "int_type", ("even",)),
        ({"even": 2.5}, "int_type", ("even",)),
        ({"type": "Inner"}, "literal_error", ("type",)),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(
    changes: dict[str, Any], kind: str, place: tuple[str | int, ...]
) -> None:
    assert said(Outer, GOOD | changes) == [(kind, list(place))]


def test_a_whole_number_may_be_written_with_a_point() -> None:
    made = Outer.model_validate(GOOD | {"even": 8.0, "pair": (4.0, 5)})
    assert (repr(made.even), repr(made.pair)) == ("8", "(4, 5.0)")


def test_what_comes_before_judges_first() -> None:
    assert Outer.model_validate({"type": "Outer", "straight": "two"}).even == 2


def test_an_object_is_equal_to_another_of_its_class_and_values() -> None:
    made = Outer.model_validate(GOOD)
    assert made == Outer.model_validate(GOOD)
    assert hash(made) == hash(Outer.model_validate(GOOD))
    assert made != Outer.model_validate(GOOD | {"even": 10})
    assert Inner(size=1) != bare(Inner)(size=1)


def test_an_object_never_changes() -> None:
    with pytest.raises(ValidationError) as refused:
        Inner(size=1).size = 2
    assert refused.value.errors()[0]["type"] == "frozen_instance"


def test_a_copy_has_other_values_and_knows_which_are_written() -> None:
    made = Inner(size=1)
    copied = Outer.model_validate({"type": "Outer"}).model_copy(update={"inner": made})
    assert (copied.inner, copied.model_fields_set) == (made, {"type", "inner"})


def test_an_object_is_copied_and_pickled_whole() -> None:
    made = Outer.model_validate(GOOD)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (other, other.model_fields_set) == (made, made.model_fields_set)


def test_an_object_shows_its_class_and_its_values() -> None:
    assert repr(Inner(size=3)) == "Inner(size=3)"


# Any: a class made here.
def test_a_mark_of_pydantic_itself_is_refused() -> None:
    wrong: Any = type("Wrong", (Strict,), {"__annotations__": {"size": Annotated[int, pydantic.Field(ge=1)]}})
    with pytest.raises(TypeError, match="import Field and the validators"):
        wrong.model_validate({"size": 1})


# Any: as above.
def test_a_type_that_no_json_value_has_is_refused() -> None:
    wrong: Any = type("Wrong", (Strict,), {"__annotations__": {"size": bytes}})
    with pytest.raises(TypeError, match="no option has the type <class 'bytes'>"):
        wrong.model_validate({"size": 1})
