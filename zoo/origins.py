"""Origins: every value of a resolved spec, and where it came from: written, overridden, default, or inferred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import ValidationError

from zoo.checked import CheckedSpec
from zoo.errors import Path, ShapeError
from zoo.layers.layer import Layer
from zoo.placed import PlacedLayer
from zoo.shapes import Shape
from zoo.source import Source

DEFAULT = "default"
INFERRED = "inferred"


@dataclass(frozen=True)
class Origin:
    """One value of the resolved spec."""

    path: Path
    # Any: a JSON value.
    value: Any
    origin: str
    """ "file:line", "--set …", "default", or "inferred" with what it was inferred from."""

    def record(self) -> dict[str, object]:
        """Return the value as JSON values."""
        return {"path": dotted(self.path), "value": self.value, "origin": self.origin}


def dotted(path: Path) -> str:
    """Return a path as `--set` writes it."""
    return ".".join(map(str, path))


def origins(checked: CheckedSpec) -> tuple[Origin, ...]:
    """Return every value of the resolved spec in its order; what a layer infers stands behind its own values."""
    inferred: dict[Path, list[Origin]] = {}
    for origin in _inferred(checked):
        inferred.setdefault(origin.path[:-1], []).append(origin)
    found: list[Origin] = []
    for path, value in leaves(checked.spec.document()):
        found.append(Origin(path, value, _origin(checked.source, path)))
    return tuple(_woven(found, inferred))


def _woven(found: list[Origin], inferred: dict[Path, list[Origin]]) -> Iterator[Origin]:
    """Yield the values; a layer's inferred ones after its last own."""
    last = {path: max((i for i, o in enumerate(found) if o.path[: len(path)] == path), default=-1) for path in inferred}
    after: dict[int, list[Origin]] = {}
    for path, index in last.items():
        after.setdefault(index, []).extend(inferred[path])
    for index, origin in enumerate(found):
        yield origin
        yield from after.get(index, ())


# Any: a JSON value.
def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what stands at the ends of a document: scalars, lists of scalars, and empty objects and lists."""
    parts = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    if not parts or (isinstance(value, list) and not any(isinstance(part, dict | list) for part in value)):
        yield path, value
        return
    for key, part in sorted(parts, key=lambda part: part[0] != "type"):  # an object is known by its type
        yield from leaves(part, (*path, key))


def _origin(source: Source, path: Path) -> str:
    if not _written(source.value, path):
        return f"{INFERRED} from the metric" if path == ("train", "early_stopping", "mode") else DEFAULT
    place = source.place(path)
    return f"{place.origin}:{place.line}" if place.line else place.origin


# Any: a JSON value.
def _written(value: Any, path: Path) -> bool:
    for key in path:
        known = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
        if key not in known:
            return False
        value = value[key]
    return True


def _inferred(checked: CheckedSpec) -> Iterator[Origin]:
    """Yield the sizes that no one wrote, or wrote as names; each option once, or once for each size in a Repeat."""
    known: dict[tuple[Path, int | tuple[int, ...]], list[str]] = {}
    for placed in checked.layers:
        for option, size in (implied(placed) | _named(checked, placed)).items():
            if _written(checked.source.value, (*placed.path, option)) and not isinstance(
                _at(checked.source.value, (*placed.path, option)), str
            ):
                continue  # the check has held it against what follows
            known.setdefault(((*placed.path, option), size), []).append(placed.name)
    paths = [path for path, _ in known]
    for (path, size), names in known.items():
        value = list(size) if isinstance(size, tuple) else size
        said = _at(checked.source.value, path)
        reason = f' from "{said}"' if isinstance(said, str) else " from the input"
        where = f", in {', '.join(names)}" if paths.count(path) > 1 else ""
        yield Origin(path, value, f"{INFERRED}{reason}{where}")


# Any: a JSON value.
def _at(value: Any, path: Path) -> Any:
    for key in path:
        if not _written(value, (key,)):
            return None
        value = value[key]
    return value


def _named(checked: CheckedSpec, placed: PlacedLayer) -> dict[str, int | tuple[int, ...]]:
    """Return the options whose size the spec names, such as "classes"."""
    written = _at(checked.source.value, placed.path)
    if not isinstance(written, dict):
        return {}
    resolved = {
        option: getattr(placed.layer, option, None) for option, said in written.items() if isinstance(said, str)
    }
    return {option: size for option, size in resolved.items() if isinstance(size, int) and not isinstance(size, bool)}


def implied(placed: PlacedLayer) -> dict[str, int | tuple[int, ...]]:
    """Return the options that follow from the input, such as in_features: those of which one value alone is accepted.

    A layer says with its shape rule what it takes; an option that may be left out, and of which the rule accepts a size
    of the input and refuses its neighbours, says nothing that the input does not.
    """
    found: dict[str, int | tuple[int, ...]] = {}
    shapes = [value for value in placed.values if isinstance(value, Shape)]
    sizes = sorted({size for shape in shapes for size in shape.dims if isinstance(size, int)})
    for option, field in type(placed.layer).model_fields.items():
        if field.default is not None or field.is_required() or option in Layer.model_fields:
            continue
        for size in sizes:
            if _accepts(placed, option, size) and not _accepts(placed, option, size + 1):
                found[option] = size
                break
    return found


def _accepts(placed: PlacedLayer, option: str, size: int) -> bool:
    layer = placed.layer
    said = {field.alias or name: getattr(layer, name) for name, field in type(layer).model_fields.items()}
    try:
        return type(layer).model_validate(said | {option: size}).infer(placed.values) == placed.result
    except (ShapeError, ValidationError):
        return False
