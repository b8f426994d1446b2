"""Scheduler: how the learning rate moves, epoch by epoch or step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from zoo.errors import ShapeError
from zoo.optimizers.optimizer import Optimizer
from zoo.strict import Field, NonNegative, Strict

if TYPE_CHECKING:
    from torch import optim

Each = NonNegative | Annotated[tuple[NonNegative, ...], Field(min_length=1, max_length=1000)]
"""One number for all parameters, or one for each parameter group: what no group takes, then the groups in order."""


class Scheduler(Strict):
    """What every scheduler has."""

    alone: ClassVar[bool] = False
    """Whether it sets the rates by itself, so that it cannot stand inside another one."""
    horizon_option: ClassVar[str] = ""
    """The option that says the horizon."""
    own: ClassVar[tuple[str, ...]] = ("type", "interval")
    """The options that torch does not have."""
    each: ClassVar[tuple[str, ...]] = ()
    """The options that may say one number for each parameter group."""

    interval: Literal["epoch", "step"] = "epoch"
    """What is counted, and after which the rate moves: epochs, or steps of the optimizer. This option is zoo's own."""

    @property
    def horizon(self) -> int | None:
        """Return the fewest intervals in which all happens that it says; None where it has no end."""
        return None

    @property
    def limit(self) -> int | None:
        """Return the most intervals that it is meant for; None where it can go on."""
        return None

    @property
    def watched(self) -> str | None:
        """Return the measurement of the validation split that it looks at; None where it looks at none."""
        return None

    def require(self, optimizer: Optimizer, intervals: int) -> None:
        """Refuse an optimizer whose rates it cannot move, and a training that is too short or too long for it.

        Args:
            optimizer: what the spec says of it.
            intervals: how many epochs or steps the training has.

        Raises:
            ShapeError: with the option that does not fit.
        """
        name = type(self).__name__
        units = f"{self.interval}s" if intervals != 1 else self.interval
        if self.horizon is not None and self.horizon > intervals:
            message = (
                f"{name} needs {self.horizon:,} {self.interval}s to do what it says, but it has {intervals:,} {units}"
            )
            raise ShapeError(message, self._remedy("fewer"), self.horizon_option)
        if self.limit is not None and self.limit < intervals:
            message = f"{name} ends after {self.limit:,} {self.interval}s, but it has {intervals:,} {units}"
            raise ShapeError(message, self._remedy("more"), self.horizon_option)
        self._require_each(1 + len(optimizer.parameter_groups))

    def _require_each(self, groups: int) -> None:
        """Refuse lists that do not have one number for each parameter group.

        Raises:
            ShapeError: a list is shorter or longer.
        """
        for option in self.each:
            value = getattr(self, option)
            if isinstance(value, tuple) and len(value) != groups:
                raise ShapeError(
                    f"{type(self).__name__} has {len(value)} number(s) in {option}, "
                    f"but the optimizer has {groups} parameter group(s)",
                    f"write one number for all, or {groups}: for what no group takes, then for each group",
                    option,
                )

    def _remedy(self, other: str) -> str:
        remedy = f"write {other} in {self.horizon_option}" if self.horizon_option else "train longer"
        by_steps = self.interval == "epoch" and other == "fewer" and self.watched is None
        return f'{remedy}, or "interval": "step"' if by_steps else remedy

    def build(self, optimizer: optim.Optimizer, intervals: int) -> optim.lr_scheduler.LRScheduler:
        """Return the torch scheduler of this optimizer, for a training of so many intervals."""
        from torch.optim import lr_scheduler

        options = self._options(intervals)
        for name in self.each:
            if isinstance(options[name], list):  # torch may have a second set of the groups: see Optimizer.build
                options[name] *= len(optimizer.param_groups) // len(options[name])
        built: optim.lr_scheduler.LRScheduler = getattr(lr_scheduler, type(self).__name__)(optimizer, **options)
        return built

    # Any: the values of torch's options.
    def _options(self, intervals: int) -> dict[str, Any]:
        """Return torch's options and their values; a list stands for a tuple, as torch wants it."""
        options = {name: getattr(self, name) for name in type(self).model_fields if name not in self.own}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
