"""Losses between a predicted distribution and the targets: GaussianNLLLoss, KLDivLoss, PoissonNLLLoss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from zoo.errors import ShapeError
from zoo.losses.loss import Pairwise
from zoo.shapes import Shape
from zoo.strict import Positive, model_validator

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.losses.loss import Arrangement


class GaussianNLLLoss(Pairwise):
    """Negative log of the density of the target under a normal distribution.

    The model gives all the means, then all the variances (0 or more), along axis 1; torch takes them as two inputs.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
    """

    output_name = "means_and_variances"

    type: Literal["GaussianNLLLoss"]
    full: bool = False
    """Add the constant log(2π) / 2."""
    eps: Positive = 1e-6
    """The least variance."""

    def require(self, output: Shape, target: Shape) -> None:
        """Refuse all but a mean and a variance for each number of the targets.

        Raises:
            ShapeError: axis 1 of the output is not twice that of the targets, or another axis or the dtype differs.
        """
        size = target.dims[1] if target.rank > 1 else None
        if not isinstance(size, int) or target.dtype != "float32":
            message = f"GaussianNLLLoss needs targets of numbers (N, size), but the data gives targets {target}"
            raise ShapeError(message, "use another loss")
        wanted = target.with_dims(target.dims[0], 2 * size, *target.dims[2:])
        if output != wanted:
            message = f"GaussianNLLLoss needs {wanted}: means, then variances, but the model gives {output}"
            remedy = (
                'end with {"type": "Parallel"} that joins a branch of means with a branch of variances, '
                'which ends with {"type": "Softplus"}'
            )
            raise ShapeError(message, remedy)

    def arrangement(self, output: Shape, target: Shape) -> Arrangement:
        """Return what cuts the output into means and variances."""
        return _cut


class KLDivLoss(Pairwise):
    """Kullback-Leibler divergence of the target's probabilities from the model's log probabilities.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
    """

    output_name = "log_probabilities"

    type: Literal["KLDivLoss"]
    # Wider than the other losses': torch has it here alone.
    reduction: Literal["mean", "sum", "batchmean"] = "mean"  # type: ignore[assignment]
    """Mean over all numbers, sum, or "batchmean": the sum divided by the rows, which is the divergence itself."""
    log_target: bool = False
    """The targets are log probabilities too."""


class PoissonNLLLoss(Pairwise):
    """Negative log of the probability of a count under a Poisson distribution.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
    """

    type: Literal["PoissonNLLLoss"]
    log_input: bool = True
    """The model gives the log of the rate; otherwise the rate, which is above 0."""
    full: bool = False
    """Add Stirling's approximation of the target's own term."""
    eps: Positive = 1e-8
    """Added to a rate before its log is taken; only without log_input."""

    @model_validator(mode="after")
    def _eps_is_used(self) -> Self:
        if self.log_input and self.eps != 1e-8:
            raise ValueError("eps says nothing with log_input; write log_input: false, or remove eps")
        return self


def _cut(output: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    means, variances = output.chunk(2, dim=1)  # (N, size, …) each
    return means, target, variances
