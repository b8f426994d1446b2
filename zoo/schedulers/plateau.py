"""The scheduler that looks at a measurement: ReduceLROnPlateau."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from zoo.errors import ShapeError
from zoo.optimizers.optimizer import Optimizer
from zoo.schedulers.scheduler import Each, Scheduler
from zoo.strict import LARGEST_SIZE, Field, NonNegative, model_validator

Waiting = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]


class ReduceLROnPlateau(Scheduler):
    """Multiplies the learning rate by factor when a measurement has not become better for more than patience of them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """

    alone = True
    horizon_option = "patience"
    each = ("min_lr",)
    own = ("type", "interval", "metric")

    type: Literal["ReduceLROnPlateau"]
    # Other than the other schedulers': it moves when there is a measurement.
    interval: Literal["epoch", "evaluation"] = "epoch"  # type: ignore[assignment]  # as said
    """What is counted: epochs, each measured at its end, or every measurement of train.evaluate_every."""
    metric: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)] = "loss"
    """What is looked at: "loss", or the name of one of the metrics. This option is zoo's own."""
    mode: Literal["min", "max"] = "min"
    """Whether less or more of it is better."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor of each reduction."""
    patience: Waiting = 10
    """Intervals without improvement that are let pass."""
    threshold: NonNegative = 1e-4
    """By how much a measurement must be better to count."""
    threshold_mode: Literal["rel", "abs"] = "rel"
    """The threshold is a share of the best, or a difference."""
    cooldown: Waiting = 0
    """Intervals after a reduction that do not count."""
    min_lr: Each = 0.0
    """The least learning rate, for all or for each parameter group."""
    eps: NonNegative = 1e-8
    """A reduction by less than this is left out."""

    @model_validator(mode="after")
    def _a_loss_is_to_fall(self) -> Self:
        if self.metric == "loss" and self.mode == "max":
            raise ValueError('a loss is better when it is less; write "mode": "min", or another metric')
        return self

    @property
    def watched(self) -> str:
        """Return the measurement's name."""
        return self.metric

    @property
    def horizon(self) -> int:
        """Return the first interval that can have another rate."""
        return self.patience + 3

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse what every scheduler refuses, and a least rate that no rate is above.

        Raises:
            ShapeError: with the option that does not fit.
        """
        super().require(optimizer, intervals)
        rate = optimizer.options()["lr"]
        rates = [rate, *(group.overrides().get("lr", rate) for group in optimizer.parameter_groups)]
        least = self.min_lr if isinstance(self.min_lr, tuple) else (self.min_lr,) * len(rates)
        if all(low >= rate for low, rate in zip(least, rates, strict=True)):
            message = f"min_lr leaves nothing to reduce: the optimizer has lr {max(rates):g}"
            raise ShapeError(message, "write a smaller min_lr", "min_lr")
