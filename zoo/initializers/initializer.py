"""Initializer: how some tensors of a fresh model are filled, in place of torch's own way."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from zoo.errors import ShapeError
from zoo.patterns import Patterns, matches
from zoo.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor


class Initializer(Strict):
    """What every initializer has."""

    @abstractmethod
    def matches(self, name: str) -> bool:
        """Return whether the tensor of this name is filled."""


class Filling(Initializer):
    """What every initializer has that fills parameters by itself: torch's functions."""

    ranks: ClassVar[range] = range(65)
    """How many axes a tensor may have."""

    match: Patterns
    """Names of the parameters that are filled, such as "*.weight"; "!" in front excludes."""

    def matches(self, name: str) -> bool:
        """Return whether the tensor of this name is filled."""
        return matches(self.match, name)

    def require(self, name: str, sizes: tuple[int, ...]) -> None:
        """Refuse a parameter that torch cannot fill in this way.

        Raises:
            ShapeError: it has too few or too many axes, or sizes that do not divide.
        """
        if len(sizes) not in self.ranks:
            least, most = self.ranks[0], self.ranks[-1]
            axes = f"{least} or more" if most > 60 else f"{least}" if least == most else f"{least} to {most}"
            message = f"{type(self).__name__} needs tensors of {axes} axes, but {name} has {_sizes(sizes)}"
            raise ShapeError(message, f'leave it out: add "!{name}" to match', "match")

    def apply(self, tensor: Tensor) -> None:
        """Fill a tensor in place; torch's global generator is drawn from."""
        from torch.nn import init

        options = {name: getattr(self, name) for name in type(self).model_fields if name not in ("type", "match")}
        getattr(init, type(self).__name__)(tensor, **options)


def _sizes(sizes: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
