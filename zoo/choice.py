"""Choice: the classes that may stand in one place of a spec, by the `type` that the spec writes.

Their modules are imported when a spec names them: a check pays for the layers it meets, not for the whole language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

from pydantic_core import PydanticCustomError, core_schema

from zoo.strict import Strict

MARK = "x-zoo-choice"
"""Stands in a class's own JSON Schema for the members of a choice; the schema of the whole language puts them in."""


class Choice:
    """A table of strict classes: module -> names; the marker of an annotation whose value is one of them.

    Args:
        noun: what one of them is called: "layer".
        modules: the names of the classes in each module.
        untyped: the class of an object that has no `type`, where there is one.
    """

    def __init__(self, noun: str, modules: Mapping[str, tuple[str, ...]], untyped: str | None = None) -> None:
        self.noun = noun
        self.untyped = untyped
        self._module_of = {name: module for module, names in modules.items() for name in names}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the types that a spec may write, sorted."""
        return tuple(sorted(name for name in self._module_of if name != self.untyped))

    def load(self, name: str) -> type[Strict]:
        """Return the class of a name; its module is imported on the first call.

        Raises:
            KeyError: there is none of this name.
        """
        module = self._module_of[name]
        return cast(type[Strict], getattr(import_module(module), name))

    def members(self) -> Iterator[type[Strict]]:
        """Yield all classes."""
        return (self.load(name) for name in sorted(self._module_of))

    # Any: a JSON value, or an object of a member.
    def class_of(self, value: Any) -> type[Strict] | None:
        """Return the class that judges `value`; None where its type says none."""
        if not isinstance(value, dict):
            return None
        name = value.get("type", self.untyped) if self.untyped else value.get("type")
        return self.load(name) if isinstance(name, str) and name in self._module_of else None

    # Any: as class_of.
    def validate(self, value: Any) -> Strict:
        """Return the object that a JSON value says.

        Raises:
            PydanticCustomError: it is no object, or its type is absent or unknown.
            ValidationError: the class refuses it.
        """
        if isinstance(value, Strict) and type(value).__name__ in self._module_of:
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("dict_type", "an object is wanted")
        judge = self.class_of(value)
        if judge is None:
            kind = "union_tag_invalid" if "type" in value else "union_tag_not_found"
            raise PydanticCustomError(kind, "no such type")
        listed = any(isinstance(part, list) for part in value.values())
        return judge.model_validate(frozen(value) if listed else value)

    def core(self) -> core_schema.CoreSchema:
        """Return what pydantic's engine is told of a value that is one of the members."""
        mark = {MARK: self.noun}
        metadata = {"pydantic_js_annotation_functions": [lambda core, handler: mark]}
        return core_schema.no_info_plain_validator_function(self.validate, metadata=metadata)


# Any: a JSON value.
def frozen(value: Any) -> Any:
    """Return the value with tuples for lists: strict classes take no lists."""
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value
