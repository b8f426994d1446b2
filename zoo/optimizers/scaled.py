"""Optimizers that scale each step by the size of past gradients: Adadelta, Adafactor, Adagrad, RMSprop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from zoo.optimizers.optimizer import Decay, Decaying, Group, Options
from zoo.strict import Field, NonNegative, Positive, Probability


class AdadeltaOptions(Options):
    """The options of Adadelta."""

    lr: NonNegative = 1.0
    """Factor of each step."""
    rho: Probability = 0.9
    """Decay of the running means."""
    eps: Positive = 1e-6
    """Added before the roots."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    maximize: bool = False
    """Climb instead of descend."""


class AdadeltaGroup(Group, AdadeltaOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Adadelta(Decaying, AdadeltaOptions):
    """Steps scaled by the ratio of past steps to past gradients.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html
    """

    type: Literal["Adadelta"]
    groups: tuple[AdadeltaGroup, ...] = ()
    """Parameters with options of their own."""


class AdafactorOptions(Options):
    """The options of Adafactor."""

    lr: NonNegative = 1e-2
    """Largest relative size of a step."""
    beta2_decay: Annotated[float, Field(ge=-1e30, le=0)] = -0.8
    """Power of the step number that the weight of the newest square falls with."""
    eps: tuple[NonNegative | None, Positive] = (None, 1e-3)
    """Least mean square (null: the dtype's own smallest step), and least size of a parameter."""
    d: Annotated[float, Field(ge=1, le=1e30)] = 1.0
    """The root mean square above which an update is scaled down."""
    weight_decay: NonNegative = 0.0
    """Decoupled: each step multiplies the weights by 1 - lr · weight_decay."""
    maximize: bool = False
    """Climb instead of descend."""


class AdafactorGroup(Group, AdafactorOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Adafactor(Decaying, AdafactorOptions):
    """Steps scaled by running mean squares that are kept for rows and columns only.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adafactor.html
    """

    type: Literal["Adafactor"]
    groups: tuple[AdafactorGroup, ...] = ()
    """Parameters with options of their own."""


class AdagradOptions(Options):
    """The options of Adagrad."""

    lr: NonNegative = 1e-2
    """Learning rate."""
    lr_decay: NonNegative = 0.0
    """The learning rate of step n is lr / (1 + (n - 1) · lr_decay)."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    initial_accumulator_value: NonNegative = 0.0
    """Where the sums of squares start."""
    eps: Positive = 1e-10
    """Added to the denominator."""
    maximize: bool = False
    """Climb instead of descend."""


class AdagradGroup(Group, AdagradOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class Adagrad(Decaying, AdagradOptions):
    """Steps scaled by the sum of all past squares.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
    """

    type: Literal["Adagrad"]
    groups: tuple[AdagradGroup, ...] = ()
    """Parameters with options of their own."""


class RMSpropOptions(Options):
    """The options of RMSprop."""

    lr: NonNegative = 1e-2
    """Learning rate."""
    alpha: Decay = 0.99
    """Decay of the running mean square."""
    eps: Positive = 1e-8
    """Added to the denominator."""
    weight_decay: NonNegative = 0.0
    """L2 penalty: weight_decay · weight is added to the gradient."""
    momentum: NonNegative = 0.0
    """Share of the last step that is kept."""
    centered: bool = False
    """Divide by the variance in place of the mean square."""
    maximize: bool = False
    """Climb instead of descend."""


class RMSpropGroup(Group, RMSpropOptions):
    """Parameters with options of their own; an option that is not written is the optimizer's."""


class RMSprop(Decaying, RMSpropOptions):
    """Steps scaled by a running mean square of the gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
    """

    type: Literal["RMSprop"]
    groups: tuple[RMSpropGroup, ...] = ()
    """Parameters with options of their own."""

    # Any: the values of torch's options.
    def judge(self, options: dict[str, Any]) -> None:
        """Refuse a variance of the newest gradient alone: it is 0, or by rounding below.

        Raises:
            ValueError: with what is wrong and what to write.
        """
        if options["centered"] and options["alpha"] == 0:
            raise ValueError("centered needs an alpha above 0; write one, or remove centered")
