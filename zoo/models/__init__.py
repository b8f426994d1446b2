"""What may stand as `model`: an architecture from layers, or one that torchvision knows by name."""

from typing import Annotated

from zoo.choice import Choice
from zoo.models.model import Model

MODELS = Choice("model", {"zoo.models.known": ("torchvision",), "zoo.models.layered": ("Layered",)}, untyped="Layered")
AnyModel = Annotated[Model, MODELS]

__all__ = ["MODELS", "AnyModel", "Model"]
