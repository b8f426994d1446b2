"""The JSON Schema: complete, current, and of one mind with the classes about structure."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from conftest import REPOSITORY, linear
from judging import judging
from zoo.errors import SpecError
from zoo.schema import CHOICES, definition_names, json_schema, search_schema
from zoo.searched import check_searched
from zoo.source import Source
from zoo.spec import Spec, Template, parse
from zoo.strict import Strict
from zoo.templates import expand

# Any, in this file: JSON values, and JSON Schemas.

MEMBERS: list[type[Strict]] = sorted({member for choice in CHOICES for member in choice.members()}, key=repr)
DRAWS = 8  # documents of each class, each followed by mutations
MUTATIONS = 4
OTHERS: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2.0,
    -1,
    2.5,
    1e31,
    2**63,
    "",
    "x",
    "mean",
    [],
    [1],
    {},
    {"type": "Linear"},
]


@cache
def whole() -> Any:
    return json_schema()


@cache
def names() -> dict[type[Strict], str]:
    return definition_names()  # which walks all choices of the language


def name_of(member: type[Strict]) -> str:
    """What the schema calls a class."""
    return names().get(member, member.__name__)


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of one class; with the whole language for what stands inside."""
    definition = whole() if name == "Spec" else {"$ref": f"#/$defs/{name}", "$defs": whole()["$defs"]}
    return judging(definition)


def definitions() -> dict[str, Any]:
    found: dict[str, Any] = whole()["$defs"]
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(whole())


def test_the_committed_schema_is_current() -> None:
    assert json.loads((REPOSITORY / "specs" / "zoo.schema.json").read_text(encoding="utf-8")) == whole()


@cache
def options() -> dict[str, Any]:
    """The schema of every option by `Class.option`; a thousand and more, so that each claim is one test of them all."""
    owners = {**definitions(), "Spec": whole()["else"]}
    return {
        f"{owner}.{name}": option
        for owner, definition in owners.items()
        for name, option in definition.get("properties", {}).items()
    }


def test_every_option_has_a_description() -> None:
    assert len(options()) > 1000
    assert [name for name, option in options().items() if not option.get("description")] == []


def test_an_editor_explains_each_type_beside_it() -> None:
    assert options()["ReLU.type"]["description"] == "max(0, x)."


def test_an_option_of_a_group_says_whose_value_it_takes() -> None:
    assert options()["AdamGroup.lr"]["description"] == "Learning rate. Unless written, the optimizer's."
    assert "Unless" not in options()["AdamGroup.match"]["description"]


def test_a_spec_that_extends_another_one_has_its_keys_explained() -> None:
    explained = whole()["then"]["properties"]
    assert {key for key, part in explained.items() if part["description"]} == whole()["else"]["properties"].keys()


def test_every_option_has_a_default_or_is_required() -> None:
    owners = {**definitions(), "Spec": whole()["else"]}
    required = {f"{owner}.{name}" for owner, found in owners.items() for name in found.get("required", ())}
    unsaid = [name for name, option in options().items() if "default" not in option and name not in required]
    # An option of a group that is not written is the optimizer's, and a block's are its template's.
    assert [name for name in unsaid if "Group." not in name and not name.startswith("Block.")] == []


# Every schema of a number inside a schema.
def numbers(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return [found for part in schema for found in numbers(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") in ("integer", "number") else []
    return own + [found for key, part in schema.items() if key not in ("default", "$defs") for found in numbers(part)]


def unbounded(schema: Any) -> list[Any]:
    """The numbers inside a schema that have no least or no largest value."""
    loose = [number for number in numbers(schema) if "const" not in number and "enum" not in number]
    bounds = ({"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"})
    return [number for number in loose if not all(bound & set(number) for bound in bounds)]


def test_every_number_has_bounds() -> None:
    found = {name: unbounded(option) for name, option in options().items()}
    assert {name: loose for name, loose in found.items() if loose} == {}


def test_a_number_without_bounds_is_found() -> None:
    assert unbounded({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}]}) == []
    assert len(unbounded({"anyOf": [{"type": "number", "minimum": 0}, {"type": "integer", "maximum": 1}]})) == 2


def test_every_class_has_a_definition() -> None:
    assert len(set(map(name_of, MEMBERS))) == len(MEMBERS)
    assert set(map(name_of, MEMBERS)) <= set(definitions())


def drawn(schema: Any, random: Random, depth: int = 0) -> Any:
    """A value that a schema describes, or nearly: patterns are met by a few words alone."""
    if "$ref" in schema:
        return drawn(definitions()[schema["$ref"].rpartition("/")[2]], random, depth + 1)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            simple = [part for part in schema[several] if "$ref" not in part]
            small = [
                {"$ref": "#/$defs/" + name}
                for name in ("Identity", "ReLU", "StepLR", "zeros_", "SGD")
                if {"$ref": "#/$defs/" + name} in schema[several]
            ]
            return drawn(
                random.choice((simple or small or schema[several]) if depth > 2 else schema[several]), random, depth + 1
            )
    if "const" in schema or "enum" in schema:
        return schema.get("const", random.choice(schema.get("enum", [None])))
    match schema.get("type"):
        case "integer":
            least, most = schema.get("minimum", -5), schema.get("maximum", 10**6)
            return random.choice([least, random.randint(least, min(most, least + 8)), float(least)])
        case "number":
            least = schema.get("minimum", schema.get("exclusiveMinimum", -5))
            most = schema.get("maximum", schema.get("exclusiveMaximum", 1e30))
            return random.choice([least + (min(most, least + 1) - least) * random.random(), int(least) + 1])
        case "boolean":
            return random.random() < 0.5
        case "string":
            return random.choice(["a", "a1", "fc.*", "name", "x" * schema.get("minLength", 1)])
        case "null":
            return None
        case "array":
            places = schema.get("prefixItems", [])
            low = schema.get("minItems", len(places))
            count = random.randint(low, max(low, min(schema.get("maxItems", low + 2), low + 2)))
            return [
                drawn(places[index] if index < len(places) else schema.get("items", {}), random, depth + 1)
                for index in range(count)
            ]
        case "object":
            return _object(schema, random, depth)
    return random.choice([1, "a", None])


def _object(schema: Any, random: Random, depth: int) -> Any:
    required = schema.get("required", ())
    made = {
        name: drawn(part, random, depth + 1)
        for name, part in schema.get("properties", {}).items()
        if name in required or random.random() < (0.4 if depth < 2 else 0.1)
    }
    other = schema.get("additionalProperties")
    return made | ({"a": drawn(other, random, depth + 1)} if isinstance(other, dict) else {})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(below for key in keys for below in places(value[key], (*path, key)))]


def mutated(value: Any, random: Random) -> Any:
    """The value with one fault of structure: a key gone or unknown, or another value in its place."""
    value = json.loads(json.dumps(value))
    path = random.choice([path for path in places(value) if path] or [()])
    if not path:
        return random.choice(OTHERS)
    owner = value
    for key in path[:-1]:
        owner = owner[key]
    kind = random.randrange(4)
    if kind == 0 and isinstance(owner, dict):
        del owner[path[-1]]
    elif kind == 1 and isinstance(owner, dict):
        owner["unknown"] = 1
    elif kind == 2 and isinstance(owner, list):
        owner.append(random.choice([*OTHERS, *owner]))
    else:
        owner[path[-1]] = random.choice(OTHERS)
    return value


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def taken(member: type[Strict], value: Any) -> bool | None:
    """Return whether the class takes the structure of a value; None where only its meaning is refused.

    A `value_error` comes from a rule that no structure can say: several options against one another.
    """
    try:
        member.model_validate(frozen(value))
    except ValidationError as error:
        faults = [found for found in error.errors() if not _has_refused_parts(value, found)]
        return None if all(found["type"] == "value_error" for found in faults) else False
    return True


def _has_refused_parts(value: Any, found: Any) -> bool:
    """Return whether a list is too short only because pydantic does not count the parts that it refuses."""
    if found["type"] != "too_short":
        return False
    for step in found["loc"]:
        inside = isinstance(step, int) if isinstance(value, list) else step in value
        value = value[step] if inside else value  # the rest are pydantic's names for members of a union
    return bool(len(value) >= found["ctx"]["min_length"])


def agree(member: type[Strict], value: Any) -> None:
    found = taken(member, value)
    described = validator(name_of(member)).is_valid(value)
    if found is None:
        return  # the structure within may still be judged either way: what means nothing is refused before it
    assert described == found, f"{member.__name__}: the class {'takes' if found else 'refuses'} {json.dumps(value)}"


@pytest.mark.parametrize("member", [member for member in MEMBERS if member.__name__ != "Block"], ids=name_of)
def test_schema_and_class_agree_about_structure(member: type[Strict]) -> None:
    random = Random(member.__name__)
    some = 0
    for _ in range(DRAWS):
        value = drawn(definitions()[name_of(member)], random)
        some += taken(member, value) is not False
        agree(member, value)
        for _ in range(MUTATIONS):
            agree(member, mutated(value, random))
    assert some, "no document of this class was taken"


def judged(document: Any) -> bool | None:
    """As `taken`, of a whole document, with its templates put in."""
    try:
        parse(expand(Source("spec.json", json.dumps(document), document)))
    except SpecError:
        return taken(Spec, document)
    return True


SPECS = sorted(path for path in (REPOSITORY / "specs").glob("*.json") if path.name != "zoo.schema.json")


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_schema_and_spec_agree_about_whole_documents(path: Any) -> None:
    random, document = Random(path.stem), json.loads(path.read_text(encoding="utf-8"))
    assert validator("Spec").is_valid(document)
    if "blocks" in document or "extends" in document:
        return  # a template's layers are judged where they are put in, and a base's options where it is
    for _ in range(6):
        changed = mutated(document, random)
        found = judged(changed)
        if found is not None:
            assert validator("Spec").is_valid(changed) == found, json.dumps(changed)


RELU = {"type": "ReLU"}
TEMPLATES: list[Any] = [{"layers": [RELU]}, {"layers": []}, {}, {"layers": [1]}, {"layers": [RELU], "default": 1}]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_described_and_declared_alike(template: Any) -> None:
    agree(Template, template)


@pytest.mark.parametrize("name", ["linear3", "unet"])
def test_the_validator_that_asks_less_finds_what_jsonschemas_own_does(name: str) -> None:
    random, document = Random(name), json.loads((REPOSITORY / "specs" / f"{name}.json").read_text(encoding="utf-8"))
    own = Draft202012Validator(whole())
    changed = [mutated(document, random) for _ in range(3)]
    assert [validator("Spec").is_valid(one) for one in changed] == [own.is_valid(one) for one in changed]


def test_a_number_with_a_point_and_no_fraction_is_whole_to_both() -> None:
    linear = next(member for member in MEMBERS if member.__name__ == "Linear")
    assert [taken(linear, {"type": "Linear", "out_features": size}) for size in (2.0, 2.5)] == [True, False]
    assert [validator("Linear").is_valid({"type": "Linear", "out_features": size}) for size in (2.0, 2.5)] == [
        True,
        False,
    ]


@cache
def searching() -> Draft202012Validator:
    return judging(search_schema())


def test_the_schema_with_searches_is_one() -> None:
    Draft202012Validator.check_schema(search_schema())


@pytest.mark.parametrize("name", ["linear3", "lenet5", "resnet50_finetune"])
def test_the_schema_with_searches_takes_plain_specs(name: str) -> None:
    assert not list(searching().iter_errors(json.loads((REPOSITORY / "specs" / f"{name}.json").read_text())))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer__lr": {"search": "log_uniform", "low": 1e-5, "high": 0.1}},
        {"optimizer": {"search": "choice", "values": [{"type": "Adam"}, {"type": "SGD", "lr": 1}]}},
        {"train__batch_size": {"search": "int", "low": 4, "high": 8, "step": 2}},
        {"train__epochs": {"search": "log_int", "low": 1, "high": 8}},
        {"data__weights": [{"search": "uniform", "low": 1, "high": 8}, 2]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_search_fits_the_schema_with_searches_alone(changes: dict[str, Any]) -> None:
    document = linear(**changes)
    assert not list(searching().iter_errors(document))
    assert list(validator("Spec").iter_errors(document))
    assert check_searched(Source("spec.json", "{}", document)).points


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer__lr": {"search": "log_uniform", "low": 0, "high": 0.1}},
        {"optimizer__lr": {"search": "loguniform", "low": 1, "high": 2}},
        {"optimizer__lr": {"search": "choice", "values": []}},
        {"optimizer__lr": "high"},
        {"name": {"search": "choice", "values": ["a", "b"]}},
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_with_searches_too(changes: dict[str, Any]) -> None:
    document = linear(**changes)
    assert list(searching().iter_errors(document))
    with pytest.raises(SpecError):
        check_searched(Source("spec.json", "{}", document))
