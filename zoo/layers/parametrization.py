"""Parametrisations: how a layer's weight is computed from what it learns: weight_norm, spectral_norm, orthogonal."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from zoo.choice import Choice
from zoo.errors import ShapeError
from zoo.layers.layer import Sizes, kind
from zoo.layers.namesake import Namesake
from zoo.shapes import Shape
from zoo.strict import Count, Field, Positive, Strict

if TYPE_CHECKING:
    from torch import nn

PARAMETRIZATIONS = Choice(
    "parametrization", {"zoo.layers.parametrization": ("orthogonal", "spectral_norm", "weight_norm")}
)


class Parametrization(Strict):
    """What every parametrisation has."""

    @abstractmethod
    def apply(self, module: nn.Module) -> nn.Module:
        """Return `module`, whose weight is computed from here on."""

    def learned(self, weight: Sizes) -> dict[str, Sizes]:
        """Return the sizes of what is learned in the place of a weight, by names below the layer's."""
        return {"original": weight}

    def needs(self, weight: Sizes) -> str:
        """Return what this weight has not; nothing where it has all."""
        return ""


class weight_norm(Parametrization):  # noqa: N801  # torch's own name, which the spec writes
    """Learns the length and the direction of the weight apart.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.weight_norm.html
    """

    type: Literal["weight_norm"]
    dim: Annotated[int, Field(ge=0, le=4)] | None = 0
    """Each slice along this axis of the weight has a length of its own; null: one length for the whole weight."""

    def apply(self, module: nn.Module) -> nn.Module:
        """Return the module after torch.nn.utils.parametrizations.weight_norm."""
        from torch.nn.utils import parametrizations

        # torch takes null, but types the axis as a whole number and what comes back not at all.
        parametrizations.weight_norm(module, dim=self.dim)  # type: ignore[arg-type]
        return module

    def learned(self, weight: Sizes) -> dict[str, Sizes]:
        """Return the lengths and the direction."""
        if self.dim is None:
            return {"original0": (), "original1": weight}
        return {"original0": tuple(s if a == self.dim else 1 for a, s in enumerate(weight)), "original1": weight}

    def needs(self, weight: Sizes) -> str:
        """Return that the axis must be there."""
        return "" if self.dim is None or self.dim < len(weight) else f"an axis {self.dim}"


class spectral_norm(Parametrization):  # noqa: N801  # torch's own name, which the spec writes
    """Divides the weight by its largest singular value.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
    """

    type: Literal["spectral_norm"]
    n_power_iterations: Annotated[Count, Field(le=1000)] = 1
    """Steps of the power method in each forward pass of the training."""
    eps: Positive = 1e-12
    """The least norm to divide by."""
    dim: Annotated[int, Field(ge=-5, le=4)] | None = None
    """The axis that becomes the rows of the matrix; null: that of the outputs."""

    def apply(self, module: nn.Module) -> nn.Module:
        """Return the module after torch.nn.utils.parametrizations.spectral_norm."""
        from torch.nn.utils import parametrizations

        return parametrizations.spectral_norm(module, "weight", self.n_power_iterations, self.eps, self.dim)

    def needs(self, weight: Sizes) -> str:
        """Return that the axis must be there."""
        return "" if self.dim is None or -len(weight) <= self.dim < len(weight) else f"an axis {self.dim}"


class orthogonal(Parametrization):  # noqa: N801  # torch's own name, which the spec writes
    """Keeps the matrix of the weight's last two axes orthogonal.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.orthogonal.html
    """

    type: Literal["orthogonal"]
    orthogonal_map: Literal["matrix_exp", "cayley", "householder"] | None = None
    """How the matrix is computed; null: "matrix_exp" where it is square, "householder" elsewhere."""
    use_trivialization: bool = True
    """Learn the way from the first matrix, not the matrix itself."""

    def apply(self, module: nn.Module) -> nn.Module:
        """Return the module after torch.nn.utils.parametrizations.orthogonal."""
        from torch.nn.utils import parametrizations

        return parametrizations.orthogonal(
            module, "weight", self.orthogonal_map, use_trivialization=self.use_trivialization
        )


class Parametrized(Namesake):
    """What every layer has whose weight may be computed from other learned numbers."""

    parametrization: Annotated[Parametrization, PARAMETRIZATIONS] | None = None
    """How the weight is computed from what is learned: weight_norm, spectral_norm or orthogonal."""

    def build(self, shape: Shape) -> nn.Module:
        """Return torch's class of the same name, its weight computed as the spec says."""
        module = super().build(shape)
        return module if self.parametrization is None else self.parametrization.apply(module)

    def learned(self, weight: Sizes, others: dict[str, Sizes]) -> dict[str, Sizes]:
        """Return the sizes of what the layer learns, in the state dict's order, `weight` being computed or not."""
        if self.parametrization is None:
            return {"weight": weight, **others}
        parts = self.parametrization.learned(weight)
        return others | {f"parametrizations.weight.{name}": sizes for name, sizes in parts.items()}

    def require_weight(self, weight: Sizes) -> None:
        """Refuse a parametrisation that this weight cannot have."""
        needed = self.parametrization.needs(weight) if self.parametrization else ""
        if needed:
            raise ShapeError(
                f"{kind(self)} needs a weight with {needed} for its parametrization, and has {weight}",
                f"write a dim from 0 to {len(weight) - 1}, or remove it",
                "parametrization",
            )

    # Any: a JSON value.
    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in super()._options().items() if name != "parametrization"}
