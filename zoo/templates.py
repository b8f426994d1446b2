"""Templates: each Block of a spec replaced by the layers of its template in `blocks`, with its parameters put in.

A string "$NAME" in a template stands for the parameter NAME. What is put in keeps its place in the text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.errors import Path, Problem, SpecError
from zoo.nearest import suggestion
from zoo.override import echo
from zoo.source import Source

DEEPEST = 20  # templates inside templates
MOST_VALUES = (
    100_000  # twenty times the largest spec people write out; templates of templates could stand for any number
)
FIXED = ("type", "name", "id", "from")
"""Options of a Block that are no parameters."""


def expand(source: Source) -> Source:
    """Return the document with the layers of each Block written out, and without `blocks`.

    Raises:
        SpecError: a template or a parameter is not there, is not used, or a template holds itself.
    """
    expanded, problems = written_out(source)
    if problems:
        raise SpecError(problems)
    return expanded


def written_out(source: Source) -> tuple[Source, tuple[Problem, ...]]:
    """Return what `expand` does, with the problems on the way; where a Block is wrong, an Identity stands in.

    Raises:
        SpecError: the templates stand for more than anybody can judge.
    """
    blocks = source.value.get("blocks")
    model = source.value.get("model")
    if not isinstance(model, dict):
        return source, ()
    expansion = _Expansion(source, blocks if isinstance(blocks, dict) else {})
    expansion.judge_templates(blocks)
    value = {key: part for key, part in source.value.items() if key != "blocks"}
    value["model"] = expansion.walk(model, ("model",), ())
    unused = [name for name in expansion.templates if name not in expansion.used]
    for name in unused:
        expansion.tell(("blocks", name), f'no Block uses the template "{echo(name)}"', "remove it")
    expanded = replace(source, value=value, aliases={**source.aliases, **expansion.aliases})
    return expanded, tuple(expanded.problem(*said) for said in expansion.told)


class _Expansion:
    """One walk through a document."""

    # Any: JSON values, whose meaning is judged later.
    def __init__(self, source: Source, blocks: dict[str, Any]) -> None:
        self.source = source
        self.blocks = blocks
        self.templates: dict[str, dict[str, Any]] = {}
        self.aliases: dict[Path, Path] = {}
        self.told: list[tuple[Path, str, str]] = []
        """Path, message and remedy of each problem; their places are known once all is expanded."""
        self.used: set[str] = set()
        self.values = 0
        """How many JSON values the templates stand for so far."""
        self.sizes: dict[int, tuple[Any, int]] = {}
        """By its identity each list and object, kept alive, and how many values it holds."""

    def tell(self, path: Path, message: str, remedy: str) -> None:
        self.told.append((path, message, remedy))

    # Any: a JSON value.
    def judge_templates(self, blocks: Any) -> None:
        """Keep the templates that are objects with layers."""
        if blocks is not None and not isinstance(blocks, dict):
            self.tell(("blocks",), "blocks is no object", 'write {"NAME": {"layers": […]}}')
        for name, template in self.blocks.items():
            path: Path = ("blocks", name)
            if not isinstance(template, dict) or not isinstance(template.get("layers"), list):
                self.tell(path, f'the template "{echo(name)}" has no layers', 'write {"layers": […]}')
                continue
            for key in template:
                if key not in ("layers", "defaults"):
                    self.tell(
                        (*path, key), f'a template has no option "{echo(key)}"', suggestion(key, ["layers", "defaults"])
                    )
            defaults = template.get("defaults", {})
            if not isinstance(defaults, dict):
                self.tell((*path, "defaults"), "defaults is no object", 'write {"PARAMETER": value}')
                continue
            known = parameters(template["layers"])
            for key in defaults:
                if key not in known:
                    self.tell((*path, "defaults", key), f'the template has no "${echo(key)}"', _unknown(key, known))
            self.templates[name] = template

    # Any: a JSON value.
    def walk(self, value: Any, path: Path, above: tuple[str, ...]) -> Any:
        """Return the value at `path` with each Block written out; `above` are the templates it stands in."""
        if isinstance(value, list):
            return [self.walk(part, (*path, index), above) for index, part in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if value.get("type") == "Block" and "layers" not in value:
            return self._block(value, path, above)
        return {key: self.walk(part, (*path, key), above) for key, part in value.items()}

    # Any: as walk.
    def _block(self, value: dict[str, Any], path: Path, above: tuple[str, ...]) -> dict[str, Any]:
        """Return the Block with its layers; an Identity in its place where something is wrong, which is told."""
        name = value.get("name")
        stand_in: dict[str, Any] = {key: value[key] for key in ("id", "from") if key in value}
        stand_in["type"] = "Identity"
        kept = {key: part for key, part in value.items() if key in FIXED}
        template = self.templates.get(name) if isinstance(name, str) else None
        if not isinstance(name, str) or template is None:
            if not isinstance(name, str):
                self.tell(path, "the Block names no template", 'write "name": …, the name of one in blocks')
            elif name not in self.blocks:
                new = f'write "blocks": {{"{echo(name)}": {{"layers": […]}}}}'
                remedy = suggestion(name, self.blocks) if self.blocks else new
                self.tell((*path, "name"), f'there is no template "{echo(name)}"', remedy)
            return stand_in
        self.used.add(name)
        if name in above or len(above) >= DEEPEST:
            self.tell((*path, "name"), f'the template "{echo(name)}" holds itself', "take this Block out of it")
            return stand_in
        known = parameters(template["layers"])
        given = {key: part for key, part in value.items() if key not in FIXED}
        values = {**template.get("defaults", {}), **given}
        for key in given:
            if key not in known:
                self.tell((*path, key), f'the template "{echo(name)}" has no "${echo(key)}"', _unknown(key, known))
        missing = sorted(known - set(values))
        for key in missing:
            self.tell(
                path,
                f'the Block "{echo(name)}" needs "{echo(key)}"',
                f'write "{echo(key)}": …, or a default in the template',
            )
        if missing:
            return stand_in
        written: Path = ("blocks", name, "layers")
        put = _Put(self, path, name, values, frozenset(given))
        self.aliases[(*path, "layers")] = written
        layers = put.into(template["layers"], written, (*path, "layers"))
        self.values += self.size(layers)
        if self.values > MOST_VALUES:
            self.tell(path, f"the templates stand for more than {MOST_VALUES:,} values", "use fewer of them")
            raise SpecError((self.source.problem(*self.told[-1]),))
        return {**kept, "layers": self.walk(layers, (*path, "layers"), (*above, name))}

    # Any: as walk.
    def size(self, value: Any) -> int:
        """Return how many values a value holds, itself included; what stands in several places is looked at once."""
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in self.sizes:
            parts = value.values() if isinstance(value, dict) else value
            self.sizes[id(value)] = (value, 1 + sum(map(self.size, parts)))
        return self.sizes[id(value)][1]


class _Put:
    """Puts the values of parameters into a template's layers."""

    # Any: JSON values.
    def __init__(
        self, expansion: _Expansion, block: Path, name: str, values: dict[str, Any], given: frozenset[str]
    ) -> None:
        self.expansion, self.block, self.name, self.values, self.given = expansion, block, name, values, given

    # Any: as above.
    def into(self, value: Any, written: Path, path: Path) -> Any:
        """Return `value`, which is written at `written` and comes to stand at `path`."""
        if isinstance(value, str) and value.startswith("$") and value[1:] in self.values:
            parameter = value[1:]
            place = (*self.block, parameter) if parameter in self.given else written
            self.expansion.aliases[path] = place
            return self.values[parameter]
        if isinstance(value, list):
            return [self.into(part, (*written, index), (*path, index)) for index, part in enumerate(value)]
        if isinstance(value, dict):
            return {key: self.into(part, (*written, key), (*path, key)) for key, part in value.items()}
        return value


# Any: a JSON value.
def parameters(value: Any) -> set[str]:
    """Return the names of the parameters that a template uses."""
    if isinstance(value, str):
        return {value[1:]} if value.startswith("$") else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for part in parts for name in parameters(part)}


def _unknown(name: str, known: set[str]) -> str:
    return suggestion(name, known) if known else f'write "${echo(name)}" in the template, or remove it'
