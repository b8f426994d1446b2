"""A validator of JSON Schema that asks, of two hundred layers, the one that a document names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

# Any, in this file: JSON values, JSON Schemas, and jsonschema's validators, which have no types of their own.


def judging(schema: Any) -> Draft202012Validator:
    """Return the validator of a schema, in which references lead to its `$defs`."""

    @cache
    def demanded(reference: str) -> str | None:
        """Return the type that a definition demands of each document."""
        definition = schema["$defs"].get(reference.removeprefix("#/$defs/"), {})
        wanted: str | None = definition.get("properties", {}).get("type", {}).get("const")
        return wanted if "type" in definition.get("required", ()) else None

    def narrowed(keyword: str) -> Callable[..., Iterator[ValidationError] | None]:
        """Return a keyword that leaves out the branches which demand another type than the document's."""
        whole = Draft202012Validator.VALIDATORS[keyword]

        def judge(validator: Any, branches: list[Any], document: Any, owner: Any) -> Any:
            kind = document.get("type") if isinstance(document, dict) else None
            if kind is not None:
                possible = [part for part in branches if demanded(part.get("$ref", "#/$defs/")) in (None, kind)]
                branches = possible or branches[:1]  # none takes it
            return whole(validator, branches, document, owner)

        return judge

    made: Draft202012Validator = extend(
        Draft202012Validator, {keyword: narrowed(keyword) for keyword in ("anyOf", "oneOf")}
    )(schema)
    return made
