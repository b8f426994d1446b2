"""WarmStart: tensors from a run or a file, as a spec says it; zoo.warm_start reads them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from zoo.initializers.initializer import Initializer
from zoo.patterns import Patterns, matches
from zoo.strict import Field, model_validator

Part = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^*]*\*?[^*]*$")]


class WarmStart(Initializer):
    """Weights of another training: the only initializer without a type, known by its "from"."""

    source: Annotated[str, Field(alias="from", min_length=1, max_length=4096)]
    """A run, or a file of tensors: .safetensors, or a state dict or checkpoint as .pt or .pth. Relative to where the
    command runs."""
    match: Patterns | None = None
    """Names of the tensors of this model that are filled; null fills all. "!" in front excludes."""
    by: Literal["name", "order"] = "name"
    """Tensors are found by their names, or one after the other among those of the same sizes and dtype."""
    rename: Annotated[dict[Part, Part], Field(min_length=1, max_length=1000)] | None = None
    """Names in the file, and what they are here: {"backbone.*": "features.*"}. The first that fits counts."""

    @model_validator(mode="after")
    def _rename_is_used(self) -> Self:
        if self.rename is None:
            return self
        if self.by == "order":
            raise ValueError('rename says nothing in order; write "by": "name", or remove rename')
        for old, new in self.rename.items():
            if ("*" in old) != ("*" in new):
                raise ValueError(f'"{old}" and "{new}" need a * both, or neither')
        return self

    def matches(self, name: str) -> bool:
        """Return whether the tensor of this name is filled."""
        return self.match is None or matches(self.match, name)

    def renamed(self, name: str) -> str:
        """Return what a name in the file is in this model."""
        for old, new in (self.rename or {}).items():
            start, star, end = old.partition("*")
            if name == old:
                return new
            if star and len(name) >= len(start) + len(end) and name.startswith(start) and name.endswith(end):
                return new.replace("*", name[len(start) : len(name) - len(end)])
        return name
