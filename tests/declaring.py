"""What tests of declared classes share: how a spec's JSON becomes an object, and what torch's own signature says."""

from __future__ import annotations

import inspect
from typing import Any

from zoo.choice import Choice
from zoo.strict import Strict


def declared(choice: Choice, document: dict[str, Any]) -> Strict:
    """Return the object that a JSON value says, as the spec reads it: lists stand for tuples."""
    return choice.validate(frozen(document))


# Any: a JSON value.
def frozen(value: Any) -> Any:
    """Return the value with tuples for lists."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value


def options_of(member: type[Strict], *own: str) -> list[str]:
    """Return the options of a declared class that torch has too: all but its type and those of its own."""
    return [option for option in member.model_fields if option not in ("type", *own)]


# Any: a default.
def default_of(member: type[Strict], option: str) -> Any:
    """Return a declared default, as inspect writes it: an absent one is `inspect.Parameter.empty`."""
    field = member.model_fields[option]
    return inspect.Parameter.empty if field.is_required() else field.default


# Any: torch's classes and functions.
def torch_options(thing: Any) -> dict[str, Any]:
    """Return torch's own options and their defaults, without self."""
    parameters = inspect.signature(thing).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.name != "self"}
