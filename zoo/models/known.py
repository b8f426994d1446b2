"""torchvision: an architecture that torchvision knows by name, with its weights and a head for the classes at hand."""

from __future__ import annotations

from collections.abc import Collection
from math import isqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from zoo.errors import DataError, Path, ShapeError, reason
from zoo.layers.layer import Layer, Sizes
from zoo.models.model import Model
from zoo.models.table import Entry, find, names
from zoo.nearest import suggestion
from zoo.shapes import Shape
from zoo.strict import Count, Field, Named, field_validator

if TYPE_CHECKING:
    from pydantic import ValidationInfo
    from torch import nn

Classes = Annotated[Count | Literal["classes"] | None, Named()]
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")
"""Second heads that torchvision's weights hold for training from scratch; they add nothing to what the model gives."""


# Any: a JSON Schema.
def _one_of_the_names(schema: dict[str, Any]) -> None:
    schema["enum"] = list(names())


class torchvision(Model):  # noqa: N801 - the type that a spec writes is the library's own name
    """A model of torchvision for classification or segmentation, by name.

    Source: https://docs.pytorch.org/vision/stable/models.html
    """

    type: Literal["torchvision"]
    name: Annotated[str, Field(json_schema_extra=_one_of_the_names)]
    """Name of the model, as torchvision.models.list_models() gives it."""
    weights: str | None = None
    """Trained weights that the model begins with, such as "IMAGENET1K_V2" or "DEFAULT"; without them, fresh ones."""
    classes: Classes = None
    """How many classes the model tells apart, or "classes". A head for them is drawn afresh; without it, the weights'
    own head stays, or as many classes as torchvision's weights have are drawn."""

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        if find(name) is None:
            raise ValueError(f'torchvision has no model "{name[:60]}"; {suggestion(name, names())}')
        return name

    @field_validator("weights")
    @classmethod
    def _weights_are_known(cls, weights: str | None, info: ValidationInfo) -> str | None:
        entry = find(info.data.get("name", ""))
        if entry is not None and weights is not None and weights not in (*entry.weights, "DEFAULT"):
            listed = ", ".join((*entry.weights, "DEFAULT"))
            remedy = f"write one of: {listed}"
            if "/" in weights or "." in weights:
                remedy += '; a file of your own goes into "init": {"from": "FILE"}'
            raise ValueError(f'{entry.name} has no weights "{weights[:60]}"; {remedy}')
        return weights

    def parts(self) -> tuple[tuple[Layer, ...], Path]:
        """Return the architecture as one layer that stands where the model stands."""
        return (Architecture(name=self.name, weights=self.weights, classes=self.classes),), ()


class Architecture(Layer):
    """A whole model of torchvision, laid out as one step; its tensors keep torchvision's names."""

    whole: ClassVar[bool] = True

    name: str
    weights: str | None
    classes: Classes

    @property
    def entry(self) -> Entry:
        """Return what is known of the model."""
        entry = find(self.name)
        assert entry is not None  # the model has judged the name
        return entry

    @property
    def _outputs(self) -> int:
        return self.entry.outputs if self.classes is None else int(self.classes)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (N, classes); (N, classes, height, width) where the model gives classes for each pixel.

        Raises:
            ShapeError: the input is not of colour images, or their size is not one that the model takes.
        """
        entry = self.entry
        if shape.rank != 4:
            raise ShapeError(f"{self.name} needs images (N, 3, height, width)", "use data of images")
        if not all(isinstance(size, int) for size in shape.dims[1:]):
            size = entry.side(self.weights) or entry.cost[0]
            remedy = f'write {{"type": "Resize", "size": [{size}, {size}]}} in data.transforms'
            raise ShapeError(f"{self.name} needs images of one size", remedy)
        if shape.dims[1] != 3:
            remedy = 'write {"type": "Grayscale", "num_output_channels": 3} in data.transforms'
            raise ShapeError(f"{self.name} needs images (N, 3, height, width)", remedy)
        if shape.dtype != "float32":
            remedy = 'convert them first: {"type": "ToDtype", "dtype": "float32", "scale": true} in data.transforms'
            raise ShapeError(f"{self.name} needs float32 numbers", remedy)
        side = entry.side(self.weights)
        if side is not None and shape.row[1:] != (side, side):
            remedy = f'write {{"type": "Resize", "size": [{side}, {side}]}} in data.transforms'
            raise ShapeError(f"{self.name} needs images of exactly {side} × {side} pixels", remedy)
        if min(shape.row[1:]) < entry.least:
            remedy = f'write {{"type": "Resize", "size": [{entry.least}, {entry.least}]}} or more in data.transforms'
            raise ShapeError(f"{self.name} needs images of {entry.least} × {entry.least} pixels or more", remedy)
        return shape.with_dims("N", self._outputs, *(shape.dims[2:] if entry.segments else ()))

    def parameter_shapes(self, shape: Shape) -> dict[str, Sizes]:
        """Return the sizes of each tensor by torchvision's name."""
        found = dict(self.entry.parameters)
        for head in self.entry.heads:
            for name in {f"{head}.weight", f"{head}.bias"} & found.keys():  # MaxViT's head has no bias
                found[name] = (self._outputs, *found[name][1:])
        side, usual = self.entry.side(self.weights), self.entry.side(None)
        positions = found.get("encoder.pos_embedding")
        if positions is not None and side and usual:
            patch = usual // isqrt(positions[1] - 1)  # pixels; one position more is the class token's
            found["encoder.pos_embedding"] = (1, (side // patch) ** 2 + 1, positions[2])
        return found

    def multiply_adds(self, shape: Shape) -> int:
        """Return what was measured at the size that the default weights are made for; at others, in proportion."""
        side, trunk, each = self.entry.cost
        height, width = shape.row[1:]
        return (trunk + each * self._outputs) * height * width // side**2

    def made(self, shape: Shape) -> int:
        """Return what was measured at the same size as the multiply-adds; at others, in proportion."""
        side, (trunk, each) = self.entry.cost[0], self.entry.made
        height, width = shape.row[1:]
        return (trunk + each * self._outputs) * height * width // side**2

    def smallest_training_batch(self, shape: Shape) -> int:
        """Return 2 where a batch norm sees a single value of each row."""
        alone = self.entry.alone
        return 1 if alone is not None and max(shape.row[1:]) >= alone else 2

    def rests(self, frozen: Collection[str]) -> bool:
        """Return whether every norm is frozen: the modules whose weight is a vector."""
        sizes = self.entry.parameters
        norms = {name.removesuffix("weight") for name in sizes if name.endswith(".weight") and len(sizes[name]) == 1}
        return all(name in frozen for name in sizes if name.rpartition(".")[0] + "." in norms)

    def options(self) -> dict[str, object]:
        """Return what torchvision's builder is told."""
        entry = self.entry
        told = builder_options(self.name, entry.segments, self.weights is not None, entry.side(self.weights))
        return {"num_classes": self._outputs, **told}

    def build(self, shape: Shape, pretrained: bool = False) -> nn.Module:
        """Return torchvision's own model, or a torch.fx graph of its parts where it gives more than one tensor.

        Args:
            shape: what the model is given.
            pretrained: load the weights that the spec names; not where others follow anyway, such as those of a run.

        Raises:
            DataError: the weights are not on this machine and cannot be downloaded, or are damaged.
        """
        from torchvision.models import get_model

        entry = self.entry
        model: nn.Module = get_model(self.name, weights=None, **self.options())
        if pretrained and self.weights is not None:
            _load(model, entry, self.weights, keep_head=self.classes is None)
        return _single_output(model) if entry.segments else model


def builder_options(name: str, segments: bool, weighted: bool, side: int | None) -> dict[str, object]:
    """Return what torchvision's builder is told beside the number of classes, so that it downloads nothing itself.

    Args:
        name: which model.
        segments: whether it gives classes for each pixel.
        weighted: whether weights are loaded later: those of GoogLeNet and Inception want colours of their own.
        side: the one height and width that it takes.
    """
    if segments:
        return {"weights_backbone": None}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": not weighted, "transform_input": weighted}
    return {"image_size": side} if name.startswith("vit_") and side is not None else {}


def _load(model: nn.Module, entry: Entry, weights: str, keep_head: bool) -> None:
    """Load trained weights into a model; a head of other classes stays as it was drawn."""
    import os
    import re
    import sys
    from contextlib import redirect_stdout
    from http.client import HTTPException
    from pickle import UnpicklingError

    from torch import hub
    from torchvision.models import get_model_weights

    named = get_model_weights(entry.name)[weights]
    file = os.path.join(hub.get_dir(), "checkpoints", os.path.basename(named.url))
    remedy = f"download {named.url} and put it there as {file}"
    try:
        with redirect_stdout(sys.stderr):  # torch says there what it downloads
            state = named.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError, UnpicklingError, EOFError) as error:
        raise DataError(f"no weights {weights} of {entry.name}: {file}: {reason(error)}", remedy) from error
    heads = tuple(f"{head}." for head in entry.heads)
    for key in list(state):
        tensor = state.pop(key)
        if not key.startswith(_AUXILIARY) and (keep_head or not key.startswith(heads)):
            # DenseNet's files are older than the rule that a module's name holds no dot.
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key)] = tensor
    try:
        left = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise DataError(f"{file} is not {weights} of {entry.name}: {reason(error)}", remedy) from error
    absent = [key for key in left.missing_keys if keep_head or not key.startswith(heads)]
    if absent or left.unexpected_keys:
        key = (absent or left.unexpected_keys)[0]
        raise DataError(f"{file} is not {weights} of {entry.name}: {key} does not agree", remedy)


def _single_output(model: nn.Module) -> nn.Module:
    """Return the graph of the model's parts that gives the tensor "out" alone, and not a dictionary of tensors."""
    from torch import fx

    class Outermost(fx.Tracer):
        def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
            return True

    graph = Outermost().trace(model)
    (last,) = [node for node in graph.nodes if node.op == "output"]
    last.args = (last.args[0]["out"],)
    return fx.GraphModule(model, graph, class_name=type(model).__name__)
