"""The JSON Schema of the whole language (draft 2020-12), from which editors complete and explain."""

from __future__ import annotations

from typing import Any

from zoo.choice import MARK, Choice
from zoo.data import DATA
from zoo.layers import LAYERS
from zoo.losses import LOSSES
from zoo.metrics import METRICS
from zoo.optimizers import OPTIMIZERS
from zoo.schedulers import SCHEDULERS
from zoo.spec import Spec
from zoo.strict import Strict
from zoo.transforms import TRANSFORMS

CHOICES: tuple[Choice, ...] = (DATA, LAYERS, LOSSES, METRICS, OPTIMIZERS, SCHEDULERS, TRANSFORMS)


# Any: a JSON value.
def json_schema() -> dict[str, Any]:
    """Return the schema of a spec."""
    schema = _of(Spec)
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for choice in CHOICES:
        for member in choice.members():
            own = _of(member)
            definitions |= own.pop("$defs", {})
            definitions[member.__name__] = own
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
    whole["then"] = {"properties": dict.fromkeys(schema["properties"], True)}
    whole["else"] = {"required": whole.pop("required"), "properties": whole.pop("properties")}
    whole["properties"] = dict.fromkeys(schema["properties"], True)
    title = "A spec of zoo: what a model is"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "title": title}


def _of(model: type[Strict]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


# Any: a JSON value.
def _with_choices(value: Any) -> Any:
    """Return the schema with the members of a choice in each place that is marked with its noun."""
    if isinstance(value, list):
        return [_with_choices(part) for part in value]
    if not isinstance(value, dict):
        return value
    if MARK in value:
        (choice,) = [choice for choice in CHOICES if choice.noun == value[MARK]]
        return _one_of(choice) | {key: part for key, part in value.items() if key != MARK}
    return {key: _with_choices(part) for key, part in value.items()}


def _one_of(choice: Choice) -> dict[str, Any]:
    """Return the members, told apart by their type."""
    members = [{"$ref": f"#/$defs/{member.__name__}"} for member in choice.members()]
    mapping = {name: f"#/$defs/{name}" for name in choice.names}
    return {"oneOf": members, "discriminator": {"propertyName": "type", "mapping": mapping}}
