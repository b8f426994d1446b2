"""The JSON Schema of the whole language (draft 2020-12), from which editors complete and explain."""

from __future__ import annotations

from typing import Any

from zoo.choice import MARK, Choice
from zoo.data import DATA
from zoo.initializers import INITIALIZERS
from zoo.layers import LAYERS
from zoo.layers.parametrization import PARAMETRIZATIONS
from zoo.losses import LOSSES
from zoo.metrics import METRICS
from zoo.models import MODELS
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS
from zoo.search import KINDS
from zoo.spec import Spec
from zoo.strict import Strict
from zoo.transforms import AUGMENTATIONS, TRANSFORMS

CHOICES: tuple[Choice, ...] = (
    AUGMENTATIONS,
    DATA,
    INITIALIZERS,
    LAYERS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAMETRIZATIONS,
    SCHEDULERS,
    TRANSFORMS,
)
UNSEARCHED = ("$schema", "name", "summary", "extends")
"""Keys of a spec that no search may stand for."""


def definition_names() -> dict[type[Strict], str]:
    """Return what the definition of each class is called: its name, with the noun where several have that name."""
    nouns = {member: choice.noun for choice in CHOICES for member in choice.members()}
    names = [member.__name__ for member in nouns]
    return {
        member: member.__name__ if names.count(member.__name__) == 1 else f"{member.__name__}{noun.title()}"
        for member, noun in nouns.items()
    }


# Any: a JSON value.
def json_schema() -> dict[str, Any]:
    """Return the schema of a spec."""
    schema = Spec.model_json_schema()
    definitions: dict[str, Any] = schema.pop("$defs", {})
    names = definition_names()
    for member, name in names.items():
        own = member.model_json_schema()
        definitions |= own.pop("$defs", {})
        definitions[name] = own
    definitions |= {_title(choice.noun): _one_of(choice, names) for choice in CHOICES}
    definitions["Template"]["properties"]["layers"]["items"] = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(LAYERS.names)}},
    }
    # A Block gives parameters of its own template; zoo puts in the layers.
    block = definitions["Block"]
    block["required"].remove("layers")
    block["additionalProperties"] = True
    whole = _with_choices({**schema, "$defs": dict(sorted(definitions.items()))})
    # What a spec does not say itself may stand in the one that it extends.
    whole["if"] = {"required": ["extends"]}
    explained = {key: {"description": option["description"]} for key, option in schema["properties"].items()}
    whole["then"] = {"properties": explained}
    whole["else"] = {"required": whole.pop("required"), "properties": whole.pop("properties")}
    whole["properties"] = dict.fromkeys(schema["properties"], True)
    # One entry may stand for a list of one.
    several = whole["else"]["properties"]["init"]
    said = {key: several.pop(key) for key in ("description", "default")}
    whole["else"]["properties"]["init"] = {"anyOf": [several, {"$ref": "#/$defs/AnyInitializer"}], **said}
    title = "A spec of zoo: what a model is"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": title}


# Any: a JSON value.
def search_schema() -> dict[str, Any]:
    """Return the schema of a spec in which a search may stand for a value."""
    whole = _with_searches(json_schema())
    for key in UNSEARCHED:
        whole["else"]["properties"][key] = whole["else"]["properties"][key]["anyOf"][0]
    kinds = {kind.__name__: kind.model_json_schema() for kind in KINDS.values()}
    places = [{"$ref": f"#/$defs/{name}Search"} for name in kinds]
    searches = {f"{name}Search": {**kind, "title": f"{name}Search"} for name, kind in kinds.items()}
    definitions = {**whole["$defs"], **searches, "AnySearch": {"oneOf": places}}
    return {**whole, "$defs": dict(sorted(definitions.items())), "title": "A spec of zoo, with searches for zoo tune"}


# Any: a JSON value.
def _with_searches(value: Any) -> Any:
    """Return the schema with a search beside each value of an option, and beside each member of a list."""
    if isinstance(value, list):
        return [_with_searches(part) for part in value]
    if not isinstance(value, dict):
        return value
    found = {key: _with_searches(part) for key, part in value.items()}
    if isinstance(found.get("properties"), dict):
        options = found["properties"].items()
        found["properties"] = {key: part if key == "type" else _or_search(part) for key, part in options}
    if isinstance(found.get("items"), dict):
        found["items"] = _or_search(found["items"])
    if isinstance(found.get("prefixItems"), list):
        found["prefixItems"] = [_or_search(part) for part in found["prefixItems"]]
    return found


# Any: a JSON value.
def _or_search(schema: Any) -> Any:
    """Return the schema of a value or a search for it, with what an editor says of it outside."""
    if not isinstance(schema, dict):
        return schema
    outside = {key: part for key, part in schema.items() if key in ("description", "default")}
    inside = {key: part for key, part in schema.items() if key not in outside}
    return {"anyOf": [inside, {"$ref": "#/$defs/AnySearch"}], **outside}


# Any: a JSON value.
def _with_choices(value: Any) -> Any:
    """Return the schema with a reference to a choice in each place that is marked with its noun."""
    if isinstance(value, list):
        return [_with_choices(part) for part in value]
    if not isinstance(value, dict):
        return value
    if MARK in value:
        rest = {key: part for key, part in value.items() if key != MARK}
        return {"$ref": f"#/$defs/{_title(value[MARK])}", **rest}
    # Titles of single options only repeat their names.
    return {key: _with_choices(part) for key, part in value.items() if not (key == "title" and isinstance(part, str))}


def _title(noun: str) -> str:
    return f"Any{noun.title()}"


# Any: a JSON value.
def _one_of(choice: Choice, names: dict[type[Strict], str]) -> dict[str, Any]:
    """Return the members, told apart by their type."""
    references = {member: f"#/$defs/{names[member]}" for member in choice.members()}
    mapping = {member.__name__: place for member, place in references.items() if member.__name__ in choice.names}
    members = [{"$ref": place} for place in references.values()]
    return {"oneOf": members, "discriminator": {"propertyName": "type", "mapping": mapping}}
