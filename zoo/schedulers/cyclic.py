"""Schedulers that set rates and momentum by themselves, up and down: CyclicLR, OneCycleLR."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from zoo.errors import ShapeError
from zoo.optimizers.optimizer import Optimizer
from zoo.schedulers.scheduler import Each, Scheduler
from zoo.strict import Count, Field, Positive, model_validator

Momentum = Annotated[float, Field(ge=0, lt=1)]
Momenta = Momentum | Annotated[tuple[Momentum, ...], Field(min_length=1, max_length=1000)]
"""One number for all parameters, or one for each parameter group: what no group takes, then the groups in order."""


class _Cyclic(Scheduler):
    """What CyclicLR and OneCycleLR share."""

    alone = True
    each: ClassVar[tuple[str, ...]] = ("max_lr", "base_momentum", "max_momentum")

    max_lr: Each
    """The highest learning rate, for all or for each parameter group."""
    cycle_momentum: bool = True
    """Move the momentum, or the first beta, against the rate."""
    base_momentum: Momenta
    """The least momentum, at the highest rate."""
    max_momentum: Momenta
    """The largest momentum, at the lowest rate."""

    @model_validator(mode="after")
    def _momentum_is_moved(self) -> Self:
        for name in ("base_momentum", "max_momentum"):
            if not self.cycle_momentum and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} says nothing without cycle_momentum; remove one of the two options")
        return self

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse also an optimizer without momentum, and options of it that this scheduler writes over.

        Raises:
            ShapeError: with the option that does not fit.
        """
        super().require(optimizer, intervals)
        moved = ["lr"]
        if self.cycle_momentum:
            momentum = "momentum" if "momentum" in optimizer.options() else "betas"
            if momentum not in optimizer.options():
                message = f"{type(self).__name__} moves the momentum, but {type(optimizer).__name__} has none"
                raise ShapeError(message, 'write "cycle_momentum": false, or use SGD or Adam', "cycle_momentum")
            moved.append(momentum)
        for option in moved:
            self._require_unwritten(optimizer, option)

    def _require_unwritten(self, optimizer: Optimizer, option: str) -> None:
        """Refuse an option of the optimizer that says nothing, because this scheduler sets it from the first step."""
        place = "max_lr" if option == "lr" else "max_momentum"
        written = optimizer.options()[option]
        default = type(optimizer).model_fields[option].default
        first, kept = (written[0], default[0]) if option == "betas" else (written, default)
        grouped = any(option in group.overrides() for group in optimizer.parameter_groups)
        if first != kept or grouped:
            name = "the first of betas" if option == "betas" else option
            message = f"{name} of {type(optimizer).__name__} says nothing, because {type(self).__name__} sets it"
            raise ShapeError(message, f"leave {option} out of the optimizer; {place} says it here", place)


class CyclicLR(_Cyclic):
    """Moves the learning rate between two bounds in straight lines, again and again.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html
    """

    horizon_option = "step_size_up"
    each = (*_Cyclic.each, "base_lr")

    type: Literal["CyclicLR"]
    base_lr: Each
    """The lowest learning rate, for all or for each parameter group."""
    step_size_up: Count = 2000
    """Intervals on the way up."""
    step_size_down: Count | None = None
    """Intervals on the way down; null: as many as on the way up."""
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    """The height of the cycles: all the same, half of the one before, or falling by gamma in each interval."""
    gamma: Positive = 1.0
    """Factor of each interval; only for exp_range."""
    base_momentum: Momenta = 0.8
    """The least momentum, at the highest rate."""
    max_momentum: Momenta = 0.9
    """The largest momentum, at the lowest rate."""

    @model_validator(mode="after")
    def _gamma_is_used(self) -> Self:
        if self.gamma != 1 and self.mode != "exp_range":
            raise ValueError('gamma says nothing in this mode; write "mode": "exp_range", or remove gamma')
        return self

    @property
    def horizon(self) -> int:
        """Return the first interval at the top."""
        return self.step_size_up + 1


class OneCycleLR(_Cyclic):
    """Lets the learning rate rise to max_lr once and fall far below where it began.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html
    """

    horizon_option = "total_steps"

    type: Literal["OneCycleLR"]
    total_steps: Count | None = None
    """Intervals of the whole cycle; follows from the training, and is checked when written."""
    pct_start: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of the cycle in which the rate rises."""
    anneal_strategy: Literal["cos", "linear"] = "cos"
    """Along a cosine or a straight line."""
    base_momentum: Momenta = 0.85
    """The least momentum, at the highest rate."""
    max_momentum: Momenta = 0.95
    """The largest momentum, at the lowest rate."""
    div_factor: Positive = 25.0
    """The first rate is max_lr / div_factor."""
    final_div_factor: Positive = 1e4
    """The last rate is the first / final_div_factor."""
    three_phase: bool = False
    """Come down as long as up, and only then fall to the last rate."""

    @model_validator(mode="after")
    def _three_phases_fit(self) -> Self:
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError("three_phase comes down as long as up; write a pct_start of 0.5 or less")
        return self

    @property
    def horizon(self) -> int | None:
        """Return total_steps where they are written."""
        return self.total_steps

    @property
    def limit(self) -> int | None:
        """Return total_steps where they are written: torch refuses to go on."""
        return self.total_steps

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse also a rise of a single interval, in which torch divides by zero.

        Raises:
            ShapeError: with the option that does not fit.
        """
        super().require(optimizer, intervals)
        if self.pct_start * (self.total_steps or intervals) == 1:
            message = (
                f"OneCycleLR cannot rise in a single {self.interval}, which is {self.pct_start:g} of {intervals:,}"
            )
            raise ShapeError(message, "write more in pct_start, or 0 to begin at max_lr", "pct_start")

    # Any: the values of torch's options.
    def _options(self, intervals: int) -> dict[str, Any]:
        return super()._options(intervals) | {"total_steps": self.total_steps or intervals}
