"""Namesake: a layer that is torch's class of the same name, built with the same options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.layers.layer import Layer, Tied, kind
from zoo.shapes import Shape

if TYPE_CHECKING:
    from torch import nn

BESIDE_TORCH = frozenset({"type", *Tied.model_fields})
"""What the language says of a layer beside torch's own options."""


class Namesake(Layer):
    """What every layer has that torch has under the same name, with the same options."""

    # Any: torch's own argument types.
    def sizes(self, shape: Shape) -> dict[str, Any]:
        """Return the arguments of torch's class that follow from the input."""
        return {}

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's class of the same name with the layer's options.

        Raises:
            UsageError: the torch that is installed has no such option yet, and it is not at its default.
        """
        from torch import nn

        factory = getattr(nn, kind(self))
        known = inspect.signature(factory).parameters
        arguments = {**self._options(), **self.sizes(shape)}
        for name in [name for name in arguments if name not in known]:
            if arguments.pop(name) != type(self).model_fields[name].default:
                raise UsageError(f"{kind(self)} has no {name} in the installed torch", "install a newer one")
        module: nn.Module = factory(**arguments)
        return module

    # Any: a JSON value.
    def _options(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in Tied.model_fields and name != "type"
        }
