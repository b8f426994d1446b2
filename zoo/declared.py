"""Declared: classes of options that pydantic's engine judges, each made ready when a spec first names it.

`pydantic.BaseModel` makes the validator of every class where the class stands, and its import alone takes longer than a
whole check may. This is the part of it that the language needs, over the same engine: an annotation becomes the core
schema that pydantic makes of it, for `pydantic_core.SchemaValidator`. Type checkers see pydantic (see strict.py), and
tests hold every class against a BaseModel of the same fields.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    Self,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
)

from pydantic_core import PydanticUndefined, SchemaValidator, ValidationError, core_schema
from pydantic_core.core_schema import CoreSchema

# Any, in this file: the values of options and their annotations, whose types are each class's own.


_before, _after = core_schema.no_info_before_validator_function, core_schema.no_info_after_validator_function


# Any: a JSON value.
def whole(value: Any) -> Any:
    """Return 2 for 2.0: JSON has one type of numbers, and its Schema calls both integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_SCALARS: dict[Any, Callable[[], Any]] = {
    Any: core_schema.any_schema,
    bool: core_schema.bool_schema,
    float: core_schema.float_schema,
    int: lambda: _before(whole, core_schema.int_schema()),
    str: core_schema.str_schema,
}
_CONFIG = core_schema.CoreConfig(
    extra_fields_behavior="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
)
JsonExtra = Mapping[str, Any] | Callable[[dict[str, Any]], None]
T = TypeVar("T")


class Field:
    """Marks an annotation, as pydantic's Field: a name in the spec, bounds, and what the JSON Schema says besides."""

    def __init__(self, *, alias: str | None = None, json_schema_extra: JsonExtra | None = None, **bounds: Any) -> None:
        self.alias, self.json_schema_extra, self.bounds = alias, json_schema_extra, bounds


class BeforeValidator:
    """Marks an annotation whose value goes through a function first."""

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self.func = func


class AfterValidator:
    """Marks an annotation whose value goes through a function at last."""

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self.func = func


def model_validator(*, mode: Literal["before", "after"]) -> Callable[[T], T]:
    """Return the decorator of a method that judges the whole object, as pydantic's."""
    return _marker((mode, ""))


def field_validator(field: str) -> Callable[[T], T]:
    """Return the decorator of a class method, of (value) or (value, info), that judges one option, as pydantic's."""
    return _marker(("field", field))


def _marker(mark: tuple[str, str]) -> Callable[[T], T]:
    def marked(method: T) -> T:
        vars(getattr(method, "__func__", method))["judges"] = mark
        return method

    return marked


class FieldInfo:
    """One option of a class, under the names that pydantic has for its parts."""

    def __init__(self, annotation: Any, default: Any) -> None:
        self.metadata: list[Any] = []
        if get_origin(annotation) is Annotated:
            annotation, *self.metadata = get_args(annotation)
        self.annotation, self.default = annotation, default
        self.alias = next((mark.alias for mark in self.metadata if isinstance(mark, Field) and mark.alias), None)

    def is_required(self) -> bool:
        """Return whether a spec must write the option."""
        return self.default is PydanticUndefined


class _OfTheClass(Generic[T]):
    """An attribute of a class that is made on first use, for each class by itself."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make: Callable[[Any], T] = cache(make)

    def __get__(self, instance: object, owner: type[Any]) -> T:
        return self.make(owner)


def _fields(cls: type[Any]) -> dict[str, FieldInfo]:
    """Return the options of a class, those of its bases first."""
    found: dict[str, FieldInfo] = {}
    for base in reversed(cls.__mro__):
        for name, written in vars(base).get("__annotations__", {}).items():
            if name.startswith("_") or "ClassVar" in str(written) or not issubclass(base, Declared):
                continue
            annotation = eval(written, vars(sys.modules[base.__module__])) if isinstance(written, str) else written
            found[name] = FieldInfo(annotation, vars(base).get(name, PydanticUndefined))
    return found


def _judges(cls: type[Any]) -> list[tuple[str, str, Any]]:
    """Return the methods of a class that judge, those of its bases first: when, which option, and the method."""
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    marks = {name: getattr(getattr(member, "__func__", member), "judges", None) for name, member in members.items()}
    return [(*mark, getattr(cls, name)) for name, mark in marks.items() if mark is not None]


def core_of(cls: type[Declared], named: bool = False) -> CoreSchema:
    """Return what pydantic's engine is told of a class; `named` for a JSON Schema with a definition for each class."""
    fields = {}
    judges = _judges(cls)
    for name, field in cls.model_fields.items():
        schema = _marked(field.annotation, field.metadata, named)
        for _, option, judge in judges:
            if option == name:
                informed = judge.__code__.co_argcount > 2  # (cls, value, info)
                schema = (core_schema.with_info_after_validator_function if informed else _after)(judge, schema)
        if not field.is_required():
            schema = core_schema.with_default_schema(schema, default=field.default)
        fields[name] = core_schema.model_field(schema, validation_alias=field.alias, serialization_alias=field.alias)
    inner: CoreSchema = core_schema.model_fields_schema(fields, model_name=cls.__name__)
    for judge in (judge for when, _, judge in judges if when == "before"):
        inner = _before(judge, inner)
    whole: Any = core_schema.model_schema(cls, inner, config=_CONFIG | {"title": cls.__name__})
    for judge in (judge for when, _, judge in judges if when == "after"):
        whole = _after(judge, whole)
    if named:
        whole |= {"ref": f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"}
        whole |= {"metadata": {"pydantic_js_functions": [cls.__get_pydantic_json_schema__]}}
    return whole  # type: ignore[no-any-return]  # a TypedDict with a key more


def _marked(annotation: Any, marks: Iterable[Any], named: bool) -> Any:
    """Return the core schema of an annotation with its marks, each around what stands before it."""
    own = next((mark for mark in marks if hasattr(mark, "core")), None)
    schema = _core(annotation, named) if own is None else own.core()
    for mark in marks:
        if isinstance(mark, Field):
            inner = schema
            while inner["type"] in ("nullable", "function-before"):
                inner = inner["schema"]
            inner |= mark.bounds
            schema |= {"metadata": {"pydantic_js_extra": mark.json_schema_extra}} if mark.json_schema_extra else {}
        elif isinstance(mark, AfterValidator):
            schema = _after(mark.func, schema)
        elif isinstance(mark, BeforeValidator):
            schema = _before(mark.func, schema)
        elif type(mark).__module__.startswith("pydantic"):
            raise TypeError(f"{mark!r} stands in a declaration; import Field and the validators from zoo.strict")
    return schema


def _core(annotation: Any, named: bool) -> Any:
    """Return the core schema of an annotation.

    Raises:
        TypeError: the language has no values of this type.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _marked(parts[0], parts[1:], named)
    if origin is Literal:
        return core_schema.literal_schema(list(parts))
    if origin in (Union, UnionType):
        members = [_core(part, named) for part in parts if part is not type(None)]
        one = members[0] if len(members) == 1 else core_schema.union_schema(members)
        return one if len(members) == len(parts) else core_schema.nullable_schema(one)
    if origin is tuple and parts[1:] == (...,):
        return core_schema.tuple_variable_schema(_core(parts[0], named))
    if origin is tuple:
        return core_schema.tuple_positional_schema([_core(part, named) for part in parts])
    if origin is dict:
        return core_schema.dict_schema(_core(parts[0], named), _core(parts[1], named))
    if isinstance(annotation, type) and issubclass(annotation, Declared):
        return core_of(annotation, named)
    if annotation not in _SCALARS:
        raise TypeError(f"no option has the type {annotation!r}")
    return _SCALARS[annotation]()


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Declared:
    """What pydantic's BaseModel is to a class of options: strict, without unknown options, frozen."""

    __slots__ = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
    __pydantic_fields_set__: set[str]

    model_config: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # for the JSON Schema
    model_fields = _OfTheClass(_fields)
    __pydantic_validator__ = _OfTheClass(lambda cls: SchemaValidator(core_of(cls), _CONFIG))

    def __init__(self, **options: Any) -> None:
        type(self).__pydantic_validator__.validate_python(options, self_instance=self)

    @property
    def model_fields_set(self) -> set[str]:
        """Return the options that are written."""
        return self.__pydantic_fields_set__

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """Return the object that a value says.

        Raises:
            ValidationError: it says none.
        """
        made: Self = cls.__pydantic_validator__.validate_python(value)
        return made

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """Return the object that a JSON text says.

        Raises:
            ValidationError: it says none.
        """
        made: Self = cls.__pydantic_validator__.validate_json(text)
        return made

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the class."""
        from pydantic.json_schema import GenerateJsonSchema

        return GenerateJsonSchema(by_alias=True).generate(core_of(cls, named=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: Any) -> dict[str, Any]:
        """Return the JSON Schema that pydantic's generator makes; a class may say more."""
        made: dict[str, Any] = handler(core)
        return made

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self:
        """Return the object with other values, which are not judged."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, **update or {})
        object.__setattr__(made, "__pydantic_fields_set__", self.__pydantic_fields_set__ | set(update or ()))
        return made

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            frozen = {"type": "frozen_instance", "loc": (name,), "input": value}
            raise ValidationError.from_exception_data(type(self).__name__, [frozen])  # type: ignore[list-item]  # pydantic wants its own dictionary type
        object.__setattr__(self, name, value)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in type(self).model_fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Declared) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        values = zip(type(self).model_fields, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values)})"
