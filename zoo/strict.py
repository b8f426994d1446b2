"""Strict: the frozen class under every declaration, and the number types they share.

Type checkers see pydantic's BaseModel; what runs is the part of it that zoo/declared.py makes, four times as fast.

Descriptions in the JSON Schema come from the docstring under each field. They are read from the source only when a
schema is asked for, because reading them at import would cost `zoo check` more than the check itself.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

if TYPE_CHECKING:
    from pydantic import (
        AfterValidator,
        BaseModel,
        BeforeValidator,
        ConfigDict,
        Field,
        GetJsonSchemaHandler,
        field_validator,
        model_validator,
    )
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
else:
    from zoo.declared import AfterValidator, BeforeValidator, Field, field_validator, model_validator
    from zoo.declared import Declared as BaseModel

__all__ = [
    "LARGEST_SIZE",
    "AfterValidator",
    "BeforeValidator",
    "Count",
    "Dropped",
    "Field",
    "Integer",
    "Named",
    "NonNegative",
    "Number",
    "Positive",
    "Probability",
    "Seed",
    "Size",
    "Strict",
    "field_docstrings",
    "field_validator",
    "model_validator",
]

LARGEST_SIZE = 2**31 - 1  # the largest size of one axis that every runtime can index


class Named:
    """Marks a size that may be a name the data knows: "classes", "vocabulary", "context"."""


Count = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Probability = Annotated[float, Field(ge=0, le=1)]
Dropped = Annotated[float, Field(ge=0, lt=1)]
"""What is dropped in training: of all, nothing would be left to learn from."""
Positive = Annotated[float, Field(gt=0, le=1e30)]
NonNegative = Annotated[float, Field(ge=0, le=1e30)]
Number = Annotated[float, Field(ge=-1e30, le=1e30)]
Integer = Annotated[int, Field(ge=-LARGEST_SIZE, le=LARGEST_SIZE)]
Size = Annotated[Count | Literal["classes", "vocabulary", "context"], Named()]


class Strict(BaseModel):
    """Refuses unknown options, coercions, NaN and infinity; never changes after it is made."""

    if TYPE_CHECKING:
        model_config = ConfigDict(
            extra="forbid",
            strict=True,
            frozen=True,
            allow_inf_nan=False,
            validate_by_name=False,
            validate_by_alias=True,
        )

    def document(self) -> dict[str, Any]:
        """Return the object as JSON values, every default written out; an absent option stays absent."""
        return {
            field.alias or name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if not (getattr(self, name) is None and field.default is None)
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        schema["description"] = inspect.cleandoc(cls.__doc__ or "")
        for name, text in field_docstrings(cls).items():
            alias = cls.model_fields[name].alias or name
            schema["properties"][alias]["description"] = text
        if "type" in schema["properties"]:  # an editor shows it beside each word that may stand there
            schema["properties"]["type"]["description"] = schema["description"].partition("\n\n")[0]
        return schema


# Any: a JSON value.
def _plain(value: Any) -> Any:
    if isinstance(value, Strict):
        return value.document()
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field of `model` and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (issubclass(base, Strict) and base is not Strict):
            continue
        body = _class_body(base)
        for statement, following in pairwise(body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = _docstring(following)
                if text and statement.target.id in model.model_fields:
                    found[statement.target.id] = text
    return found


def _class_body(model: type[Any]) -> list[ast.stmt]:
    return _bodies(model.__module__)[model.__qualname__]


@cache
def _bodies(module: str) -> dict[str, list[ast.stmt]]:
    """Return the body of each class of a module by its qualified name; the module is parsed once for all of them."""
    found: dict[str, list[ast.stmt]] = {}

    def visit(owner: ast.AST, prefix: str) -> None:
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.ClassDef):
                found.setdefault(prefix + node.name, node.body)
                visit(node, f"{prefix}{node.name}.")
            elif isinstance(node, ast.stmt):
                visit(node, f"{prefix}{node.name}.<locals>." if isinstance(node, ast.FunctionDef) else prefix)

    visit(ast.parse(inspect.getsource(sys.modules[module])), "")
    return found


def _docstring(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        text = statement.value.value
        return inspect.cleandoc(text) if isinstance(text, str) else None
    return None
